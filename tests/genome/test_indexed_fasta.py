"""An index beside a FASTA is compared with the file before it is used."""

from __future__ import annotations

import errno
import gzip
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyfaidx
import pytest
from Bio.bgzf import BgzfWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.files.pipes import copied_pipes
from danq.genome import indexed_fasta
from danq.genome.fasta import Genome, read_fasta
from danq.genome.nucleotide_codes import decode

RNG = np.random.default_rng(0)
BASES = {
    name: "".join(RNG.choice(list("ACGT"), size)) for name, size in [("a", 95), ("b", 7), ("c", 60)]
}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DANQ_CACHE", str(folder))
    # Compare the index also with a file of short contigs.
    monkeypatch.setattr(indexed_fasta, "SHORT", 0)
    return folder


def fasta(records: dict[str, str], width: int = 10, words: str = "") -> str:
    lines = []
    for name, bases in records.items():
        lines += [f">{name}{words}", *(bases[i : i + width] for i in range(0, len(bases), width))]
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        with BgzfWriter(str(path), "wb") as out:
            out.write(text.encode())
    else:
        path.write_text(text)
    return path


def letters(path: Path) -> dict[str, str]:
    with Genome(path) as genome:
        return {name: decode(genome.codes(name)) for name in genome.contigs}


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def changed(row: int, column: int, value: str) -> Callable[[list[list[str]]], list[list[str]]]:
    def change(table: list[list[str]]) -> list[list[str]]:
        table[row][column] = value
        return table

    return change


