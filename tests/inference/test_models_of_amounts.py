"""What refuses models of amounts, or datasets that do not fit them, by name."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import danq
from danq.amounts import AmountUnit
from danq.datasets.column_summary import total_amounts
from danq.errors import InputError
from danq.evaluation.amount_metrics import amount_metrics
from danq.inference.engine.forward import predict_dataset
from danq.inference.evaluation.evaluation_folder import write_evaluation
from danq.models import TargetGroup, architecture, untrained
from danq.report import Absent, evaluation_section
from tests.amount_dataset import amount_dataset

SMALL = architecture("danq", filters=8, width=8, pool=4, hidden=4, dense=(6,))


def model_of(dataset, **changes):
    peaks = dataset.peaks.size
    groups = (TargetGroup(loss="binary", tracks=peaks),) if peaks else ()
    groups += (TargetGroup(loss="gaussian", tracks=2),)
    model = untrained("danq", SMALL, dataset.tracks, 60, 20, groups, dataset.units)
    spec = model.spec.model_copy(update={"oriented": dataset.oriented} | changes)
    return replace(model.with_options(device="cpu", threads=1), spec=spec)


def profile_model(dataset):
    peaks = dataset.peaks.size
    groups = (TargetGroup(loss="binary", tracks=peaks),) if peaks else ()
    groups += (TargetGroup(loss="profile", tracks=2, steps=4, step_bases=5),)
    model = untrained("danq", SMALL, dataset.tracks, 60, 20, groups, dataset.units)
    return model.with_options(device="cpu", threads=1)


@pytest.mark.parametrize("peaks", [False, True])
def test_evaluation_reports_amounts_beside_peaks(peaks, tmp_path):
    dataset = amount_dataset(300, peaks=peaks)
    model = model_of(dataset)
    report = danq.evaluate(model, dataset, bootstrap=20, baseline=True)
    amounts = report.amounts if peaks else report
    rows = dataset.indices("test")
    found = predict_dataset(model.module, dataset, rows, model.options, model.spec.targets)
    expected = amount_metrics(found[:, peaks:], total_amounts(dataset, rows))
    assert amounts.table["track"].to_list() == ["strong", "adenines"]
    np.testing.assert_array_equal(amounts.table["pearson"], expected.pearson)
    np.testing.assert_array_equal(amounts.table["windows"], expected.windows)
    assert amounts.table["pearson_low"].null_count() == 0
    assert amounts.table["baseline_pearson"].null_count() == 0
    assert "2 tracks of amounts" in report.describe()
    write_evaluation(report, tmp_path / "out")
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"amounts.tsv", "amount_groups.tsv", "scatter.png", "amount_baseline.png"} <= files
    assert ("metrics.tsv" in files) == peaks
    scatter = pl.read_csv(tmp_path / "out/scatter.tsv", separator="\t", comment_prefix="#")
    for k, track in enumerate(amounts.table["track"]):
        known = ~np.isnan(amounts.measured[:, k])
        own = scatter.filter(pl.col("track") == track)
        np.testing.assert_allclose(own["measured"], np.sort(amounts.measured[known, k]), rtol=1e-5)
        expected_sum = amounts.predicted[known, k].sum()
        assert own["predicted"].sum() == pytest.approx(expected_sum, rel=1e-4)
    section = evaluation_section(tmp_path / "out")
    titles = [one.title for one in section.parts if not isinstance(one, Absent)]
    assert len(titles) == len(section.parts)
    assert "Predicted and measured amounts: strong" in titles
    assert "Pearson of the model and of the baseline" in titles
    assert f"{amounts.macro_pearson:.3f}" in section.facts["mean Pearson"]
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["amounts"]["overall"]["pearson_mean"] == pytest.approx(amounts.macro_pearson)
    if peaks:
        assert report.table["track"].to_list() == ["Reb1"]
        assert summary["overall"]["tracks"] == 1


@pytest.mark.parametrize("peaks", [False, True])
@pytest.mark.parametrize("steps", [0, 4])
def test_metrics_of_amounts_are_reported_with_and_without_leaked_windows(peaks, steps, tmp_path):
    dataset = amount_dataset(300, peaks=peaks, steps=steps)
    rows = dataset.indices("test")
    leaked = np.zeros(len(dataset), np.uint8)
    leaked[rows[::3]] = 1
    dataset.__dict__["leaked"] = leaked
    model = model_of(dataset) if not steps else profile_model(dataset)
    report = danq.evaluate(model, dataset, bootstrap=0)
    amounts = report.amounts if peaks else report
    own = leaked[rows] == 0
    kept = amount_metrics(amounts.predicted[own], amounts.measured[own])
    for metric in ("pearson", "spearman", "r2"):
        found = amounts.table[f"{metric}_without_leaked"]
        np.testing.assert_array_equal(found, getattr(kept, metric))
        assert found.to_list() != amounts.table[metric].to_list()
        mean = amounts.groups[f"{metric}_without_leaked_mean"][0]
        assert mean == pytest.approx(getattr(kept, metric).mean())
    assert f"without {len(rows[::3])} leaked windows" in amounts.describe()
    write_evaluation(report, tmp_path / "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["leaked_windows"] == len(rows[::3])
    assert "pearson_without_leaked_mean" in summary["amounts"]["overall"]


def test_without_leaked_windows_their_columns_are_empty():
    dataset = amount_dataset(300)
    dataset.__dict__["leaked"] = np.zeros(len(dataset), np.uint8)
    report = danq.evaluate(model_of(dataset), dataset, bootstrap=0)
    assert report.table["pearson_without_leaked"].null_count() == 2
    assert "leaked" not in report.describe()


@pytest.mark.parametrize("peaks", [False, True])
def test_one_window_has_no_intervals_and_one_warning(peaks, caplog):
    dataset = amount_dataset(300, peaks=peaks)
    split = np.where(dataset.split == 2, 0, dataset.split)
    split[dataset.indices("test")[0]] = 2
    dataset = replace(dataset, split=split)
    report = danq.evaluate(model_of(dataset), dataset, bootstrap=20)
    amounts = report.amounts if peaks else report
    assert caplog.text.count("a bootstrap interval needs more than one window") == 1
    assert report.provenance["bootstrap_replicates"] == 0
    assert amounts.table["mse_low"].null_count() == 2


def test_an_ensemble_is_evaluated_on_peaks_and_amounts():
    dataset = amount_dataset(300, peaks=True)
    models = [model_of(dataset), model_of(dataset)]
    report = danq.evaluate(models, dataset, bootstrap=0)
    assert report.members.height == 2
    assert report.amounts.table.height == 2


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"unit": AmountUnit(unit="RPKM")}, "'strong' has the unit 'RPKM' in the dataset"),
        ({"oriented": True}, "only the sequences of the dataset are oriented"),
    ],
)
def test_a_dataset_of_other_amounts_is_refused(settings, problem):
    model = model_of(amount_dataset(300))
    with pytest.raises(InputError, match=problem):
        danq.evaluate(model, amount_dataset(300, **settings))


def test_amounts_are_not_evaluated_as_peaks():
    dataset = amount_dataset(300)
    peaks = untrained("danq", SMALL, dataset.tracks, 60, 20).with_options(device="cpu")
    with pytest.raises(InputError, match="'strong' is of amounts in the dataset, and of peaks in"):
        danq.evaluate(peaks, dataset)
    for setting in ("paper", "compare_fp32"):
        with pytest.raises(InputError, match="every track is of amounts"):
            danq.evaluate(model_of(dataset), dataset, **{setting: True})
