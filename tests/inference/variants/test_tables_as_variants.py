"""danq reads the tables of variant effects and mutations that it wrote as variants."""

from __future__ import annotations

import polars as pl
import pytest

import danq
from danq.inference import Variants
from danq.interpretation.variant_classification.effect_features import read_effects

CONTIGS = ("chrI", "#x", "HG002#1#chr2", 'q"r', "NA", "7", "naïve")
KEYS = ["chrom", "pos", "ref", "alt"]


@pytest.fixture
def hostile_genome(write_fasta, sequences):
    text = "".join(sequences.values()).replace("N", "A")
    return write_fasta({name: text[n * 40 : n * 40 + 40] for n, name in enumerate(CONTIGS)})


@pytest.fixture
def variants(hostile_genome) -> pl.DataFrame:
    lines = hostile_genome.read_text().splitlines()
    records = zip(lines[::2], lines[1::2], strict=True)
    rows = [
        (name[1:], pos, f'#{pos}"', text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - 1])
        for name, text in records
        for pos in (3, 20, 31)
    ]
    return pl.DataFrame(rows, schema=["chrom", "pos", "id", "ref", "alt"], orient="row")


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
def test_variant_effects_are_variants(tmp_path, toy, hostile_genome, variants, suffix):
    path, model = tmp_path / f"out.{suffix}", toy(tracks=("#1", "a#b", "c"))
    danq.write_variant_scores(model, variants, hostile_genome, path)
    first = danq.score_variants(model, variants, hostile_genome)
    assert first.rows.select(KEYS).equals(variants.select(KEYS))
    again = danq.score_variants(model, Variants(path), hostile_genome)
    assert again.to_polars().equals(first.to_polars())


def test_rejected_variants_are_variants(tmp_path, toy, hostile_genome, variants):
    """Those on '#x' have another REF than the genome: 1 of 22 records."""
    wrong = variants.filter(chrom="#x").head(1).rename({"ref": "alt", "alt": "ref"})
    mixed = pl.concat([variants, wrong.select(variants.columns)])
    danq.write_variant_scores(toy(), mixed, hostile_genome, tmp_path / "out.tsv")
    table = tmp_path / "out.tsv.rejected.tsv"
    read = Variants(table, ref_mismatch="swap")
    again = danq.score_variants(toy(), read, hostile_genome)
    assert again.rows["chrom"].to_list() == ["#x"]
    assert again.rows["id"].to_list() == wrong["id"].to_list()


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
def test_mutations_are_variants(tmp_path, toy, hostile_genome, suffix):
    path, bed = tmp_path / f"out.{suffix}", tmp_path / "in.bed"
    bed.write_text("".join('"{}"\t0\t40\n'.format(name.replace('"', '""')) for name in CONTIGS))
    danq.write_mutations(toy(), danq.Regions(bed, hostile_genome), path)
    types = {"chrom": pl.String}
    table = pl.read_csv(path, separator="\t", comment_prefix="#", schema_overrides=types)
    again = danq.score_variants(toy(), Variants(path), hostile_genome)
    assert len(again) == table.height == 3 * 40 * len(CONTIGS)
    assert again.rows.select(KEYS).equals(table.select(KEYS))


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz", "parquet", "h5"])
def test_classification_reads_every_format(tmp_path, toy, hostile_genome, variants, suffix):
    path, model = tmp_path / f"out.{suffix}", toy(tracks=("#1", "a#b", "c"))
    scores = ("logit", "diff")
    danq.write_variant_scores(model, variants, hostile_genome, path, scores=scores)
    found = read_effects(path)
    assert found.variants.select(variants.columns).equals(variants)
    assert found.values.shape == (len(variants), 6)
    assert {name.split("_")[0].split(" ")[-1] for name in found.names} >= {"#1", "a#b", "c"}
