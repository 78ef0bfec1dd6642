from __future__ import annotations

import gzip
import logging
import os
from pathlib import Path

import numpy as np
import pyfaidx
import pytest
from Bio import SeqIO, bgzf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome import fasta
from danq.genome.fasta import Genome, read_fasta
from danq.genome.nucleotide_codes import decode, encode

RECORDS = {
    "chr1": "ACGTNNRYacgtuTTGACCAGATTACA" * 5,
    "chr2": "G",
    "chrM": "TTTTAAAACC" * 4,
}


def text_of(records: dict[str, str], width: int = 10, end: str = "\n") -> str:
    lines = []
    for name, sequence in records.items():
        lines.append(f">{name} some words")
        lines += [sequence[at : at + width] for at in range(0, len(sequence), width)]
    return end.join(lines) + end


def write(path: Path, text: str | bytes, kind: str = "plain") -> Path:
    data = text.encode() if isinstance(text, str) else text
    if kind == "gzip":
        path.write_bytes(gzip.compress(data))
    elif kind == "bgzip":
        with bgzf.BgzfWriter(str(path), "wb") as out:
            out.write(data)
    else:
        path.write_bytes(data)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DANQ_CACHE", str(folder))
    return folder


KINDS = [("plain", "g.fa"), ("gzip", "g.fa.gz"), ("bgzip", "g.fa.gz"), ("bgzip", "g.fa.bgz")]


@pytest.mark.parametrize(("kind", "name"), [*KINDS, ("gzip", "g.fa"), ("bgzip", "g.fa")])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_kind_of_file_equals_biopythons_reading(tmp_path, kind, name, end):
    text = text_of(RECORDS, end=end)
    oracle = tmp_path / "oracle.fa"
    oracle.write_text(text)
    with oracle.open() as handle:
        expected = {record.id: str(record.seq) for record in SeqIO.parse(handle, "fasta")}
    path = write(tmp_path / name, text, kind)
    with Genome(path) as genome:
        assert genome.path == path
        assert genome.contigs == {name: len(bases) for name, bases in expected.items()}
        assert list(genome.contigs) == list(RECORDS)
        for name, bases in expected.items():
            assert np.array_equal(genome.codes(name), encode(bases))
            assert np.array_equal(genome.codes(name, 1, len(bases)), encode(bases[1:]))
        packed = genome.pack()
    assert packed.names == tuple(expected)
    for (name, bases), (streamed, codes) in zip(expected.items(), read_fasta(path), strict=True):
        assert streamed == name
        assert np.array_equal(codes, encode(bases))
        assert np.array_equal(packed.codes(name), encode(bases))


@pytest.mark.parametrize(("kind", "name"), [KINDS[0], KINDS[2]])
def test_intervals_equal_slices_across_block_borders(tmp_path, kind, name, monkeypatch):
    monkeypatch.setattr(fasta, "BLOCK", 17)
    genome = Genome(write(tmp_path / name, text_of(RECORDS), kind))
    bases = RECORDS["chr1"]
    rng = np.random.default_rng(0)
    for start, end in np.sort(rng.integers(0, len(bases) + 1, (100, 2))).tolist():
        assert np.array_equal(genome.codes("chr1", start, end), encode(bases[start:end]))
    genome.close()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.text("ACGTNacgtn", max_size=9), min_size=1, max_size=5), max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 12),
    st.booleans(),
)
def test_read_fasta_reads_any_layout(tmp_path, monkeypatch, records, end, block, last_end):
    monkeypatch.setattr(fasta, "BLOCK", block)
    records = [["ACGT"], *(list(lines) for lines in records if "".join(lines))]
    text = end.join(f">r{i} x>y{end}{end.join(lines)}" for i, lines in enumerate(records))
    path = write(tmp_path / "any.fa", end + text + (end if last_end else ""))
    assert [(name, decode(codes)) for name, codes in read_fasta(path)] == [
        (f"r{i}", "".join(lines).upper()) for i, lines in enumerate(records)
    ]


def test_a_record_may_be_longer_than_its_compressed_file(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta, "BLOCK", 64)
    records = {"a": "ACGTTGCA" * 4000, "b": "GG", "c": "T" * 5000}
    path = write(tmp_path / "g.fa.gz", text_of(records), "gzip")
    assert path.stat().st_size < 1000
    read = dict(read_fasta(path))
    assert {name: decode(codes) for name, codes in read.items()} == records
    assert all(codes.base is None for codes in read.values())


