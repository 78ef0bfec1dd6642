"""Records of a file, known before they are read."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pysam
import pytest

from danq.errors import InputError
from danq.genome.variants import count_records as module
from danq.genome.variants.count_records import count_records
from danq.genome.variants.read_vcf import TextSource

HEAD = b"##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def lines(count: int) -> bytes:
    """Records of random lengths, the same throughout."""
    names = np.random.default_rng(0).integers(10, 10**9, count)
    return b"".join(b"chr1\t%d\t%d\tA\tC\t.\t.\t.\n" % (pos, pos) for pos in names.tolist())


def stored(folder: Path, text: bytes, form: str) -> Path:
    path = folder / f"a.{form}"
    if form == "bgzip":
        with pysam.BGZFile(str(path), "wb", None) as file:
            file.write(text)
    else:
        path.write_bytes(gzip.compress(text) if form == "gzip" else text)
    return path


@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("count", [0, 1, 20_000])
def test_a_small_file_is_counted(tmp_path, form, count):
    text = HEAD + lines(count)
    assert count_records(stored(tmp_path, text, form)) == count
    assert count_records(stored(tmp_path, text[:-1], form)) == count


@pytest.mark.parametrize("head", ["chrom\tpos\tref\talt\n", "#chrom\tpos\tref\talt\n"])
def test_a_table_has_as_many_records_as_the_reader_yields(tmp_path, head):
    path = tmp_path / "a.tsv"
    path.write_text("\n" + head + "chr1\t1\tA\tC\n \n# a note\nchr1\t2\tC\tG\n\n")
    handle = io.BufferedReader(io.BytesIO(path.read_bytes()))  # type: ignore[arg-type]
    read = TextSource(handle, "a.tsv", None, False).read(9)
    assert read is not None
    assert count_records(path) == len(read.pos) == 2


@pytest.mark.parametrize("form", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("meta", [1, 3000])
def test_the_records_of_a_large_file_are_estimated(tmp_path, monkeypatch, form, meta):
    monkeypatch.setattr(module, "SAMPLED", 1 << 18)
    names = np.random.default_rng(1).integers(10, 10**9, meta).tolist()
    contigs = b"".join(b"##contig=<ID=%d>\n" % name for name in names)
    path, taken = stored(tmp_path, contigs + HEAD + lines(200_000), form), []
    assert path.stat().st_size > 3 * module.SAMPLED

    class File(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            taken.append(super().read(size))
            return taken[-1]

    monkeypatch.setattr(module, "open", File, raising=False)
    assert count_records(path) == pytest.approx(200_000, rel=0.1)
    assert sum(map(len, taken)) <= module.SAMPLED + module.PIECE


def test_highly_compressed_text_is_not_read_to_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_TEXT", 1 << 20)
    path = stored(tmp_path, HEAD + b"chr1\t5\t.\tA\tC\t.\t.\t.\n" * 2_000_000, "gzip")
    assert path.stat().st_size < module.SAMPLED
    assert count_records(path) == pytest.approx(2_000_000, rel=0.5)


def test_bcf_and_long_headers_have_no_count(tmp_path, monkeypatch):
    source = pysam.VariantFile(str(stored(tmp_path, HEAD + lines(10), "plain")))
    for form, mode in (("bcf", "wb"), ("plain-bcf", "wb0")):
        with pysam.VariantFile(str(tmp_path / form), mode, header=source.header):
            pass
        assert count_records(tmp_path / form) is None
    source.close()
    monkeypatch.setattr(module, "SAMPLED", 1 << 16)
    header = stored(tmp_path, HEAD[:21] * 10_000 + HEAD + lines(10), "plain")
    assert count_records(header) is None
    broken = tmp_path / "broken"
    broken.write_bytes(gzip.compress(HEAD + lines(10)) + bytes(40))
    assert count_records(broken) == 10
    with pytest.raises(InputError, match="no such file"):
        count_records(tmp_path / "missing")
