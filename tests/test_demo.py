from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from danq.datasets import Dataset
from danq.demo import PARTS, DemoReport, ceilings, demo
from danq.demo.variant_effects import compare_effects, score_variants
from danq.errors import InputError
from danq.genome.fasta import read_fasta
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference import predict_codes
from danq.models import load_model
from danq.models.run_options import RunOptions
from danq.simulation.ground_truth import KnownVariant
from danq.simulation.simulator import read_truth

SMALL = {"filters": 48, "width": 14, "hidden": 8, "dense": (16,)}
FP32 = {"precision": "fp32"}
OPTIONS = {"genome_size": 300_000, "variants": 40, "model_changes": SMALL, "threads": 1, **FP32}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> DemoReport:
    out = tmp_path_factory.mktemp("demo") / "new" / "demo"
    return demo(out, recipe_changes={"epochs": 2}, **OPTIONS)


def test_every_part_is_there_and_told(report):
    assert sorted(path.name for path in report.folder.iterdir()) == sorted(PARTS)
    text = report.describe()
    for name in PARTS:
        assert str(report.folder / name) in text
    assert f"{report.mean_aupr:.3f}" in text
    assert f"{report.mean_ceiling:.3f}" in text
    assert set(report.seconds) == {
        "simulate",
        "build",
        "train",
        "evaluate",
        "predict",
        "score variants",
    }


def test_ceiling_is_the_truth_as_scikit_learn_ranks_it(report):
    truth = read_truth(report.folder / "simulation")
    dataset = Dataset.open(report.folder / "dataset.h5")
    indices = dataset.indices("test")
    labels = dataset.labels(indices)
    scores = truth.probability(dataset.codes(indices)).astype(np.float32)
    assert truth.tracks == dataset.tracks == report.tracks
    for k, track in enumerate(report.tracks):
        expected = average_precision_score(labels[:, k], scores[:, k])
        assert report.ceiling[track] == pytest.approx(expected)
        assert report.base_rate[track] == pytest.approx(labels[:, k].mean())
    assert report.mean_ceiling == pytest.approx(np.mean(list(report.ceiling.values())))
    assert report.share == pytest.approx(report.mean_aupr / report.mean_ceiling)
    assert report.mean_ceiling > 0.7


def test_aupr_is_that_of_the_saved_model(report):
    dataset = Dataset.open(report.folder / "dataset.h5")
    indices = dataset.indices("test")
    module = load_model(report.folder / "run").module
    scores = predict_codes(module, dataset.codes(indices), RunOptions(**FP32))
    labels = dataset.labels(indices)
    for k, track in enumerate(report.tracks):
        expected = average_precision_score(labels[:, k], scores[:, k])
        assert report.aupr[track] == pytest.approx(expected, abs=1e-6)


def test_held_out_contig_is_never_trained_on(report):
    dataset = Dataset.open(report.folder / "dataset.h5")
    truth = read_truth(report.folder / "simulation")
    for split, contigs in (("valid", truth.valid), ("test", truth.test)):
        names = {dataset.genome.names[c] for c in dataset.contig[dataset.indices(split)]}
        assert names == set(contigs)
    table = pl.read_csv(report.folder / "predictions.tsv.gz", separator="\t", comment_prefix="#")
    assert set(table["chrom"]) == set(truth.test)
    assert set(report.tracks) <= set(table.columns)
    assert table["end"].max() == truth.contigs[truth.test[0]]


def test_variants_file_has_the_prediction_for_each_allele(report):
    truth = read_truth(report.folder / "simulation")
    table = pl.read_csv(report.folder / "variants.tsv", separator="\t", comment_prefix="#")
    assert table["id"].to_list() == [one.id for one in truth.variants]
    genome = dict(read_fasta(report.folder / "simulation" / "genome.fa"))
    model = load_model(report.folder / "run")
    row = next(i for i, one in enumerate(truth.variants) if one.kind == "breaking")
    one = truth.variants[row]
    left = one.pos - 1 - 250
    before = genome[one.contig][left : left + 500].copy()
    after = before.copy()
    after[250] = "ACGT".index(one.alt)
    pair = np.stack([before, after])
    strands = (pair, reverse_complement(pair))
    found = [
        predict_codes(model.module, codes, RunOptions(strand="forward", **FP32))
        for codes in strands
    ]
    p = np.stack(found).astype(float)
    effect = np.diff(np.log(p / (1 - p)), axis=1)[:, 0].mean(0)
    assert table.select(report.tracks).row(row) == pytest.approx(effect, abs=1e-4)
    known = table.select(f"{track}_known" for track in report.tracks).row(row)
    assert known == pytest.approx([one.effect[track] for track in report.tracks], abs=1e-3)