def test_the_index_equals_pyfaidxs(tmp_path):
    ours = write(tmp_path / "ours.fa", text_of(RECORDS))
    theirs = write(tmp_path / "theirs.fa", text_of(RECORDS))
    Genome(ours).close()
    pyfaidx.Faidx(str(theirs)).close()
    assert (tmp_path / "ours.fa.fai").read_bytes() == (tmp_path / "theirs.fa.fai").read_bytes()
    assert sorted(p.name for p in tmp_path.glob("*ours*")) == ["ours.fa", "ours.fa.fai"]


def test_a_stale_index_is_rebuilt(tmp_path):
    path = write(tmp_path / "g.fa", text_of(RECORDS))
    Genome(path).close()
    write(path, text_of({"other": "ACGTACGTAC"}))
    written = path.stat().st_mtime
    os.utime(tmp_path / "g.fa.fai", (written - 10, written - 10))
    with Genome(path) as genome:
        assert genome.contigs == {"other": 10}
        assert decode(genome.codes("other")) == "ACGTACGTAC"


def test_an_invalid_index_is_rebuilt(tmp_path):
    path = write(tmp_path / "g.fa", text_of(RECORDS))
    (tmp_path / "g.fa.fai").write_text("not an index\n")
    with Genome(path) as genome:
        assert list(genome.contigs) == list(RECORDS)


@pytest.mark.parametrize(("kind", "name"), [KINDS[0], KINDS[2]])
def test_a_read_only_folder_uses_the_cache(tmp_path, cache, kind, name):
    folder = tmp_path / "locked"
    folder.mkdir()
    path = write(folder / name, text_of(RECORDS), kind)
    folder.chmod(0o555)
    try:
        for _ in range(2):
            with Genome(path) as genome:
                assert genome.contigs["chr2"] == 1
                assert decode(genome.codes("chrM", 0, 8)) == "TTTTAAAA"
        assert [p.name for p in folder.iterdir()] == [name]
        endings = {p.suffix for p in (cache / "index").iterdir()}
        assert endings == ({".fai", ".gzi"} if kind == "bgzip" else {".fai"})
    finally:
        folder.chmod(0o755)


def test_gzip_is_unpacked_once_with_a_message(tmp_path, cache, caplog):
    path = write(tmp_path / "g.fa.gz", text_of(RECORDS), "gzip")
    with caplog.at_level(logging.INFO, logger="danq"):
        Genome(path).close()
        assert "unpacking it to" in caplog.text
        caplog.clear()
        Genome(path).close()
        assert caplog.text == ""
    (unpacked,) = (cache / "fasta").glob("*.fa")
    assert unpacked.read_text() == text_of(RECORDS)
    assert [p.name for p in tmp_path.iterdir()] == ["g.fa.gz"]


def test_a_cache_that_cannot_be_created_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "file" / "below"))
    path = write(tmp_path / "g.fa.gz", text_of(RECORDS), "gzip")
    with pytest.raises(InputError, match=r"cache folder cannot be created.*DANQ_CACHE"):
        Genome(path)


