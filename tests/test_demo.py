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
from danq.demo import OUTPUTS, DemoReport, maximum_aupr, run_demo
from danq.demo.variant_effects import compare_effects, known_effect, predicted_effects
from danq.errors import InputError
from danq.genome.fasta import read_fasta
from danq.genome.nucleotide_codes import reverse_complement
from danq.inference import predict_codes
from danq.models import load_model
from danq.models.run_options import RunOptions
from danq.output import MARKER
from danq.simulation.ground_truth import KnownVariant
from danq.simulation.simulator import read_truth
from danq.training import ModelSettings, Recipe

OPTIONS = {
    "genome_size": 300_000,
    "variants": 40,
    "model": ModelSettings("danq-small", filters=48, width=14, hidden=8, dense=(16,)),
    "options": RunOptions(threads=1, precision="fp32"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> DemoReport:
    out = tmp_path_factory.mktemp("demo") / "new" / "demo"
    return run_demo(out, recipe=Recipe(epochs=2), **OPTIONS)


def test_every_output_exists_and_is_described(report):
    assert sorted(path.name for path in report.directory.iterdir()) == sorted([*OUTPUTS, MARKER])
    text = report.describe()
    for name in OUTPUTS:
        assert str(report.directory / name) in text
    assert f"{report.mean_aupr:.3f}" in text
    assert f"{report.mean_max_aupr:.3f}" in text
    assert set(report.seconds) == {
        "simulate",
        "build",
        "train",
        "evaluate",
        "predict",
        "score variants",
    }


def test_maximum_aupr_is_that_of_the_true_probabilities_by_scikit_learn(report):
    truth = read_truth(report.directory / "simulation")
    dataset = Dataset.open(report.directory / "dataset.h5")
    indices = dataset.indices("test")
    labels = dataset.labels(indices)
    scores = truth.probability(dataset.codes(indices)).astype(np.float32)
    assert truth.tracks == dataset.tracks == report.tracks
    for k, track in enumerate(report.tracks):
        expected = average_precision_score(labels[:, k], scores[:, k])
        assert report.max_aupr[track] == pytest.approx(expected)
        assert report.base_rate[track] == pytest.approx(labels[:, k].mean())
    assert report.mean_max_aupr == pytest.approx(np.mean(list(report.max_aupr.values())))
    assert report.fraction_of_max == pytest.approx(report.mean_aupr / report.mean_max_aupr)
    assert report.mean_max_aupr > 0.7


def test_aupr_is_that_of_the_saved_model(report):
    dataset = Dataset.open(report.directory / "dataset.h5")
    indices = dataset.indices("test")
    module = load_model(report.directory / "run").module
    scores = predict_codes(module, dataset.codes(indices), RunOptions(precision="fp32"))
    labels = dataset.labels(indices)
    for k, track in enumerate(report.tracks):
        expected = average_precision_score(labels[:, k], scores[:, k])
        assert report.aupr[track] == pytest.approx(expected, abs=1e-6)


def test_validation_and_test_contigs_are_not_used_for_training(report):
    dataset = Dataset.open(report.directory / "dataset.h5")
    truth = read_truth(report.directory / "simulation")
    for split, contigs in (("valid", truth.valid), ("test", truth.test)):
        names = {dataset.genome.names[c] for c in dataset.contig[dataset.indices(split)]}
        assert names == set(contigs)
    table = pl.read_csv(report.directory / "predictions.tsv.gz", separator="\t", comment_prefix="#")
    assert set(table["chrom"]) == set(truth.test)
    assert set(report.tracks) <= set(table.columns)
    assert table["end"].max() == truth.contigs[truth.test[0]]


def test_variants_file_has_predicted_and_known_effects_in_bits(report):
    truth = read_truth(report.directory / "simulation")
    table = pl.read_csv(report.directory / "variants.tsv", separator="\t", comment_prefix="#")
    assert table["id"].to_list() == [one.id for one in truth.variants]
    genome = dict(read_fasta(report.directory / "simulation" / "genome.fa"))
    model = load_model(report.directory / "run")
    row = next(i for i, one in enumerate(truth.variants) if one.kind == "breaking")
    one = truth.variants[row]
    left = one.pos - 1 - 250
    before = genome[one.contig][left : left + 500].copy()
    after = before.copy()
    after[250] = "ACGT".index(one.alt)
    pair = np.stack([before, after])
    strands = (pair, reverse_complement(pair))
    found = [
        predict_codes(model.module, codes, RunOptions(strand="forward", precision="fp32"))
        for codes in strands
    ]
    p = np.stack(found).astype(float)
    effect = np.diff(np.log2(p / (1 - p)), axis=1)[:, 0].mean(0)
    predicted = table.select(f"{track}_logit" for track in report.tracks).row(row)
    assert predicted == pytest.approx(effect, abs=1e-4)
    known = table.select(f"{track}_known_logit" for track in report.tracks).row(row)
    bits = [one.effect[track] / math.log(2) for track in report.tracks]
    assert known == pytest.approx(bits, abs=1e-3)


def test_summary_contains_the_metrics(report):
    summary = json.loads((report.directory / "summary.json").read_text())
    assert summary["test_mean"]["fraction_of_max"] == pytest.approx(report.fraction_of_max)
    assert summary["max_aupr"] == pytest.approx(dict(report.max_aupr))
    assert summary["variants"]["effective"] == report.variants["effective"] > 0


def test_other_files_and_earlier_output_are_not_replaced(report, tmp_path):
    with pytest.raises(InputError, match="exists already and is not empty"):
        run_demo(report.directory, **OPTIONS)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("x")
    with pytest.raises(InputError, match=r"has no valid danq-folder\.json"):
        run_demo(other, overwrite=True, **OPTIONS)
    with pytest.raises(InputError, match="is a file, not a folder"):
        run_demo(other / "chapter.txt", overwrite=True, **OPTIONS)
    assert [path.name for path in other.iterdir()] == ["chapter.txt"]


def test_an_earlier_demo_is_replaced(tmp_path):
    small = {**OPTIONS, "genome_size": 60_000, "variants": 5, "recipe": Recipe(epochs=1)}
    first = run_demo(tmp_path / "demo", **small)
    again = run_demo(tmp_path / "demo", overwrite=True, **small)
    assert again.to_dict()["test_mean"] == first.to_dict()["test_mean"]
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_predicted_and_known_effects_are_compared_by_kind_in_bits(report):
    truth = read_truth(report.directory / "simulation")
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
    found = compare_effects(replace(truth, variants=variants), truth.tracks, effects)
    known = [known_effect(one, one.track) for one in variants[:3]]
    assert known == pytest.approx([-2 / math.log(2), 4 / math.log(2), -1 / math.log(2)])
    expected = np.corrcoef([-1, 3, 0.5], known)[0, 1]
    assert found["correlation"] == pytest.approx(expected)
    assert (found["effective"], found["neutral"]) == (3, 1)
    assert found["sign_agreement"] == pytest.approx(2 / 3)
    assert (found["median_effect"], found["median_neutral_effect"]) == (1, 0.25)


def test_without_variants_the_metrics_are_undefined(report):
    truth = replace(read_truth(report.directory / "simulation"), variants=())
    model = load_model(report.directory / "run")
    effects = predicted_effects(model, truth, report.directory / "simulation" / "genome.fa")
    assert effects.shape == (0, len(truth.tracks))
    found = compare_effects(truth, truth.tracks, effects)
    assert found["effective"] == found["neutral"] == 0
    assert math.isnan(found["correlation"])


def test_maximum_aupr_follows_the_track_order_of_the_dataset(report):
    truth = read_truth(report.directory / "simulation")
    reordered = replace(truth, model=replace(truth.model, rules=tuple(reversed(truth.model.rules))))
    dataset = Dataset.open(report.directory / "dataset.h5")
    assert maximum_aupr(reordered, dataset) == pytest.approx(dict(report.max_aupr))


@pytest.mark.slow
def test_the_demo_recovers_the_ground_truth(tmp_path: Path):
    report = run_demo(tmp_path / "demo")
    assert report.fraction_of_max >= 0.8
    assert report.variants["sign_agreement"] >= 0.9
    assert report.variants["median_effect"] > 5 * report.variants["median_neutral_effect"]
