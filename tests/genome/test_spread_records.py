"""Records that are read from a whole file without reading all of it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pysam
import pytest

from danq.genome.variants import spread_records as module
from danq.genome.variants.read_data_frame import TableSource
from danq.genome.variants.spread_records import spread_records, spread_source

VCF = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
TABLE = "id\tchrom\tref\tpos\talt\n"


def lines(form: str, count: int) -> str:
    if form == "table":
        return "".join(f"v\tchr1\tA\t{pos}\tC\n" for pos in range(1, count + 1))
    return "".join(
        f"chr1\t{pos}\t.\tA\tC\t.\t.\t{'X' * (pos % 50)}\n" for pos in range(1, count + 1)
    )


def stored(folder: Path, form: str, count: int) -> Path:
    text = (TABLE if form == "table" else VCF) + lines(form, count)
    path = folder / {"table": "a.tsv", "plain": "a.vcf", "bcf": "a.bcf"}.get(form, "a.vcf.gz")
    if form == "bgzip":
        with pysam.BGZFile(str(path), "wb", None) as file:
            file.write(text.encode())
    elif form == "bcf":
        plain = folder / "b.vcf"
        clean = "".join(f"chr1\t{pos}\t.\tA\tC\t.\t.\t.\n" for pos in range(1, count + 1))
        plain.write_text(VCF + clean)
        with (
            pysam.VariantFile(str(plain)) as reader,
            pysam.VariantFile(str(path), "wb", header=reader.header) as writer,
        ):
            for record in reader:
                writer.write(record)
    else:
        path.write_bytes(gzip.compress(text.encode()) if form == "gzip" else text.encode())
    return path


@pytest.mark.parametrize("form", ["plain", "table", "gzip", "bgzip", "bcf"])
@pytest.mark.parametrize(("count", "wanted"), [(0, 100), (1, 100), (100, 100), (30_000, 500)])
def test_small_files_are_read_to_their_end(tmp_path, form, count, wanted):
    found = spread_records(stored(tmp_path, form, count), wanted)
    assert len(found.pos) == min(count, wanted)
    assert set(found.chrom) | set(found.ref) | set(found.alt) == (
        {"chr1", "A", "C"} if count else set()
    )
    assert found.pos == sorted(set(found.pos))
    if count > wanted:
        steps = {b - a for a, b in zip(found.pos, found.pos[1:], strict=False)}
        assert max(steps) <= 2 * count / wanted
        assert found.pos[0] <= count / wanted
        assert found.pos[-1] > count * 0.99


@pytest.mark.parametrize("form", ["plain", "table", "bgzip", "gzip", "bcf"])
def test_large_files_are_read_at_many_places(tmp_path, form, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1_000)
    monkeypatch.setattr(module, "MOST_RECORDS", 50_000)
    monkeypatch.setattr(module, "PLACES", 20)
    path = stored(tmp_path, form, 100_000)
    found = spread_records(path, 2_000)
    assert found.pos == sorted(set(found.pos))
    assert set(found.ref) == {"A"}
    if form in ("gzip", "bcf"):
        assert 1_500 <= len(found.pos) <= 2_000
        assert 48_000 < found.pos[-1] <= 54_096
        return
    assert 1_500 < len(found.pos) <= 2_000
    # Every tenth of the file has its share.
    tenths = [sum(pos // 10_001 == tenth for pos in found.pos) for tenth in range(10)]
    assert min(tenths) >= 0.5 * len(found.pos) / 10


def test_a_damaged_line_is_reported_with_its_number(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1_000)
    path = tmp_path / "a.vcf"
    path.write_text(VCF + lines("plain", 3_000).replace("\t1500\t", "\tx\t"))
    monkeypatch.setattr(module, "PLACES", 50)
    with pytest.raises(ValueError, match="line 1503"):
        spread_records(path, 5_000)


def test_lines_longer_than_a_piece_are_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "WHOLE", 1_000)
    monkeypatch.setattr(module, "PLACES", 10)
    path = tmp_path / "a.vcf"
    text = "X" * 150_000
    path.write_text(VCF + "".join(f"chr1\t{p}\t.\tA\tC\t.\t.\t{text}\n" for p in range(1, 61)))
    found = spread_records(path, 30)
    assert 8 <= len(found.pos) <= 30
    assert found.pos == sorted(set(found.pos))


def test_rows_in_memory_are_spread():
    rows = [("chr1", pos, "A", "C") for pos in range(1, 10_001)]
    found = spread_source(TableSource(rows, "the table"), 100)
    assert len(found.pos) == 100
    assert found.pos[-1] > 9_800


def test_pieces_are_read_until_they_hold_enough_lines():
    pieces = iter([b"cut\nfirst", b" line\nsec", b"ond", b"\n", b"third\n", b"fourth\n"])
    assert module._lines(pieces, 2) == [b"first line\n", b"second\n"]
    assert list(pieces) == [b"third\n", b"fourth\n"]


def test_pieces_without_line_ends_are_read_up_to_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_TEXT", 7)
    pieces = iter([b"cut\n", b"ab", b"cd", b"ef\n"])
    assert module._lines(pieces, 2) == []
    assert list(pieces) == [b"ef\n"]
