from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.files import open_input, text_tables
from danq.files.data_frames import read_frame
from danq.files.json_file import read_json
from danq.files.text_tables import (
    has_control,
    read_text_bytes,
    text_blocks,
    text_lines,
    text_rows,
)
from danq.files.toml_file import MAX_TOML, read_toml
from danq.genome.bed import read_bed
from danq.genome.fasta import Genome, read_fasta
from danq.genome.fasta_index import read_fai


def peak_of(call) -> float:
    """Largest memory of Python objects in MB while a call fails with an InputError."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError):
            call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [read_bed, read_text_bytes, read_frame, text_lines, read_toml])
@pytest.mark.parametrize("packed", [False, True])
def test_a_line_without_end_is_refused_before_it_is_in_memory(tmp_path, read, packed):
    path = tmp_path / "a.txt"
    with gzip.open(path, "wb", 1) if packed else path.open("wb") as file:
        for _ in range(200):
            file.write(b"A" * (1 << 20))
    assert peak_of(lambda: read(path)) < 64


@pytest.mark.parametrize("read", [lambda path: list(read_fasta(path)), Genome])
@pytest.mark.parametrize("ending", [b"", b"\nACGT\n"])
def test_a_header_without_end_is_refused(tmp_path, read, ending):
    path = tmp_path / "a.fa"
    path.write_bytes(b">a\nACGT\n>" + b"A" * (40 << 20) + ending)
    with pytest.raises(InputError, match=r"a\.fa, line 3: a header line has more than 1 MiB"):
        read(path)


@pytest.mark.parametrize("name", ["x" * 300, "a\x1b[2J", "..", "a\u202eb", "a/../b"])
@pytest.mark.parametrize("read", [lambda path: list(read_fasta(path)), Genome])
def test_illegal_names_of_records_are_refused(tmp_path, read, name):
    path = tmp_path / "a.fa"
    path.write_text(f">a\nACGT\n>{name}\nACGT\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.fa, line 3: the name '.*' of a record"):
        read(path)


def test_illegal_names_of_an_index_are_refused(tmp_path):
    path = tmp_path / "a.fa"
    sequence = "A" * 60 + "\n"
    path.write_text(">..\n" + sequence * 500)
    path.with_name("a.fa.fai").write_text("..\t30000\t4\t60\t61\n")
    with pytest.raises(InputError, match="'\\.\\.' of a contig is a path"):
        Genome(path)


@pytest.mark.parametrize(
    "line",
    [
        b"a\t1\t2\t3\t" + b"9" * 5000,
        b"a\t1\t2\t3",
        b"x" * 5000 + b"\t1\t2\t3\t4",
        b"a\t1\t-2\t3\t4",
    ],
)
def test_hostile_indexes_are_no_index(line):
    assert read_fai(line + b"\n") is None
    assert read_fai(b"") is not None


def test_small_kinds_have_a_largest_size(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("name\n" * 1000)
    monkeypatch.setattr(text_tables, "MAX_ROWS", 999)
    with pytest.raises(InputError, match="line 1000: has more than 999 rows"):
        list(text_rows(path))
    with pytest.raises(InputError, match="has more than 0 MiB of text"):
        read_text_bytes(path, 4999)
    assert len(read_text_bytes(path, 5000)) == 5000


def test_toml_and_json_have_a_largest_size(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("# comment\n" * (MAX_TOML // 10 + 1))
    with pytest.raises(InputError, match="has more than 1 MiB"):
        read_toml(path)
    path.write_text("[" + "0,\n" * (12 << 20) + "0]")
    with pytest.raises(InputError, match="has more than 32 MiB"):
        read_json(path, "a list", remedy="")


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 5000, "a = {a=" * 5000])
def test_hostile_toml_is_refused(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.toml: is not valid TOML"):
        read_toml(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" + "9" * 5000 + "]"])
def test_hostile_json_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read_json(path, "a list", remedy="")


def test_text_that_unpacks_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(open_input, "UNPACKED_ANYWAY", 1 << 20)
    path = tmp_path / "a.bed.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(200):
            file.write(b"chr1\t100\t200\n" * 10_000)
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        read_bed(path)
    with pytest.raises(InputError, match="unpacks to more than 200 times its size"):
        read_text_bytes(path)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 5, 64, 1 << 20])
def test_blocks_join_to_the_whole_text(tmp_path, ends, size):
    path = tmp_path / "a.bed"
    text = ends.join(["\ufeffchr1\t1\t2", "", "é\t3\t4", "x" * 70, "", "end"])
    for tail in ("", ends, ends * 2):
        path.write_text(text + tail, encoding="utf-8", newline="")
        blocks = list(text_blocks(path, size))
        assert b"".join(blocks) == read_text_bytes(path)
        assert all(block.endswith(b"\n") for block in blocks[:-1])


def test_blocks_name_the_line_of_an_error(tmp_path):
    path = tmp_path / "a.bed"
    for bad, problem in (
        (b"\xff", "not UTF-8"),
        (b"\x1b", "control character"),
        (b"\x7f", "control"),
    ):
        path.write_bytes(b"chr1\t1\t2\n" * 1000 + b"a" + bad + b"\n" + b"chr1\t1\t2\n" * 10)
        with pytest.raises(InputError, match=rf"a\.bed, line 1001: .*{problem}"):
            list(text_blocks(path, 100))
        with pytest.raises(InputError, match=rf"a\.bed, line 1001: .*{problem}"):
            read_bed(path)


@pytest.mark.parametrize("code", range(128))
def test_control_characters_are_found(code):
    text = b"a" * 300_000 + bytes([code]) + b"\n"
    allowed = (code >= 32 and code != 127) or code in b"\t\n"
    assert has_control(text) is not allowed


def test_bed_of_many_blocks_equals_one_block(tmp_path, monkeypatch):
    path: Path = tmp_path / "a.bed"
    path.write_text(
        "".join(
            f"chr{i % 3}\t{i}\t{i + 5}\tname{i}\t{i % 7}\t+\n" + ("#c\n\n" if i % 5 == 0 else "")
            for i in range(2000)
        )
    )
    whole = read_bed(path)
    few = read_bed(path, names=False)
    blocks = text_tables.text_blocks
    monkeypatch.setattr("danq.genome.bed.text_blocks", lambda path: blocks(path, 500))
    assert read_bed(path).equals(whole)
    assert read_bed(path, names=False).equals(few)
    with path.open("a") as file:
        file.write("track type=bedGraph\nchr1\t1\t2\n")
    with pytest.raises(InputError, match="has a track of type bedGraph"):
        read_bed(path)
    path.write_text(path.read_text().replace("track type=bedGraph", "chr1\t9\t1"))
    with pytest.raises(InputError, match=r"a\.bed, line 2801: the end, 1, is below the start, 9"):
        read_bed(path)
