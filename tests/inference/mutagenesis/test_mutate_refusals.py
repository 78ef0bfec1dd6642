"""Invalid input of `write_mutations` raises an error and leaves no file."""

from __future__ import annotations

import pytest

import danq
from danq.errors import InputError
from danq.inference import Regions, write_mutations
from danq.inference.sources import source_from_options
from danq.models import Model


@pytest.fixture
def model(small_model) -> Model:
    return small_model()


REGION = {"region": "chrI:1-30"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "exactly one of an input file and a region"),
        ({"region": "chrI:1-30", "input": "genome.fa"}, "without a tile size"),
        ({"region": "chrI:1-30", "genome": None}, "given without its genome"),
        ({"region": "chrI:80-91"}, "chrI:80-91 is not inside chrI, which has 90 bases"),
        ({"region": "chrX:1-5"}, "the genome has"),
        ({"region": "chrI:9-5"}, "ends at 5, below its start"),
        ({"region": "chrI:0-5"}, "below 1"),
        ({"input": "genome.fa"}, "FASTA, which needs no"),
        ({"input": "rows.bed", "genome": None}, "a BED file needs its genome"),
        ({"input": "beyond.bed"}, "ends beyond chrI, which has 90 bases"),
        ({"input": "empty.bed"}, "holds no interval"),
        ({"input": "empty.fa", "genome": None}, "without sequence|no sequence|empty"),
        ({**REGION, "chrom_map": "rows.bed"}, "only the contigs of a BED file"),
        ({**REGION, "pairs": "5"}, "pairs is '5', not start-end"),
        ({**REGION, "pairs": ":2-5"}, "pairs is ':2-5', not start-end"),
        ({**REGION, "pairs": "2,1-2,5"}, "pairs is '2,1-2,5', not start-end"),
        ({**REGION, "pairs": "5-5"}, "fewer than two bases"),
        ({**REGION, "pairs": "0-5"}, "fewer than two bases"),
        ({**REGION, "pairs": "25-31"}, "pairs 25-31 are not inside chrI:1-30"),
        ({**REGION, "pairs": "chrM:2-5"}, "no sequence has that name"),
        ({"input": "rows.bed", "pairs": "2-5"}, "in any of 2 sequences"),
        ({"region": "chrI:1-41", "pairs": "2-5"}, "41 bases; the maximum is the window of 40"),
        ({**REGION, "tracks": ["Gal4"]}, "no track 'Gal4'"),
        (
            {**REGION, "out": "a.txt"},
            "the extension of an output format for mutation effects",
        ),
        (
            {**REGION, "out": "folder"},
            "the extension of an output format for mutation effects",
        ),
        ({**REGION, "out": "existing.tsv"}, "exists already"),
    ],
)
def test_invalid_arguments_are_refused(model, genome, tmp_path, monkeypatch, options, problem):
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "rows.bed": "chrI\t0\t9\nchrI\t20\t29\n",
        "beyond.bed": "chrI\t95\t98\n",
        "empty.bed": "#\n",
        "empty.fa": ">x\n>y\nACGT\n",
        "existing.tsv": "old",
    }.items():
        (tmp_path / name).write_text(text)
    before = {path.name for path in tmp_path.iterdir()} | {"genome.fa.fai"}
    source = {"genome": genome, **options}
    written = {name: source.pop(name) for name in ("pairs", "tracks") if name in source}
    out = source.pop("out", "a.tsv")
    with pytest.raises(InputError, match=problem):
        write_mutations(
            model, source_from_options(source.pop("input", None), **source), out, **written
        )
    assert {path.name for path in tmp_path.iterdir()} <= before
    assert (tmp_path / "existing.tsv").read_text() == "old"


@pytest.mark.parametrize("name", ["a.h5", "a.tsv", "a.parquet"])
def test_a_full_disk_leaves_no_file(model, genome, tmp_path, full_disk, name):
    danq.Genome(genome).close()
    with full_disk(2000), pytest.raises(InputError, match="cannot be written"):
        write_mutations(model, Regions("chrIV", genome), tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"genome.fa", "genome.fa.fai"}
