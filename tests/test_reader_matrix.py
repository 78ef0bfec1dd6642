"""Every reader of text files, and what can be wrong or unusual about any text file.

`docs/reliability.md` shows the outcomes; ``python tests/test_reader_matrix.py`` writes them there.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from Bio import bgzf

from danq.datasets import find_tracks
from danq.errors import InputError
from danq.evaluation.published_metrics import read_paper
from danq.files.pipes import copied_pipes
from danq.files.toml_file import read_toml
from danq.genome import read_bed, read_motifs
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome, read_fasta
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import open_variants
from danq.interpretation.variant_classification.effect_features import read_table
from danq.track_names import track_names

READ, REFUSED, OTHER = "read", "refused", "–"


class Reader(NamedTuple):
    """A reader: what it reads, an extension, a valid file, and a function of the path."""

    name: str
    extension: str
    text: str
    read: Callable[[Path], Any]
    fasta: bool = False


def _genome(path: Path) -> Any:
    with Genome(path) as genome:
        return {name: genome.codes(name).tolist() for name in genome.contigs}


REFERENCE = PackedGenome.from_contigs([("chr1", np.tile(np.arange(4, dtype=np.uint8), 25))])


def _variants(path: Path) -> Any:
    with open_variants(path, REFERENCE) as reader:
        return [
            (block.chrom, block.pos.tolist(), block.id, block.ref, block.alt, block.rejects)
            for block in reader
        ]


def _tracks(path: Path) -> Any:
    return [(track.name, track.group) for track in find_tracks(path)]


def _motifs(path: Path) -> Any:
    return [(motif.name, motif.probabilities.round(6).tolist()) for motif in read_motifs(path)]


MEME = (
    "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\n"
    "letter-probability matrix: alength= 4 w= 2 nsites= 20\n0.5 0.25 0.25 0\n0 0 1 0\n"
)
READERS = (
    Reader("genome", ".fa", ">chr1 x\nACGTA\nCG\n>chr2\nNNAC\n", _genome, fasta=True),
    Reader(
        "FASTA of sequences",
        ".fa",
        ">a x\nACGTA\nCG\n>b\nNNAC\n",
        lambda path: [(name, codes.tolist()) for name, codes in read_fasta(path)],
        fasta=True,
    ),
    Reader(
        "BED",
        ".bed",
        "chr1\t1\t5\ta\t0\t+\nchr1\t7\t9\tb\t0\t-\n",
        lambda path: read_bed(path).rows(),
    ),
    Reader(
        "VCF",
        ".vcf",
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        "chr1\t2\tv1\tC\tA\t.\t.\tX=1\nchr1\t6\tv2\tC\tG,T\t.\t.\tX=2\n",
        _variants,
    ),
    Reader(
        "table of variants",
        ".tsv",
        "chrom\tpos\tid\tref\talt\nchr1\t2\tv1\tC\tA\nchr1\t6\tv2\tC\tG\n",
        _variants,
    ),
    Reader("MEME motifs", ".meme", MEME, _motifs),
    Reader(
        "JASPAR motifs",
        ".jaspar",
        ">M1 one\nA [ 3 0 ]\nC [ 1 4 ]\nG [ 0 0 ]\nT [ 0 0 ]\n",
        _motifs,
    ),
    Reader("sample sheet", ".tsv", "name\tpath\tgroup\none\t{folder}/p.bed\tTF\n", _tracks),
    Reader("contig map", ".tsv", "1\tchr1\n2\tchr2\n", read_chrom_map),
    Reader("track names", ".txt", "one\tTF\ntwo\tTF\n", lambda path: track_names(path, 2)),
    Reader(
        "labels, conservation",
        ".tsv",
        "id\tlabel\nv1\t1\nv2\t0\n",
        lambda path: read_table(path, "id", "label").rows(),
    ),
    Reader(
        "published metrics",
        ".txt",
        "Cell Type\tTF/DNase/HistoneMark\tTreatment\tDanQ ROC AUC\nK\tA\tNone\t0.9\n",
        lambda path: read_paper(path).rows(),
    ),
    Reader("TOML", ".toml", "[model]\npreset = 'danq'\n", read_toml),
)


class Kind(NamedTuple):
    """Something that a file can be: a name, the usual outcome, and a function of valid bytes."""

    name: str
    outcome: str
    change: Callable[[bytes], bytes | None]
    compressed: bool = False


class _Open(io.BytesIO):
    """Bytes that bgzf's writer cannot close."""

    def close(self) -> None:
        pass


def bgzip(data: bytes) -> bytes:
    """Compress with bgzip."""
    out = _Open()
    with bgzf.BgzfWriter(fileobj=out, mode="wb") as writer:
        writer.write(data)
    return out.getvalue()