def test_summary_holds_the_figures(report):
    summary = json.loads((report.folder / "summary.json").read_text())
    assert summary["held_out_mean"]["share"] == pytest.approx(report.share)
    assert summary["ceiling"] == pytest.approx(dict(report.ceiling))
    assert summary["variants"]["changing"] == report.variants["changing"] > 0


def test_what_lies_there_is_left_alone_unless_it_may_go(report, tmp_path):
    with pytest.raises(InputError, match="exists already and is not empty"):
        demo(report.folder, **OPTIONS)
    strange = tmp_path / "thesis"
    strange.mkdir()
    (strange / "chapter.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds chapter\.txt, which is not of the demo"):
        demo(strange, overwrite=True, **OPTIONS)
    with pytest.raises(InputError, match="is a file, not a folder"):
        demo(strange / "chapter.txt", overwrite=True, **OPTIONS)
    assert [path.name for path in strange.iterdir()] == ["chapter.txt"]


def test_effects_are_compared_by_kind(report):
    truth = read_truth(report.folder / "simulation")
    first, second = truth.tracks[:2]
    none = dict.fromkeys(truth.tracks, 0.0)
    variants = (
        KnownVariant("a", "chr1", 5, "A", "C", "breaking", first, {**none, first: -2.0}),
        KnownVariant("b", "chr1", 6, "A", "C", "releasing", second, {**none, second: 4.0}),
        KnownVariant("c", "chr1", 7, "A", "C", "breaking", second, {**none, second: -1.0}),
        KnownVariant("d", "chr1", 8, "A", "C", "neutral-outside", "", none),
        KnownVariant("e", "chr1", 9, "A", "AC", "indel", "", none),
    )
    effects = np.zeros((5, len(truth.tracks)), dtype=np.float32)
    effects[0, 0], effects[1, 1], effects[2, 1] = -1, 3, 0.5
    effects[3] = -0.25
    effects[4] = 9
    figures = compare_effects(replace(truth, variants=variants), truth.tracks, effects)
    expected = np.corrcoef([-1, 3, 0.5], [-2, 4, -1])[0, 1]
    assert figures["correlation"] == pytest.approx(expected)
    assert (figures["changing"], figures["neutral"]) == (3, 1)
    assert figures["signs"] == pytest.approx(2 / 3)
    assert (figures["changing_size"], figures["neutral_size"]) == (1, 0.25)


def test_no_variants_give_no_figures(report):
    truth = replace(read_truth(report.folder / "simulation"), variants=())
    model = load_model(report.folder / "run")
    effects = score_variants(model, truth, report.folder / "simulation" / "genome.fa")
    assert effects.shape == (0, len(truth.tracks))
    figures = compare_effects(truth, truth.tracks, effects)
    assert figures["changing"] == figures["neutral"] == 0
    assert math.isnan(figures["correlation"])


def test_ceilings_follow_the_order_of_the_dataset(report):
    truth = read_truth(report.folder / "simulation")
    turned = replace(truth, model=replace(truth.model, rules=tuple(reversed(truth.model.rules))))
    dataset = Dataset.open(report.folder / "dataset.h5")
    assert ceilings(turned, dataset) == pytest.approx(dict(report.ceiling))


@pytest.mark.slow
def test_the_demo_recovers_the_planted_truth(tmp_path: Path):
    report = demo(tmp_path / "demo")
    assert report.share >= 0.8
    assert report.variants["signs"] >= 0.9
    assert report.variants["changing_size"] > 5 * report.variants["neutral_size"]
