"""Tables that danq writes about variants are tables of variants themselves."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from danq.inference import score_variants, write_variant_scores

TEXT = "".join(np.random.default_rng(7).choice(list("ACGT"), 400))


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n")
    return path


@pytest.fixture
def vcf(tmp_path) -> Path:
    lines = ["#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for at in range(10, 390, 20):
        ref = TEXT[at]
        alt = "ACGT"["ACGT".index(ref) - 1]
        lines.append(f"chr1\t{at + 1}\tv{at}\t{ref}\t{alt},<DEL>,\t.\t.\t.")
    lines += ["chr1\t9\t.\t.\tA\t.\t.\t.", "chr9\t9\tz\tA\tC\t.\t.\t."]
    path = tmp_path / "in.vcf"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz"])
@pytest.mark.parametrize("tracks", [("Reb1", "Abf1"), ("ref", "pos_1"), ("a1", "effect_allele")])
@pytest.mark.parametrize("scores", [None, ("logit",)])
def test_variant_effects_are_read_as_variants(
    small_model, fasta, vcf, tmp_path, name, tracks, scores, caplog
):
    caplog.set_level(logging.INFO, logger="danq")
    model, out = small_model(tracks=tuple(f"{one}x" for one in tracks)), tmp_path / name
    write_variant_scores(model, vcf, fasta, out, scores=scores)
    first = score_variants(model, vcf, fasta, scores=scores).to_polars()
    caplog.clear()
    again = score_variants(model, out, fasta, scores=scores).to_polars()
    assert again.equals(first)
    assert first.height == 19
    assert "a table separated by" not in caplog.text
    assert "was repeated" not in caplog.text


def test_rejected_alleles_are_read_as_variants(small_model, fasta, vcf, tmp_path):
    model, out = small_model(), tmp_path / "out.tsv"
    write_variant_scores(model, vcf, fasta, out)
    rejected = tmp_path / "out.tsv.rejected.tsv"
    first = score_variants(model, vcf, fasta).rejected
    again = score_variants(model, rejected, fasta)
    assert again.to_polars().height == 0
    columns = ["chrom", "pos", "id", "ref", "alt", "reason", "detail"]
    assert again.rejected.select(columns).equals(first.select(columns))
    assert first.height == 40


def test_quoted_names_are_read_as_they_were(small_model, tmp_path):
    genome = {"HG002#1#chr1": TEXT}
    names = ['a"b', '"', "x#y", "NA"]
    rows = [
        ("HG002#1#chr1", at + 1, TEXT[at], "ACGT"["ACGT".index(TEXT[at]) - 1], name)
        for at, name in zip((20, 60, 90, 150), names, strict=True)
    ]
    model, out = small_model(), tmp_path / "out.tsv"
    write_variant_scores(model, rows, genome, out)
    again = score_variants(model, out, genome).to_polars()
    assert again.equals(score_variants(model, rows, genome).to_polars())
    assert again["id"].to_list() == names
