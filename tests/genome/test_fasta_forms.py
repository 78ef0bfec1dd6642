"""Every form of a FASTA: random access and reading in order agree, or both refuse it."""

from __future__ import annotations

import bz2
import gzip
import io
import logging
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest
from Bio import SeqIO
from Bio.bgzf import BgzfWriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.fasta import Genome, read_fasta
from danq.genome.nucleotide_codes import decode

BOM = "\ufeff"
AB = {"a": "ACGTAC", "b": "GG"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DANQ_CACHE", str(folder))
    return folder


def genome_letters(path: Path) -> dict[str, str]:
    with Genome(path) as genome:
        return {name: decode(genome.codes(name)) for name in genome.contigs}


def record_letters(path: Path) -> list[tuple[str, str]]:
    return [(name, decode(codes)) for name, codes in read_fasta(path)]


READ = {
    "LF": ">a x\nACGT\nAC\n>b\nGG\n",
    "CRLF": ">a x\r\nACGT\r\nAC\r\n>b\r\nGG\r\n",
    "CR alone": ">a x\rACGT\rAC\r>b\rGG\r",
    "no final line end": ">a x\nACGT\nAC\n>b\nGG",
    "no final line end, CR": ">a x\rACGT\rAC\r>b\rGG",
    "byte-order mark": BOM + ">a x\nACGT\nAC\n>b\nGG\n",
    "byte-order mark and CRLF": BOM + ">a x\r\nACGT\r\nAC\r\n>b\r\nGG\r\n",
    "blank lines at the start": "\n\n>a\nACGT\nAC\n>b\nGG\n",
    "blank lines at the end": ">a\nACGT\nAC\n>b\nGG\n\n\n",
    "blank lines at the end, CRLF": ">a\r\nACGT\r\nAC\r\n>b\r\nGG\r\n\r\n\r\n",
    "blank lines between": ">a\nACGT\nAC\n\n\n>b\nGG\n",
    "blank line after a header": ">a\n\nACGT\nAC\n>b\n\nGG\n",
    "line ends differ between records": ">a\r\nACGT\r\nAC\r\n>b\nGG\n",
    "last line with another end": ">a\r\nACGT\r\nAC\n>b\nGG\n",
    "one line": ">a\nACGTAC\n>b\nGG\n",
    "lines of one base": ">a\nA\nC\nG\nT\nA\nC\n>b\nG\nG\n",
    "lower case": ">a\nacgt\nac\n>b\ngg\n",
    "RNA": ">a\nACGU\nAC\n>b\nGG\n",
    "blank before the name": "> a x\nACGT\nAC\n>\tb\nGG\n",
    "tab after the name": ">a\tx y\nACGT\nAC\n>b|c\nGG\n".replace("b|c", "b"),
    "header with another '>'": ">a >x\nACGT\nAC\n>b\nGG\n",
}


@pytest.mark.parametrize("form", READ)
@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip", "members"])
def test_both_readers_read_the_form_as_biopython_does(tmp_path, form, kind):
    data = READ[form].encode()
    path = tmp_path / ("g.fa" if kind == "plain" else "g.fa.gz")
    if kind == "plain":
        path.write_bytes(data)
    elif kind == "gzip":
        path.write_bytes(gzip.compress(data))
    elif kind == "members":
        path.write_bytes(
            b"".join(gzip.compress(data[at : at + 5]) for at in range(0, len(data), 5))
        )
    else:
        with BgzfWriter(str(path), "wb") as out:
            out.write(data)
    text = io.StringIO(data.decode("utf-8-sig").lstrip(), newline=None)
    oracle = [(r.description, str(r.seq)) for r in SeqIO.parse(io.StringIO(text.read()), "fasta")]
    expected = {name.split()[0]: bases.upper().replace("U", "T") for name, bases in oracle}
    assert expected == AB
    for _ in range(2):
        assert genome_letters(path) == expected
    assert record_letters(path) == list(expected.items())


def test_names_are_utf8(tmp_path):
    path = tmp_path / "utf-8.fa"
    path.write_text(">gène|1 x\nAC\n>b\nGG\n", encoding="utf-8")
    for _ in range(2):
        assert genome_letters(path) == {"gène|1": "AC", "b": "GG"}
    assert record_letters(path) == [("gène|1", "AC"), ("b", "GG")]


@pytest.mark.parametrize("indexed", [False, True])
def test_names_in_another_encoding_are_refused(tmp_path, indexed):
    path = tmp_path / "latin-1.fa"
    path.write_bytes(">b\nGG\n>gène x\nAC\n".encode("latin-1"))
    if indexed:
        index = "b\t2\t3\t2\t3\ngène\t2\t14\t2\t3\n"
        path.with_name("latin-1.fa.fai").write_bytes(index.encode("latin-1"))
    for read in (genome_letters, record_letters):
        with pytest.raises(InputError, match="line 3: the line is not UTF-8"):
            read(path)


def test_unknown_bases_and_ambiguity_codes_are_n(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">a\nNNNN\nNN\n>b\nRYSWKMBDHV\n")
    assert genome_letters(path) == {"a": "NNNNNN", "b": "N" * 10}
    assert record_letters(path) == [("a", "NNNNNN"), ("b", "N" * 10)]


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "text before": ("ACGT\n>a\nAC\n", "line 1: is not FASTA"),
    "no record": ("\n\n", "is not FASTA"),
    "no sequence": (">a\n>b\nAC\n", "line 1, record 'a': the record has no sequence"),
    "no sequence at the end": (">a\nAC\n>b", "line 3, record 'b': the record has no sequence"),
    "no name": (">a\nAC\n>\nAC\n", "line 3: a header line has no name"),
    "header and line feed of CRLF": (">\r\nAC\r\n", "line 1: a header line has no name"),
    "gap": (">a\nAC-T\n", r"record 'a': '-' at position 3 .* gap of an alignment"),
    "stop": (">a\nACGT\nA*\n", r"record 'a': '\*' at position 6 "),
    "digit": (">a\nACGT\n1 AC\n", r"record 'a': '1' at position 5 .* position numbers"),
    "blank in a line": (
        ">a\nAC GT\nACGTA\n",
        r"record 'a': ' ' at position 3 .* Remove the blanks",
    ),
    "trailing blank": (">a\nACGT\nACGT \n", r"record 'a': ' ' at position 9 .* Remove the blanks"),
    "line of blanks": (">a\nACGT\n  \nACGT\n", r"line 3, record 'a': ' ' at position 5 .* blanks"),
    "tab": (">a\nAC\tGT\n", r"record 'a': '\\t' at position 3 .* Remove the blanks"),
    "protein": (">p\nMKVLAAGE\n", r"record 'p': 'L' at position 4 .* a protein"),
    "masked": (">a\nACXX\n", r"record 'a': 'X' at position 3 .* write N"),
    "zero bytes": (">a\nAC\0\0\n", "is a binary file"),
    "old comment": (";c\n>a\nAC\n", "line 1: begins with a comment of old FASTA"),
    "FASTQ": ("@r\nACGT\n+\nIIII\n", "line 1: is FASTQ, .* seqtk seq -a"),
    "FASTQ after blank lines": ("\n\n@r\nACGT\n+\nIIII\n", "line 3: is FASTQ, .* seqtk seq -a"),
    "GenBank": ("LOCUS       X 5028 bp DNA\n", "line 1: is GenBank"),
    "EMBL": ("ID   X56734; SV 1\n", "line 1: is EMBL"),
    "Stockholm": ("# STOCKHOLM 1.0\n", "line 1: is an alignment"),
    "Clustal": ("CLUSTAL W (1.82)\n", "line 1: is an alignment"),
    "PHYLIP": (" 5 42\nTurkey AAG\n", "line 1: is an alignment"),
    "SAM": ("@SQ\tSN:chr1\tLN:5\n", "line 1: holds SAM alignments"),
    "VCF": ("##fileformat=VCFv4.2\n", "line 1: is a VCF"),
    "BED": ("chr1\t1\t5\n", "line 1: looks like BED or an index"),
    "index": ("chr1\t10\t6\t60\t61\n", "line 1: looks like BED or an index"),
    "contig lengths": ("chr1\t10\n", "line 1: is a table of contig lengths"),
    "web page": ("<!DOCTYPE html>\n<html>", "a web page"),
    "pointer of Git LFS": ("version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
    "UTF-16": (">a\nACGT\n".encode("utf-16"), "UTF-16 .* iconv"),
    "UTF-16 without mark": (">a\nACGT\nACGT\n".encode("utf-16-le"), "UTF-16 .* iconv"),
    "2bit": (b"\x43\x27\x41\x1a\x00\x00\x00\x00\x01\x00\x00\x00", "2bit .* twoBitToFa"),
    "bzip2": (bz2.compress(b">a\nAC\n"), "bzip2"),
    "xz": (lzma.compress(b">a\nAC\n"), "xz"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", "zstd"),
    "gzip in gzip": (gzip.compress(gzip.compress(b">a\nAC\n")), "gzip twice"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_both_readers_refuse_the_form_by_name(tmp_path, form):
    content, message = REFUSED[form]
    path = tmp_path / "g.fa"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for read in (genome_letters, record_letters):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert caught.value.file == str(path)
    assert [one.name for one in tmp_path.glob("*.fai")] in ([], ["g.fa.fai"])


def test_a_zip_archive_is_refused_by_name(tmp_path):
    path = tmp_path / "g.fa"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("g.fa", ">a\nAC\n")
    for read in (genome_letters, record_letters):
        with pytest.raises(InputError, match="zip archive"):
            read(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (">a\nACGT\nACG\nACGT\n", "line 3, record 'a': the lines of this record differ in length"),
        (">a\nACG\nACGT\n", "line 3, record 'a': the lines of this record differ in length"),
        (">a\nACGT\n\nACGT\n", "line 3, record 'a': a blank line is inside this record"),
        (">b\nA\n>a\nAC\r\nAC\nAC\r\n", "line 5, record 'a': .* differ in their line ends"),
        (">b\nA\n>a\nAC\rAC\r\nAC\r\n", "line 5, record 'a': .* differ in their line ends"),
    ],
)
def test_irregular_lines_are_refused_by_random_access_alone(tmp_path, text, problem):
    path = tmp_path / "g.fa"
    path.write_bytes(text.encode())
    with pytest.raises(InputError, match=problem):
        Genome(path)
    assert dict(record_letters(path))["a"] == "".join(text.split(">a")[1].split())


def test_repeated_names_are_read_as_records_and_counted(tmp_path, caplog):
    path = tmp_path / "g.fa"
    path.write_text(">chr1:1-4\nACGT\n>b\nGG\n>chr1:1-4\nACGT\n")
    with caplog.at_level(logging.INFO, logger="danq"):
        assert record_letters(path) == [("chr1:1-4", "ACGT"), ("b", "GG"), ("chr1:1-4", "ACGT")]
    assert "records with the name of an earlier record: 1" in caplog.text
    with pytest.raises(InputError, match=r"line 5, record 'chr1:1-4': an earlier record has the"):
        Genome(path)


def test_a_bgzip_cut_at_the_end_of_a_block_is_refused(tmp_path):
    path = tmp_path / "g.fa.gz"
    with BgzfWriter(str(path), "wb") as out:
        out.write(b">a\n" + b"ACGT\n" * 40_000)
    path.write_bytes(path.read_bytes()[:-28])
    for read in (genome_letters, record_letters):
        with pytest.raises(InputError, match="ends too early, so the file is truncated"):
            read(path)


LINES = st.sampled_from(
    ["\n", "\r\n", "\r", "", ">a", ">b x", "> c", "ACGT", "AC", "N", ">", " ", "u"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=14), st.sampled_from(["\n", "\r\n", "\r", ""]), st.booleans())
@example([">a", "\r", "ACGT", "\r\n", ">b x", "\n", "AC"], "", False)
def test_what_random_access_reads_is_what_is_read_in_order(tmp_path, lines, end, mark):
    path = tmp_path / "g.fa"
    path.write_bytes((mark * BOM + end.join(lines)).encode() + b"\n")
    (tmp_path / "g.fa.fai").unlink(missing_ok=True)
    try:
        letters = genome_letters(path)
    except InputError as error:
        refused = str(error)
        if "differ in" not in refused and "inside" not in refused and "earlier" not in refused:
            with pytest.raises(InputError):
                record_letters(path)
        return
    assert record_letters(path) == list(letters.items())
    assert genome_letters(path) == letters


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text("ACGTN", min_size=1, max_size=40), st.integers(1, 9)),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_intervals_equal_slices_for_every_line_end(tmp_path, records, end):
    text = ""
    for number, (bases, width) in enumerate(records):
        lines = [bases[at : at + width] for at in range(0, len(bases), width)]
        text += end.join([f">r{number}", *lines, ""])
    path = tmp_path / "g.fa"
    path.write_bytes(text.encode())
    (tmp_path / "g.fa.fai").unlink(missing_ok=True)
    with Genome(path) as genome:
        for number, (bases, _) in enumerate(records):
            whole = genome.codes(f"r{number}")
            assert decode(whole) == bases
            for start in range(len(bases)):
                assert np.array_equal(genome.codes(f"r{number}", start), whole[start:])
                assert np.array_equal(genome.codes(f"r{number}", 0, start), whole[:start])
