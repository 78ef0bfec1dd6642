"""danq reads the table of predictions that it wrote as a table of regions."""

from __future__ import annotations

import pytest

import danq
from danq.genome.bed import read_bed

CONTIGS = ("chrI", "#x", "HG002#1#chr2", 'q"r', "NA", "7", "naïve")


@pytest.fixture
def hostile_genome(write_fasta, sequences):
    texts = list(sequences.values())
    return write_fasta({name: texts[n % 3] for n, name in enumerate(CONTIGS)})


@pytest.mark.parametrize("suffix", ["tsv", "tsv.gz"])
@pytest.mark.parametrize("tracks", [("G", "C", "N"), ("#1", "a#2", "="), ("score", "inf", "NA")])
def test_predictions_of_tiles_are_regions(tmp_path, toy, hostile_genome, suffix, tracks):
    path, model = tmp_path / f"out.{suffix}", toy(tracks=tracks)
    danq.write_predictions(model, danq.Tiles(hostile_genome, 9), path)
    first = danq.predict(model, danq.Tiles(hostile_genome, 9))
    again = danq.predict(model, danq.Regions(path, hostile_genome))
    assert set(again.rows["chrom"]) == set(CONTIGS)
    assert again.rows.equals(first.rows)
    assert again.to_polars().equals(first.to_polars())


def test_names_of_regions_are_kept(tmp_path, toy, genome):
    bed = tmp_path / "in.bed"
    names = ["#x", "a#b", '"q"', 'a"b', "NA", "a b", "."]
    rows = [f"chrI\t{n * 10}\t{n * 10 + 9}\t{name}" for n, name in enumerate(names)]
    bed.write_text("\n".join(rows).replace('"q"', '"""q"""') + "\n")
    first = danq.predict(toy(), danq.Regions(bed, genome))
    assert first.rows["name"].to_list() == names
    danq.write_predictions(toy(), danq.Regions(bed, genome), tmp_path / "out.tsv")
    again = danq.predict(toy(), danq.Regions(tmp_path / "out.tsv", genome))
    assert again.to_polars().equals(first.to_polars())


@pytest.mark.parametrize("track", ["strand", "score", "peak", "id"])
def test_a_track_named_as_a_column_of_bed(tmp_path, toy, genome, track):
    path, model = tmp_path / "out.tsv", toy(tracks=("G", "C", track))
    danq.write_predictions(model, danq.Tiles(genome, 9), path)
    first = danq.predict(model, danq.Tiles(genome, 9)).rows
    assert read_bed(path).select("chrom", "start", "end").equals(first)


def test_the_order_of_rows_is_kept(tmp_path, toy, genome):
    bed = tmp_path / "in.bed"
    bed.write_text("chrM\t3\t5\nchrI\t50\t60\nchrI\t1\t9\n")
    danq.write_predictions(toy(), danq.Regions(bed, genome), tmp_path / "out.tsv")
    assert read_bed(tmp_path / "out.tsv")["start"].to_list() == [3, 50, 1]
