"""Genotypes and names of samples are in a report only if it is asked for them."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import polars as pl
import pytest

import danq
from danq.report import ReportOptions, write_report
from danq.report.genotypes import SAMPLES, read_genotypes, without_personal_flags
from tests.report_outputs import GENOTYPE, OPTIONS, SAMPLE

FORMATS = ("tsv", "h5", "parquet", "vcf.gz")


@pytest.fixture(scope="module")
def haplotypes(made, tmp_path_factory) -> Path:
    """Effects on the haplotypes of the sample, in each format."""
    folder = tmp_path_factory.mktemp("haplotypes")
    model = danq.load(made / "run", **OPTIONS)
    bases = (made / "genome.fa").read_text().split("\n")[1]
    alleles = [(at, bases[at - 1], "C" if bases[at - 1] != "C" else "A") for at in (200, 205, 210)]
    lines = "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\t.\tGT:XX\t{GENOTYPE}\n" for p, r, a in alleles)
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    (folder / "in.vcf").write_text(f"##fileformat=VCFv4.2\n{columns}\t{SAMPLE}\n{lines}")
    source = danq.Variants(folder / "in.vcf", haplotypes=SAMPLE)
    for ending in FORMATS:
        danq.write_variant_scores(
            model, source, made / "genome.fa", folder / f"effects.{ending}", scores=["logit"]
        )
    return folder


def page_of(path: Path, out: Path, **options) -> str:
    """Text of a page, and of the numbers behind its links."""
    text = write_report(path, out, ReportOptions(**options), overwrite=True).path.read_text()
    data = re.findall(r"base64,([A-Za-z0-9+/=]+)", text)
    return "\n".join([text, *(base64.b64decode(one).decode("latin-1") for one in data)])


@pytest.mark.parametrize("ending", FORMATS)
def test_samples_are_named_only_if_asked_for(haplotypes, tmp_path, ending):
    path = haplotypes / f"effects.{ending}"
    without = page_of(path, tmp_path / "a.html")
    assert SAMPLE not in without
    assert "0|1" not in without
    assert "of one sample, whose name is not shown" in without
    assert not re.search(r"<td[^>]*>[^<]*(neighbours|left-out)", without)
    shown = page_of(path, tmp_path / "a.html", genotypes=True)
    assert f"of sample {SAMPLE}" in shown
    assert re.search(r"<td[^>]*>[^<]*neighbours", shown)
    assert ("0|1" in shown) == (ending == "vcf.gz")
    assert (f"genotype of {SAMPLE}" in shown) == (ending == "vcf.gz")
    assert "secret" not in shown.replace(SAMPLE, "")


def test_flags_that_depend_on_genotypes_are_left_out():
    flags = pl.Series("flags", ["", "padded,neighbours", "left-out", "moved,left-out,unmatched"])
    assert without_personal_flags(flags).to_list() == ["", "padded", "", "moved,unmatched"]


def test_genotypes_are_those_of_the_first_samples(tmp_path):
    names = [f"s{n}" for n in range(SAMPLES + 3)]
    head = "##x\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    lines = [
        "\t".join(["c", "5", ".", "A", "C", ".", ".", ".", "DP:GT", *("9:0/1" for _ in names)]),
        "\t".join(["c", "6", ".", "A", "C", ".", ".", ".", "DP", *("9" for _ in names)]),
        "\t".join(["c", "7", ".", "A", "C", ".", ".", ".", "DP:GT", "9", *["9:1/1"] * 3]),
        "c\t8\t.\tA\tC\t.\t.\t.",
    ]
    path = tmp_path / "a.vcf"
    path.write_text("\n".join(["\t".join([head, "FORMAT", *names]), *lines]) + "\n")
    rows = pl.DataFrame({"chrom": "c", "pos": [8, 7, 6, 5, 4], "id": ".", "ref": "A"})
    found = read_genotypes(path, rows)
    assert found.columns == [f"genotype of {name}" for name in names[:SAMPLES]]
    assert found["genotype of s0"].to_list() == ["", "", "", "0/1", ""]
    assert found["genotype of s3"].to_list() == ["", "1/1", "", "0/1", ""]
    assert found["genotype of s7"].to_list() == ["", "", "", "0/1", ""]
    path.write_text(head + "\n" + lines[3] + "\n")
    assert read_genotypes(path, rows).width == 0
