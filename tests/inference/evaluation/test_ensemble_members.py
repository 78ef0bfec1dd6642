"""Evaluation of several models: their mean, and their spread."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.inference import evaluate, write_evaluation
from danq.inference.engine.forward import predict_dataset
from danq.models import Model, save_model, untrained
from danq.models.architecture import Architecture
from danq_cli.main import run
from tests.small_dataset import small_dataset

SMALL = Architecture(filters=4, width=6, pool=4, hidden=3, dense=(5,))


@pytest.fixture
def dataset() -> Dataset:
    return small_dataset(300, 6060, ("TF", ""))


def made(seed: int) -> Model:
    torch.manual_seed(seed)
    model = untrained("test", SMALL, ("Reb1", "Abf1"), 60, 20)
    return model.with_options(device="cpu", precision="fp32")


def test_the_mean_is_evaluated_and_the_spread_is_that_of_the_members(dataset):
    models = [made(seed) for seed in (1, 2, 3)]
    report = evaluate(models, dataset, bootstrap=0)
    rows = dataset.indices("test")
    labels = dataset.labels(rows)
    scores = [predict_dataset(one.module, dataset, rows, one.options) for one in models]
    mean = np.mean(scores, axis=0, dtype=np.float64).astype(np.float32)
    for k, row in enumerate(report.table.iter_rows(named=True)):
        assert row["auroc"] == pytest.approx(roc_auc_score(labels[:, k], mean[:, k]))
        for name, metric in (("auroc", roc_auc_score), ("aupr", average_precision_score)):
            each = [metric(labels[:, k], one[:, k]) for one in scores]
            assert row[f"{name}_sd"] == pytest.approx(np.std(each, ddof=1))
    assert report.members is not None
    assert report.members.columns == ["model", "sha256", "auroc_mean", "aupr_mean", "log_loss_mean"]
    for one, row in zip(models, report.members.iter_rows(named=True), strict=True):
        alone = evaluate(one, dataset, bootstrap=0)
        assert row["aupr_mean"] == pytest.approx(alone.macro_aupr)
        assert row["auroc_mean"] == pytest.approx(alone.macro_auroc)
        assert row["log_loss_mean"] == pytest.approx(alone.calibration_slope.mean_log_loss)
    low, high = report.members["aupr_mean"].min(), report.members["aupr_mean"].max()
    assert f"mean of 3 models; each alone: AUPR {low:.4f} to {high:.4f}" in report.describe()


def test_one_model_has_no_spread(dataset):
    report = evaluate(made(1), dataset, bootstrap=0)
    assert report.members is None
    assert not [name for name in report.table.columns if name.endswith("_sd")]
    assert evaluate([made(1)], dataset, bootstrap=0).table.equals(report.table)


def test_a_track_without_positives_has_no_spread_of_its_metrics(dataset):
    empty = replace(dataset, packed=dataset.packed & 1)
    report = evaluate([made(1), made(2)], empty, bootstrap=0)
    assert report.table["aupr_sd"].to_list()[1] is None
    assert report.members is not None
    assert report.members.null_count().sum_horizontal().item() == 0


def test_models_that_disagree_are_refused(dataset):
    other = untrained("test", SMALL, ("Reb1", "Rap1"), 60, 20)
    with pytest.raises(InputError, match="cannot predict together"):
        evaluate([made(1), other.with_options(device="cpu", precision="fp32")], dataset)
    with pytest.raises(InputError, match="is not loaded"):
        evaluate([made(1), Path("model.safetensors")], dataset)  # type: ignore[list-item]


def test_the_command_writes_the_members(dataset, tmp_path: Path, capsys):
    dataset.save(tmp_path / "data.h5")
    files = []
    for seed in (1, 2):
        model = made(seed)
        files.append(str(tmp_path / f"{seed}.safetensors"))
        save_model(files[-1], model.module, model.spec)
    out = tmp_path / "out"
    words = ["evaluate", *files, str(tmp_path / "data.h5"), "--bootstrap", "0", "--out", str(out)]
    assert run(words) == 0
    assert "mean of 2 models; each alone" in capsys.readouterr().out
    members = pl.read_csv(out / "members.tsv", separator="\t", comment_prefix="#")
    assert members["model"].to_list() == files
    summary = json.loads((out / "summary.json").read_text())
    assert summary["model"] == files
    assert summary["model_sha256"] == members["sha256"].to_list()
    assert "members.tsv" in summary["files"]
    assert f"# model: {', '.join(files)}\n" in (out / "metrics.tsv").read_text()
    write_evaluation(evaluate([made(1), made(2)], dataset, bootstrap=0), out, overwrite=True)
