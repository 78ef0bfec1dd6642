"""Blocks of variants that are skipped: the others are the same as if all were read."""

from __future__ import annotations

import gzip
import io
import itertools
import logging
import random
import sys
from dataclasses import replace
from pathlib import Path

import pysam
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import Blocks, VariantBlock, from_table, open_variants, text_lines

TEXT = "".join(random.Random(5).choices("ACGT", k=3_000))
GENOME = PackedGenome.from_contigs([("chr1", encode(TEXT))])
OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
HEAD = f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=3000>\n{COLUMNS}"
COUNT = 103


def rows() -> list[tuple]:
    made = []
    for i in range(COUNT):
        ref = TEXT[10 * i + 9]
        alt = OTHER[ref] if i % 5 else f"{OTHER[ref]},{ref}A"
        made.append(("chr1", 10 * i + 10, ref if i % 7 else OTHER[alt[0]], alt, f"é{i}"))
    return made


def vcf_lines() -> list[str]:
    return [f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a, i in rows()]


def with_other_lines(lines: list[str], header: str) -> list[str]:
    """Lines that are no records, between records: the numbers of lines and of records differ."""
    made = []
    for number, line in enumerate(lines):
        if number % 10 == 4:
            made += ["\n", "   \n", "\t\n", "\N{NO-BREAK SPACE}\n"]
        if number % 25 == 7:
            made += ["#a comment\n", header]
        made.append(line)
    return made


def stored(folder: Path, form: str) -> Path:
    lines = vcf_lines()
    if form == "table":
        header = "chrom\tpos\tref\talt\tid\n"
        texts = ["\t".join(map(str, row)) + "\n" for row in rows()]
        text = "".join([header, *with_other_lines(texts, header)])
    elif form in ("bcf", "plain"):
        text = HEAD + "".join(lines)
    else:
        text = "".join([HEAD, *with_other_lines(lines, COLUMNS)])
    if form == "cr":
        text = text.replace("\n", "\r")
    data = text.removesuffix("\n").encode()
    path = folder / {"table": "a.tsv", "gzip": "a.vcf.gz", "bcf": "a.bcf"}.get(form, "a.vcf")
    if form == "bcf":
        (folder / "plain.vcf").write_bytes(data)
        with (
            pysam.VariantFile(str(folder / "plain.vcf")) as source,
            pysam.VariantFile(str(path), "wb", header=source.header) as out,
        ):
            for one in source:
                out.write(one)
        return path
    path.write_bytes(gzip.compress(data) if form == "gzip" else data)
    return path


def compared(block: VariantBlock) -> dict:
    """A block as values that can be compared."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in vars(replace(block)).items()
    }


def read(source: Path | str, block: int, blocks: Blocks | None = None, **options) -> list[dict]:
    with open_variants(source, GENOME, block=block, blocks=blocks, **options) as reader:
        return [compared(one) for one in reader]


CHOICES: list[Blocks] = [
    lambda number: number % 3 == 1,
    lambda number: number >= 4,
    lambda number: number == 0 or number % 5 == 4,
    lambda number: number > 1000,
]


@pytest.mark.parametrize("piece", [64, 1 << 18])
@pytest.mark.parametrize("form", ["plain", "vcf", "gzip", "cr", "table", "bcf"])
def test_read_blocks_are_those_of_a_complete_reading(tmp_path, form, piece, monkeypatch):
    monkeypatch.setattr(text_lines, "PIECE", piece)
    path = stored(tmp_path, form)
    for size in (1, 7, 16, COUNT, COUNT + 1):
        complete = read(path, size)
        assert [one["number"] for one in complete] == list(range(-(-COUNT // size)))
        assert sum(one["records"] for one in complete) == COUNT
        for blocks in CHOICES:
            kept = [one for one in complete if blocks(one["number"])]
            assert read(path, size, blocks) == kept


def test_blocks_of_tables_in_memory_and_of_streams(monkeypatch, tmp_path):
    path = stored(tmp_path, "vcf")
    for blocks in CHOICES:
        kept = [one for one in read(path, 16) if blocks(one["number"])]
        with path.open("rb") as handle:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(handle))
            with open_variants("-", GENOME, block=16, blocks=blocks) as reader:
                counted = []
                reader.compare_references(
                    40, lambda one, more, to=counted: to.append((one.matching + one.neither, more))
                )
                assert [compared(one) for one in reader] == kept
            # The records of the first blocks that are read are compared with the genome.
            sums = list(itertools.accumulate(one["records"] for one in kept[:3]))
            expected = [(count, count < 40) for count in sums]
            if not sums or sums[-1] < 40:
                expected.append((sums[-1] if sums else 0, False))
            assert counted == expected
        table = [compared(one) for one in from_table(rows(), GENOME, block=16, blocks=blocks)]
        assert [(one["number"], one["first"], one["pos"]) for one in table] == [
            (one["number"], one["first"], one["pos"]) for one in kept
        ]


def test_errors_after_skipped_blocks_name_the_line(tmp_path):
    lines = with_other_lines(vcf_lines(), COLUMNS)
    wrong = max(i for i, line in enumerate(lines) if line.startswith("chr1"))
    lines[wrong] = lines[wrong].replace("chr1\t", "chr1\tx")
    path = tmp_path / "a.vcf"
    path.write_text(HEAD + "".join(lines))
    with pytest.raises(InputError) as caught:
        read(path, 10, lambda number: number > 8)
    assert caught.value.line == wrong + 1 + HEAD.count("\n")
    # A second header that differs is an error in a skipped block, too.
    path.write_text(HEAD + "".join(lines[:60]) + COLUMNS.replace("INFO", "FORM") + lines[0])
    with pytest.raises(InputError, match="second line of column names"):
        read(path, 10, lambda number: number > 100)


def test_a_part_without_a_contig_of_the_genome_is_not_an_error(tmp_path, caplog):
    """Only all records together show that no contig is in the genome."""
    text = "chrom\tpos\tref\talt\n" + "chr1\t10\tA\tC\n" * 10 + "other\t10\tA\tC\n" * 10
    path = tmp_path / "a.tsv"
    path.write_text(text)
    kept = [one for one in read(path, 5) if one["number"] > 1]
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="danq"):
        found = read(path, 5, lambda number: number > 1, chrom_map={"third": "chr1"})
    assert found == kept
    assert len(kept) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "not in the genome, whose variants are rejected: other" in caplog.text
    path.write_text(text.replace("chr1\t", "second\t"))
    with pytest.raises(InputError, match="none of its contigs is in the genome"):
        read(path, 5)