OTHERS: dict[str, Callable[[list[list[str]]], list[list[str]]]] = {
    "shifted": lambda table: [[row[0], row[1], str(int(row[2]) + 12), *row[3:]] for row in table],
    "first contig alone": lambda table: table[:1],
    "last contig missing": lambda table: table[:-1],
    "contig in the middle missing": lambda table: [table[0], table[2]],
    "first contig missing": lambda table: table[1:],
    "other order": lambda table: table[::-1],
    "other name": changed(1, 0, "chrB"),
    "start of the name": changed(1, 0, ""),
    "one base less": changed(0, 1, "94"),
    "one base more": changed(0, 1, "96"),
    "one base less at the end": changed(2, 1, "59"),
    "one base more at the end": changed(2, 1, "61"),
    "many bases more at the end": changed(2, 1, "6000"),
    "other line length": changed(0, 3, "9"),
    "other line width": changed(0, 4, "12"),
    "no bases": changed(1, 1, "0"),
    "no line length": changed(1, 3, "0"),
    "offset before": changed(2, 2, "3"),
    "number too large": changed(0, 1, "9" * 30),
    "repeated name": lambda table: [*table, table[-1]],
    "FASTQ index": lambda table: [[*row, "5"] for row in table],
    "nothing": lambda table: [],
    "no index": lambda table: [["not an index"]],
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
@pytest.mark.parametrize("short", [0, 4096])
def test_an_index_of_another_file_is_never_used(
    tmp_path, cache, caplog, monkeypatch, name, other, short
):
    monkeypatch.setattr(indexed_fasta, "SHORT", short)
    path = write(tmp_path / name, fasta(BASES))
    assert letters(path) == BASES
    beside = tmp_path / f"{name}.fai"
    right = beside.read_text()
    wrong = "".join("\t".join(row) + "\n" for row in OTHERS[other](rows(right)))
    assert wrong != right
    beside.write_text(wrong)
    later = path.stat().st_mtime + 1000
    os.utime(beside, (later, later))
    with caplog.at_level(logging.WARNING, logger="danq"):
        assert letters(path) == BASES
        assert f"{beside} does not belong to {path}: " in caplog.text
        caplog.clear()
        assert letters(path) == BASES
        assert caplog.text == ""
    assert beside.read_text() == wrong
    (own,) = (cache / "index").iterdir()
    assert own.read_text() == right


@pytest.mark.parametrize("seconds", [-1000, 0, 1000])
@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_time_stamps_do_not_matter(tmp_path, name, seconds):
    path = write(tmp_path / name, fasta({"a": "ACGT" * 50}))
    assert letters(path) == {"a": "ACGT" * 50}
    write(path, fasta({"a": "ACGT" * 50}, words=" twelve more"))
    indexed = (tmp_path / f"{name}.fai").stat().st_mtime
    os.utime(path, (indexed + seconds, indexed + seconds))
    assert letters(path) == {"a": "ACGT" * 50}


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_the_index_of_a_file_with_other_bases_and_the_same_lines_is_used(tmp_path, cache, name):
    path = write(tmp_path / name, fasta(BASES))
    assert letters(path) == BASES
    beside = tmp_path / f"{name}.fai"
    os.utime(beside, (1, 1))
    other = {contig: bases[::-1] for contig, bases in BASES.items()}
    write(path, fasta(other))
    assert letters(path) == other
    assert beside.stat().st_mtime == 1
    assert not list(cache.rglob("*.fai"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_index_beside_any_file_gives_the_bases_of_the_file(tmp_path, data):
    contigs = st.dictionaries(
        st.sampled_from("abcd"), st.text("ACGT", min_size=1, max_size=25), min_size=1
    )
    texts = [
        fasta(
            data.draw(contigs),
            data.draw(st.integers(1, 12)),
            data.draw(st.sampled_from(["", " x"])),
        )
        for _ in range(2)
    ]
    path = tmp_path / "g.fa"
    beside = tmp_path / "g.fa.fai"
    beside.unlink(missing_ok=True)
    path.write_text(texts[0])
    letters(path)
    path.write_text(texts[1])
    assert letters(path) == {name: decode(codes) for name, codes in read_fasta(path)}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.integers(1, 4), st.integers(-12, 12))
def test_an_index_with_one_other_number_gives_the_same_bases(tmp_path, row, column, change):
    path = write(tmp_path / "g.fa", fasta(BASES))
    beside = tmp_path / "g.fa.fai"
    beside.unlink(missing_ok=True)
    letters(path)
    table = rows(beside.read_text())
    table[row][column] = str(int(table[row][column]) + change)
    beside.write_text("".join("\t".join(one) + "\n" for one in table))
    assert letters(path) == BASES


def test_irregular_lines_between_the_compared_ones_are_refused_when_read(tmp_path):
    sizes = [60] * 2000
    sizes[780], sizes[781] = 59, 61
    bases = "ACGT" * 30_000
    ends = np.cumsum([0, *sizes])
    lines = [bases[low:high] for low, high in pairwise(ends)]
    path = write(tmp_path / "g.fa", ">a\n" + "\n".join(lines) + "\n")
    (tmp_path / "g.fa.fai").write_text("a\t120000\t3\t60\t61\n")
    with Genome(path) as genome:
        at = int(ends[781])
        with pytest.raises(InputError, match="are not where the index says"):
            genome.codes("a", at - 1, at + 1)
        assert decode(genome.codes("a", 0, at - 1)) == bases[: at - 1]


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_many_short_contigs_are_scanned(tmp_path, monkeypatch, name):
    monkeypatch.setattr(indexed_fasta, "SHORT", 4096)
    records = {f"t{number}": "ACGT"[number % 4] * (1 + number % 7) for number in range(9000)}
    path = write(tmp_path / name, fasta(records, 3))
    assert letters(path) == records
    assert letters(path) == records
    index = pyfaidx.Faidx(str(path), indexname=str(tmp_path / "theirs.fai")).index
    assert {name: record.rlen for name, record in index.items()} == {
        name: len(bases) for name, bases in records.items()
    }
    assert (tmp_path / f"{name}.fai").read_bytes() == (tmp_path / "theirs.fai").read_bytes()


def test_indexes_equal_those_of_samtools(tmp_path):
    # Printed by samtools faidx 1.16.1.
    for text, expected in (
        (">a\nACGT\nAC\n\n\n>b x\nAC\n\n", "a\t6\t3\t4\t5\nb\t2\t18\t2\t3\n"),
        ("\n>a\nACGT\nAC\n", "a\t6\t4\t4\t5\n"),
        (">a\r\nACGT\r\nAC\n>b\nAC\n", "a\t6\t4\t4\t6\nb\t2\t16\t2\t3\n"),
        ("> a\nAC\n", "a\t2\t4\t2\t3\n"),
        (">a\nACGT\nACGT\n\n>b\nA", "a\t8\t3\t4\t5\nb\t1\t17\t1\t2\n"),
    ):
        path = tmp_path / "g.fa"
        path.write_bytes(text.encode())
        beside = tmp_path / "g.fa.fai"
        beside.unlink(missing_ok=True)
        Genome(path).close()
        assert beside.read_text() == expected


def test_a_file_that_changes_while_it_is_open_is_refused(tmp_path):
    path = write(tmp_path / "g.fa", fasta(BASES))
    with Genome(path) as genome:
        assert decode(genome.codes("a")) == BASES["a"]
        with path.open("a") as out:
            out.write(">d\nACGT\n")
        with pytest.raises(InputError, match="the file changed while it was open"):
            genome.codes("a")
    with pytest.raises(InputError, match="the file is closed"):
        genome.codes("a")


def test_a_file_that_is_replaced_while_it_is_open_stays_the_same(tmp_path):
    path = write(tmp_path / "g.fa", fasta(BASES))
    with Genome(path) as genome:
        new = write(tmp_path / "new.fa", fasta({"a": "G" * 95, "b": "T", "c": "A"}))
        new.replace(path)
        assert {name: decode(genome.codes(name)) for name in genome.contigs} == BASES
    assert letters(path) == {"a": "G" * 95, "b": "T", "c": "A"}


@pytest.mark.parametrize("name", ["g.fa", "g.fa.zip", "g.bz2", "g"])
def test_the_name_of_a_plain_file_does_not_matter(tmp_path, name):
    assert letters(write(tmp_path / name, fasta(BASES))) == BASES


def test_what_replaces_a_file_and_its_index_while_they_are_opened_is_not_read(
    tmp_path, monkeypatch
):
    path = write(tmp_path / "g.fa", fasta(BASES))
    other = {"a": "G" * 95, "b": "T", "c": "A"}
    new = write(tmp_path / "new.fa", fasta(other))
    letters(new)

    def replace_and_open(*args, **kwargs):
        new.replace(path)
        (tmp_path / "new.fa.fai").replace(tmp_path / "g.fa.fai")
        return pyfaidx.Faidx(*args, **kwargs)

    monkeypatch.setattr(indexed_fasta, "Faidx", replace_and_open)
    assert letters(path) == BASES
    monkeypatch.undo()
    assert letters(path) == other


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_without_a_temporary_folder_danq_uses_its_own_index(tmp_path, monkeypatch, caplog, kind):
    path = tmp_path / "g.fa"
    data = fasta(BASES).encode()
    path.write_bytes(gzip.compress(data) if kind == "gzip" else data)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, logger="danq"):
        patch.setattr("danq.genome.indexed_fasta.TemporaryDirectory", no_folder)
        assert letters(path) == BASES
    # The unpacked copy of a gzip file is read without pyfaidx in any case.
    notice = "no temporary file can be written ([Errno 30] Read-only file system)"
    assert (notice in caplog.text) == (kind == "plain")
    assert len(os.listdir("/proc/self/fd")) == before
    assert letters(path) == BASES


def no_folder(**_: object) -> None:
    raise OSError(errno.EROFS, "Read-only file system")


def test_a_file_that_pyfaidx_cannot_open_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "g.fa", fasta(BASES))

    def removed(*args, **kwargs):
        path.unlink()
        return pyfaidx.Faidx(*args, **kwargs)

    monkeypatch.setattr(indexed_fasta, "Faidx", removed)
    with pytest.raises(
        InputError, match=r"g\.fa: cannot be opened by pyfaidx\. Check that it still"
    ):
        Genome(path)


