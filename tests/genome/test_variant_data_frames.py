"""Variants from memory, and what reading them from files does without."""

from __future__ import annotations

import subprocess
import sys

import polars as pl
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import VariantBlock, from_table, open_variants

TEXT = "ACGTTGCAACTGATCGGCTAAGTCCATGCA"
GENOME = PackedGenome.from_contigs([("chr1", encode(TEXT))])


def alleles(blocks: list[VariantBlock]) -> list[tuple]:
    return [
        row
        for one in blocks
        for row in zip(
            one.chrom, one.pos.tolist(), one.id, one.ref, one.alt, one.start.tolist(), strict=True
        )
    ]


def test_tables_from_memory(tmp_path):
    rows = [("chr1", 5, "T", "G,C", "a"), ("chr1", 9, "A", "C", None), ("chr1", 9, "A", None, "c")]
    (block,) = from_table(rows, GENOME)
    assert block.alt == ["G", "C", "C"]
    assert block.id == ["a", "a", "."]
    assert block.rejects[0].reason == "missing-alt"
    frame = pl.DataFrame(rows, schema=["chrom", "pos", "ref", "alt", "id"], orient="row")
    (other,) = from_table(frame.select("id", "alt", "ref", "pos", "chrom"), GENOME)
    assert alleles([other]) == alleles([block])
    with pytest.raises(InputError, match="lacks the columns alt"):
        from_table(frame.drop("alt"), GENOME)
    with pytest.raises(InputError, match="record '2': the row has 3 values"):
        list(from_table([("chr1", 5, "T", "G"), ("chr1", 5, "T")], GENOME))
    with pytest.raises(InputError, match="'x' is not a whole number"):
        list(from_table([("chr1", "x", "T", "G")], GENOME))


def test_a_missing_reference_allele_is_rejected(tmp_path):
    rows = [("chr1", 5, "", "G"), ("chr1", 7, None, "."), ("chr1", 9, ".", "C")]
    path = tmp_path / "a.tsv"
    path.write_text("chrom\tpos\tref\talt\nchr1\t5\t\tG\nchr1\t7\t\t.\nchr1\t9\t.\tC\n")
    for reader in (from_table(rows, GENOME), open_variants(path, GENOME)):
        (block,) = reader
        assert {one.reason for one in block.rejects} == {"missing-ref"}
        assert [one.detail for one in block.rejects] == [
            "REF is empty in the record at chr1:5",
            "REF is empty in the record at chr1:7",
            "REF is '.' in the record at chr1:9",
        ]


def test_pandas_and_polars_frames_give_the_same_variants(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = [("chr1", 5, "T", "G,C", "a"), ("chr1", 9, "A", "C", None), ("chr1", 9, "A", None, "c")]
    frame = pandas.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "id"], index=[7, 7, 2])
    known = list(from_table(rows, GENOME))
    for other in (frame, frame.convert_dtypes(), frame[["alt", "id", "pos", "ref", "chrom"]]):
        (block,) = from_table(other, GENOME)
        assert alleles([block]) == alleles(known)
        assert (block.id, block.rejects) == (known[0].id, known[0].rejects)
    with pytest.raises(InputError, match=r"lacks the columns pos, alt.*polars or pandas"):
        from_table(frame.drop(columns=["pos", "alt"]), GENOME)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.LazyFrame({"chrom": ["chr1"]}), "are a polars.*LazyFrame, not a table"),
        ({"chrom": ["chr1"]}, "are a builtins.dict, not a table"),
        (5, "are a builtins.int, not a table"),
        ([("chr1", 5, "T", "G"), {"chrom": "chr1"}], "record '2': the row is {'chrom': 'chr1'}"),
        (["chr1\t5\tT\tG"], "record '1': the row is 'chr1.*Give a polars or pandas data frame"),
        ([7], "record '1': the row is 7"),
    ],
)
def test_objects_that_are_not_tables_are_refused(table, message):
    with pytest.raises(InputError, match=message):
        list(from_table(table, GENOME))


def test_reading_loads_no_tables_and_no_htslib(tmp_path):
    path = tmp_path / "a.vcf"
    path.write_text("#CHROM\tPOS\tID\tREF\tALT\nchr1\t5\t.\tT\tG\nchr1\t9\t.\tA\tC,T\n")
    code = (
        "import sys; from danq.genome.nucleotide_codes import encode;"
        "from danq.genome.packed_genome import *;"
        "from danq.genome.variants import open_variants;"
        f"g = PackedGenome.from_contigs([('chr1', encode({TEXT!r}))]);"
        f"print(*map(len, open_variants({str(path)!r}, g))); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, modules = done.stdout.splitlines()
    assert first == "3"
    assert {"pysam", "polars", "pyfaidx", "torch"} & set(modules.split()) == set()