def both_refuse(path: Path, message: str, stream_message: str | None = None) -> None:
    """Opening and packing, and streaming, end in an error that names the file."""
    for reader, expected in (
        (lambda: Genome(path).pack(), message),
        (lambda: list(read_fasta(path)), stream_message or message),
    ):
        with pytest.raises(InputError, match=expected) as caught:
            reader()
        assert caught.value.file == str(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    both_refuse(tmp_path / "none.fa", "none.fa: no such file. Check the path")
    both_refuse(tmp_path, "is a folder, not a file")


@pytest.mark.parametrize("name", ["g.fa", "g.fa.gz"])
def test_an_empty_file_is_refused(tmp_path, name):
    both_refuse(write(tmp_path / name, ""), r"is empty \(0 bytes\)")


def test_a_file_that_is_not_gzip_is_refused(tmp_path):
    both_refuse(write(tmp_path / "g.fa.gz", ">a\nACGT\n"), "has the extension .gz but is not gzip")


def test_a_truncated_gzip_is_refused(tmp_path, cache):
    rng = np.random.default_rng(0)
    text = text_of({"a": decode(rng.integers(0, 4, 5000, dtype=np.uint8))})
    data = gzip.compress(text.encode())
    path = tmp_path / "g.fa.gz"
    for size in (5, len(data) // 2, len(data) - 4):
        path.write_bytes(data[:size])
        both_refuse(path, "gzip stream ends too early, so the file is truncated")
    assert not list((cache / "fasta").iterdir())


def test_a_damaged_gzip_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    text = text_of({"a": decode(rng.integers(0, 4, 5000, dtype=np.uint8))})
    data = bytearray(gzip.compress(text.encode()))
    data[700] ^= 255
    path = tmp_path / "g.fa.gz"
    path.write_bytes(data)
    both_refuse(path, "gzip stream is damaged")


def test_a_truncated_bgzip_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    text = text_of({"a": decode(rng.integers(0, 4, 300_000, dtype=np.uint8))})
    path = write(tmp_path / "g.fa.gz", text, "bgzip")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    both_refuse(path, "ends too early, so the file is truncated")


def test_a_damaged_bgzip_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    text = text_of({"a": decode(rng.integers(0, 4, 300_000, dtype=np.uint8))})
    path = write(tmp_path / "g.fa.gz", text, "bgzip")
    data = bytearray(path.read_bytes())
    data[1000] ^= 255
    path.write_bytes(data)
    both_refuse(path, "gzip stream is damaged")


def test_text_without_a_header_is_refused(tmp_path):
    path = write(tmp_path / "g.fa", "\nACGT\nACGT\n")
    both_refuse(path, r"line 2: is not FASTA: no line '>name' before the sequence")
    both_refuse(write(tmp_path / "blank.fa", "\n\n"), "is not FASTA")
    both_refuse(write(tmp_path / "binary.fa", bytes(range(128, 256))), "is not FASTA")


def test_protein_letters_are_refused_with_their_position(tmp_path):
    path = write(tmp_path / "g.fa", ">a\nACGT\nACGT\n>p\nACGTA\nCLGTE\nAC\n")
    message = "record 'p': 'L' at position 7 is not a DNA letter"
    both_refuse(path, message, f"line 6, {message}")


def test_the_position_of_a_wrong_letter_is_right_across_block_borders(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta, "BLOCK", 7)
    path = write(tmp_path / "g.fa", text_of({"a": "ACGT" * 10 + "AX", "b": "A"}))
    message = "record 'a': 'X' at position 42 is not a DNA letter"
    both_refuse(path, message, f"line 6, {message}")


@pytest.mark.parametrize("block", [1, 6, 7, 8, 9, 1 << 20])
def test_a_header_within_a_line_is_a_wrong_letter(tmp_path, monkeypatch, block):
    monkeypatch.setattr(fasta, "BLOCK", block)
    path = write(tmp_path / "g.fa", ">a\nACG\nACG>b\nACGT\n")
    with pytest.raises(InputError, match=r"line 3, record 'a': '>' at position 7 is not a DNA"):
        list(read_fasta(path))


def test_duplicate_names_are_refused(tmp_path):
    path = write(tmp_path / "g.fa", ">a one\nACGT\n>b\nAC\n>a two\nAC\n")
    message = "record 'a': an earlier record has the same name"
    with pytest.raises(InputError, match=f"line 5, {message}"):
        Genome(path)
    assert [p.name for p in tmp_path.iterdir()] == ["g.fa"]


@pytest.mark.parametrize("text", [">a\nACGT\n>b\n>c\nAC\n", ">a\nACGT\n>b\n", ">b"])
def test_an_empty_record_is_refused(tmp_path, text):
    both_refuse(write(tmp_path / "g.fa", text), "record 'b': the record has no sequence")


def test_a_nameless_record_is_refused(tmp_path):
    path = write(tmp_path / "g.fa", ">a\nACGT\n> \nACGT\n")
    both_refuse(path, "a header line has no name after '>'")


def test_lines_of_unequal_length_are_refused_for_random_access(tmp_path):
    path = write(tmp_path / "g.fa", ">a\nACGT\nACG\nACGT\n")
    with pytest.raises(InputError, match=r"line 3, record 'a': the lines of this record differ"):
        Genome(path)
    assert [(name, codes.size) for name, codes in read_fasta(path)] == [("a", 11)]


def test_an_interval_outside_the_contig_is_refused(tmp_path):
    with Genome(write(tmp_path / "g.fa", text_of(RECORDS))) as genome:
        with pytest.raises(InputError, match=r"chrM:30-41 .* which has 40 bases"):
            genome.codes("chrM", 30, 41)
        with pytest.raises(InputError, match="no contig 'chrX': the genome has chr1"):
            genome.codes("chrX")


def test_yeast_genome_has_the_published_sizes(shared_data):
    folder = shared_data / "yeast" / "genome"
    sizes = dict(line.split() for line in (folder / "sacCer3.chrom.sizes").read_text().splitlines())
    with Genome(folder / "sacCer3.fa.gz") as genome:
        assert genome.contigs == {name: int(size) for name, size in sizes.items()}
        packed = genome.pack()
    with gzip.open(folder / "sacCer3.fa.gz", "rt") as handle:
        records = {record.id: str(record.seq).upper() for record in SeqIO.parse(handle, "fasta")}
    assert {name: decode(packed.codes(name)) for name in packed.names} == records