def _zip(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("file.txt", data)
    return out.getvalue()


def _each_line(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    return b"".join(change(line) + b"\n" for line in data.splitlines())


def _quoted(data: bytes) -> bytes:
    def quote(line: bytes) -> bytes:
        if line.startswith(b"#"):
            return line
        return b"\t".join(b'"' + field + b'"' for field in line.split(b"\t"))

    return _each_line(data, quote)


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return (
        data[:middle] + bytes(byte ^ 255 for byte in data[middle : middle + 4]) + data[middle + 4 :]
    )


KINDS = (
    Kind("no last line end", READ, lambda data: data.rstrip(b"\n")),
    Kind("CRLF", READ, lambda data: data.replace(b"\n", b"\r\n")),
    Kind("CR only", READ, lambda data: data.replace(b"\n", b"\r")),
    Kind("byte-order mark", READ, lambda data: b"\xef\xbb\xbf" + data),
    Kind("blank lines at the end", READ, lambda data: data + b"\n\n"),
    Kind("comment lines", READ, lambda data: data + b"# comment\n"),
    Kind("trailing tabs", READ, lambda data: _each_line(data, lambda line: line + b"\t\t")),
    Kind("quoted fields", READ, _quoted),
    Kind("gzip", READ, gzip.compress, compressed=True),
    Kind(
        "gzip of two parts",
        READ,
        lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
        compressed=True,
    ),
    Kind("bgzip", READ, bgzip, compressed=True),
    Kind("gzip without .gz", READ, gzip.compress),
    Kind("pipe", READ, lambda data: None),
    Kind("not UTF-8", REFUSED, lambda data: data.replace(b"\t", b"\xe9\t").replace(b" ", b"\xe9 ")),
    Kind("UTF-16", REFUSED, lambda data: data.decode().encode("utf-16")),
    Kind("NUL bytes", REFUSED, lambda data: data + b"\0\0\0"),
    Kind("gzip, truncated", REFUSED, lambda data: gzip.compress(data)[:-9], compressed=True),
    Kind("bgzip, truncated", REFUSED, lambda data: bgzip(data)[:-28], compressed=True),
    Kind("gzip, damaged", REFUSED, lambda data: _damaged(gzip.compress(data)), compressed=True),
    Kind(".gz, not gzip", REFUSED, lambda data: data, compressed=True),
    Kind("gzip twice", REFUSED, lambda data: gzip.compress(gzip.compress(data)), compressed=True),
    Kind("bzip2", REFUSED, bz2.compress),
    Kind("xz", REFUSED, lzma.compress),
    Kind("zip", REFUSED, _zip),
    Kind("empty", REFUSED, lambda data: b""),
    Kind("blank lines only", REFUSED, lambda data: b"\n\n\n"),
    Kind("web page", REFUSED, lambda data: b"<!DOCTYPE html>\n<html>404</html>\n"),
    Kind("JSON", REFUSED, lambda data: b'{"error": "not found"}\n'),
    Kind("Git LFS pointer", REFUSED, lambda data: b"version https://git-lfs.github.com/spec/v1\n"),
    Kind("HDF5", REFUSED, lambda data: b"\x89HDF\r\n\x1a\n" + bytes(600)),
    Kind("image", REFUSED, lambda data: b"\x89PNG\r\n\x1a\n" + bytes(60)),
    Kind("folder", REFUSED, lambda data: None),
    Kind("missing", REFUSED, lambda data: None),
)


NOT_APPLICABLE = {
    **{("genome", kind): OTHER for kind in ("comment lines", "trailing tabs", "quoted fields")},
    **{
        ("FASTA of sequences", kind): OTHER
        for kind in ("comment lines", "trailing tabs", "quoted fields")
    },
    **{(name, "quoted fields"): OTHER for name in ("VCF", "MEME motifs", "JASPAR motifs", "TOML")},
    ("VCF", "trailing tabs"): OTHER,
    ("TOML", "blank lines only"): OTHER,
}
"""Pairs of reader and kind that do not apply."""


def expected(reader: Reader, kind: Kind) -> str:
    """Outcome of a reader for a kind of file."""
    return NOT_APPLICABLE.get((reader.name, kind.name), kind.outcome)


CASES = [(reader, kind) for reader in READERS for kind in KINDS if expected(reader, kind) != OTHER]


def write(folder: Path, reader: Reader, kind: Kind) -> Path:
    path = folder / f"file{reader.extension}{'.gz' if kind.compressed else ''}"
    valid = reader.text.format(folder=folder) if "{folder}" in reader.text else reader.text
    data = kind.change(valid.encode())
    if data is not None:
        path.write_bytes(data)
    elif kind.name == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("reader", "kind"), CASES, ids=[f"{reader.name}-{kind.name}" for reader, kind in CASES]
)
def test_every_reader_meets_every_kind(reader, kind, tmp_path, monkeypatch, pipe_with):
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p.bed").write_text("chr1\t1\t2\n")
    valid = reader.text.format(folder=tmp_path) if "{folder}" in reader.text else reader.text
    plain = tmp_path / f"plain{reader.extension}"
    plain.write_text(valid)
    normal = reader.read(plain)
    assert normal
    if kind.name == "pipe":
        with copied_pipes(), pipe_with(valid.encode()) as path:
            assert reader.read(path) == normal
        return
    path = write(tmp_path, reader, kind)
    if expected(reader, kind) == READ:
        assert reader.read(path) == normal
        return
    with pytest.raises(InputError) as caught:
        reader.read(path)
    assert path.name in str(caught.value)
    assert caught.value.remedy


PAGE = Path(__file__).resolve().parents[1] / "docs" / "reliability.md"
BEGIN, END = "<!-- reader matrix: python tests/test_reader_matrix.py -->\n", "<!-- end -->\n"


def table() -> str:
    """The outcomes as a table, one row per kind of file and one column per reader."""
    head = "| a file that is or has | " + " | ".join(reader.name for reader in READERS) + " |\n"
    rule = "|---" * (len(READERS) + 1) + "|\n"
    rows = [
        f"| {kind.name} | " + " | ".join(expected(reader, kind) for reader in READERS) + " |\n"
        for kind in KINDS
    ]
    return head + rule + "".join(rows)


def test_the_page_shows_the_outcomes():
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], encoding="utf-8")
