"""bcftools and tabix read every annotated VCF, whatever the header of the input is like."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.inference import write_variant_scores

TEXT = "".join(np.random.default_rng(7).choice(list("ACGT"), 400))
NAMES = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
META = '##fileformat=VCFv4.3\n##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">\n'
CONTIG = "##contig=<ID=chr1,length=400>\n"
GT = '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'


def rows(ending: str = "") -> str:
    """Records at every 20th position."""
    lines = []
    for at in range(10, 390, 20):
        alt = "ACGT"["ACGT".index(TEXT[at]) - 1]
        lines.append(f"chr1\t{at + 1}\tv{at}\t{TEXT[at]}\t{alt}\t.\tPASS\tDP={at}{ending}\n")
    return "".join(lines)


HEADS = {
    "complete": META + CONTIG + NAMES + "\n" + rows(),
    "no header lines": NAMES + "\n" + rows(),
    "no version": META.partition("\n")[2] + CONTIG + NAMES + "\n" + rows(),
    "a late version": CONTIG + META + NAMES + "\n" + rows(),
    "two versions": "##fileformat=VCFv4.1\n" + META + CONTIG + NAMES + "\n" + rows(),
    "no contigs": META + NAMES + "\n" + rows(),
    "definitions twice": META + META + CONTIG + CONTIG + NAMES + "\n" + rows(),
    "contradictory INFO": META + META.replace("Integer", "String") + CONTIG + NAMES + "\n" + rows(),
    "FORMAT without samples": META + GT + CONTIG + NAMES + "\tFORMAT\n" + rows("\tGT"),
    "samples": META + GT + CONTIG + NAMES + "\tFORMAT\ts 1\ts2\n" + rows("\tGT\t0|1\t1|1"),
    "trailing tabs": META + CONTIG + NAMES + "\t\n" + rows("\t"),
    "CRLF": (META + CONTIG + NAMES + "\n" + rows()).replace("\n", "\r\n"),
    "CR": (META + CONTIG + NAMES + "\n" + rows()).replace("\n", "\r"),
    "concatenated": META + CONTIG + NAMES + "\n" + (META + CONTIG + NAMES + "\n").join(
        [rows()[: len(rows()) // 2].rpartition("\n")[0] + "\n",
         rows()[len(rows()[: len(rows()) // 2].rpartition("\n")[0]) + 1 :]]
    ),
    "an annotated one": META + '##INFO=<ID=DANQ_flags,Number=1,Type=Float,Description="old">\n'
    "##DANQ_version=0\n" + CONTIG + NAMES + "\n" + rows(";DANQ_flags=3"),
    "another contig": META + CONTIG + NAMES + "\n" + rows() + "chr9\t5\t.\tA\tC\t.\t.\t.\n",
}  # fmt: skip

TRACKS = ('CTCF "x", <b>\\', "H3K27ac;a=b", "α-SMA|1%z", "1st")


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n")
    return path


def bcftools(*arguments: str) -> tuple[str, str]:
    done = subprocess.run(["bcftools", *arguments], capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("form", HEADS)
def test_bcftools_and_tabix_read_the_annotated_vcf(small_model, fasta, tmp_path, form):
    path, out = tmp_path / "in.vcf", tmp_path / "out.vcf.gz"
    path.write_bytes(HEADS[form].encode())
    write_variant_scores(small_model(tracks=TRACKS), path, fasta, out, scores=("logit", "diff"))
    text, messages = bcftools("view", str(out))
    undefined = {"no header lines": "INFO 'DP' is not defined"}
    assert not [one for one in messages.splitlines() if undefined.get(form, "?") not in one]
    kept = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    given = [line.split("\t") for line in rows().splitlines()]
    assert [one[:7] for one in kept][: len(given)] == [one[:7] for one in given]
    assert [one[7].partition(";")[0] for one in kept][: len(given)] == [one[7] for one in given]
    head = [line for line in text.splitlines() if line.startswith("#")]
    assert head[0].startswith("##fileformat=VCFv4.")
    assert head[-1].split("\t")[9:] == (["s 1", "s2"] if form == "samples" else [])
    assert sum(line.startswith("##contig=<ID=chr1") for line in head) == 1
    # htslib parses and writes every field by its declared number and type.
    # BCF has no text for a field that no header line defines.
    bcf = tmp_path / ("a.vcf.gz" if form in undefined else "a.bcf")
    bcftools("view", "-o", str(bcf), str(out))
    bcftools("index", str(bcf))
    bcftools("index", "-f", str(out))
    near = subprocess.run(
        ["tabix", str(out), "chr1:100-200"], capture_output=True, text=True, check=True
    )
    assert [int(line.split("\t")[1]) for line in near.stdout.splitlines()] == [
        int(one[1]) for one in given if 100 <= int(one[1]) <= 200
    ]
    fields = [name.partition("=")[0] for name in kept[0][7].split(";")]
    values, _ = bcftools("query", "-f", f"%INFO/{fields[2]}\n", str(out))
    numbers = [float(one) for one in values.splitlines() if one != "."]
    assert len(numbers) == len(given)
    assert np.isfinite(numbers).all()


REFUSED = {
    "table": "chrom\tpos\tref\talt\nchr1\t11\tA\tC\n",
    "order": META + "#CHROM\tPOS\tREF\tALT\tID\nchr1\t11\tA\tC\t.\n",
    "a sample without FORMAT": META + NAMES + "\ts1\n" + rows("\t0|1"),
    "latin-1": "",
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_annotated_is_refused_before_it_is_scored(
    small_model, fasta, tmp_path, form, monkeypatch
):
    path, out = tmp_path / "in.vcf", tmp_path / "out.vcf.gz"
    path.write_text(REFUSED[form])
    message = "cannot be annotated|can be annotated"
    if form == "latin-1":
        text = META.replace("Depth", "Genève") + NAMES + "\n" + rows()
        path.write_bytes(text.encode("latin-1"))
        message = "not UTF-8, which cannot be written"

    def never(*_: object) -> None:
        raise AssertionError("scored")

    monkeypatch.setattr("danq.inference.variants.scorer.Scorer.values", never)
    with pytest.raises(InputError, match=message):
        write_variant_scores(small_model(), path, fasta, out)
    assert {one.name for one in tmp_path.iterdir()} == {"genome.fa", "genome.fa.fai", "in.vcf"}


def test_the_position_before_a_contig_is_written(small_model, fasta, tmp_path):
    path, out = tmp_path / "in.vcf", tmp_path / "out.vcf.gz"
    path.write_text(META + CONTIG + NAMES + "\nchr1\t0\t.\tN\tA\t.\t.\t.\n" + rows())
    write_variant_scores(small_model(), path, fasta, out)
    text, messages = bcftools("query", "-f", "%POS\n", str(out))
    assert text.splitlines()[:2] == ["0", "11"]
    assert not messages
    with gzip.open(out, "rt") as file:
        assert sum(not line.startswith("#") for line in file) == len(rows().splitlines()) + 1