def test_a_gzip_that_is_not_fasta_leaves_nothing_in_the_cache(tmp_path, cache):
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\nAC\nACGT\n"))
    with pytest.raises(InputError, match="line"):
        Genome(path)
    assert [file for file in cache.rglob("*") if file.is_file()] == []


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert letters(write(tmp_path / "g.fa", fasta(BASES))) == BASES
    assert not list(folder.iterdir())


def test_a_gzip_with_the_size_and_time_of_another_is_unpacked_again(tmp_path):
    path = tmp_path / "g.fa.gz"
    for base in "ACGT":
        path.write_bytes(gzip.compress(f">a\n{base * 50_000}\n".encode(), 0, mtime=0))
        os.utime(path, (1_000, 1_000))
        assert letters(path) == {"a": base * 50_000}


@pytest.mark.parametrize("cut", [1, 60, 300])
def test_an_unpacked_file_that_is_cut_is_unpacked_again(tmp_path, cache, cut):
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(fasta(BASES).encode()))
    assert letters(path) == BASES
    (unpacked,) = (cache / "fasta").glob("*.fa")
    unpacked.write_bytes(unpacked.read_bytes()[:-cut])
    assert letters(path) == BASES
    unpacked.with_name(unpacked.name + ".fai").unlink()
    unpacked.write_bytes(unpacked.read_bytes()[:-cut])
    assert letters(path) == BASES


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_without_a_writable_folder_the_index_is_in_memory(tmp_path, monkeypatch, caplog, name):
    path = write(tmp_path / name, fasta(BASES))
    beside = tmp_path / f"{name}.fai"
    beside.write_text("a\t1\t3\t1\t2\n")
    monkeypatch.setenv("DANQ_CACHE", str(path / "below"))
    tmp_path.chmod(0o555)
    try:
        with caplog.at_level(logging.WARNING, logger="danq"):
            assert letters(path) == BASES
    finally:
        tmp_path.chmod(0o755)
    assert "danq uses its own index (in memory)" in caplog.text
    assert beside.read_text() == "a\t1\t3\t1\t2\n"


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip"])
def test_a_pipe_is_a_genome(tmp_path, cache, kind):
    source = write(tmp_path / ("s.fa.gz" if kind == "bgzip" else "s.fa"), fasta(BASES))
    data = source.read_bytes()
    data = gzip.compress(data) if kind == "gzip" else data
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feed = threading.Thread(target=path.write_bytes, args=(data,))
    feed.start()
    with copied_pipes():
        assert letters(path) == BASES
        assert [(name, decode(codes)) for name, codes in read_fasta(path)] == list(BASES.items())
        with Genome(path) as genome:
            assert genome.path == path
    feed.join()
    assert not list(cache.rglob("*.fa"))
    with pytest.raises(InputError, match="is a pipe, which can be read only once"):
        Genome(path)


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip"])
def test_threads_read_one_genome(tmp_path, kind):
    bases = {"a": "".join(RNG.choice(list("ACGT"), 200_000)), "b": "ACGTTGCA"}
    path = write(tmp_path / ("g.fa.gz" if kind == "bgzip" else "g.fa"), fasta(bases, 60))
    if kind == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    starts = RNG.integers(0, 199_000, 400).tolist()
    with Genome(path) as genome, ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda start: decode(genome.codes("a", start, start + 1000)), starts)
        assert list(found) == [bases["a"][start : start + 1000] for start in starts]


OPEN = """
import sys
from danq.genome import indexed_fasta
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import decode
with Genome(sys.argv[1]) as genome:
    print({name: decode(genome.codes(name)) for name in genome.contigs})
"""


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_processes_open_a_genome_at_once(tmp_path, cache, kind):
    path = write(tmp_path / "g.fa", fasta(BASES))
    if kind == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    command = [sys.executable, "-c", OPEN, str(path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for run in runs:
        out, _ = run.communicate(timeout=120)
        assert out.strip() == str(BASES)
    assert not [one for folder in (tmp_path, cache) for one in folder.rglob("*.part")]


FORK = """
import os, sys
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import decode
with Genome(sys.argv[1]) as genome:
    whole = decode(genome.codes("a"))
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            for at in range(0, len(whole) - 500, 7):
                if decode(genome.codes("a", at, at + 500)) != whole[at : at + 500]:
                    os._exit(1)
            os._exit(0)
        children.append(child)
    print([os.waitpid(child, 0)[1] for child in children])
"""


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_forked_processes_read_one_genome(tmp_path, name):
    path = write(tmp_path / name, fasta({"a": "".join(RNG.choice(list("ACGT"), 100_000))}, 60))
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[0, 0, 0]"
