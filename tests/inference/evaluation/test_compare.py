"""`danq.compare` and `danq compare` on models whose logits are counts of letters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.inference import ModelComparison, compare, evaluate, write_comparison
from danq.inference.engine.forward import predict_dataset
from danq.models import save_model, untrained
from danq.models.architecture import Architecture
from danq_cli.main import run
from tests.small_dataset import small_dataset

SMALL = Architecture(filters=4, width=6, pool=4, hidden=3, dense=(5,))


@pytest.fixture
def dataset() -> Dataset:
    return small_dataset(300, 6060, ("TF", ""))


def made(seed: int, *, tracks=("Reb1", "Abf1"), window: int = 60):
    import torch

    torch.manual_seed(seed)
    model = untrained("test", SMALL, tracks, window, 20)
    return model.with_options(device="cpu", precision="fp32")


def test_metrics_are_those_of_each_model(dataset):
    first, second = made(1), made(2)
    report = compare(first, second, dataset, bootstrap=50)
    assert report.table["track"].to_list() == ["all", "Reb1", "Abf1"]
    assert report.table["group"].to_list() == ["", "TF", ""]
    for name, model in (("first", first), ("second", second)):
        alone = evaluate(model, dataset, bootstrap=0)
        for metric in ("auroc", "aupr", "log_loss"):
            got = report.table[f"{metric}_{name}"].to_list()
            assert got[1:] == pytest.approx(alone.table[metric].to_list())
            assert got[0] == pytest.approx(alone.table[metric].mean())
    for metric in ("auroc", "aupr", "log_loss"):
        row = report.table.row(0, named=True)
        difference = row[f"{metric}_second"] - row[f"{metric}_first"]
        assert row[f"{metric}_difference"] == pytest.approx(difference)
        assert row[f"{metric}_low"] <= difference <= row[f"{metric}_high"]
    assert report.provenance["windows"] == 100
    assert compare(first, second, dataset, bootstrap=50).table.equals(report.table)


def test_an_ensemble_is_the_mean_of_its_members(dataset):
    members, other = [made(1), made(2)], made(3)
    report = compare(other, members, dataset, bootstrap=20)
    rows = dataset.indices("test")
    scores = [predict_dataset(one.module, dataset, rows, one.options) for one in members]
    from sklearn.metrics import roc_auc_score

    mean = np.mean(scores, axis=0, dtype=np.float64).astype(np.float32)
    expected = roc_auc_score(dataset.labels(rows)[:, 0], mean[:, 0])
    assert report.table["auroc_second"][1] == pytest.approx(expected)
    assert report.provenance["second model 2"].startswith("model 2")


def test_the_summary_counts_tracks_by_what_is_better():
    columns = {"track": ["all", "a", "b", "c"], "group": [""] * 4, "positives": [9, 3, 3, 3]}
    for metric in ("auroc", "aupr", "log_loss"):
        columns |= {
            f"{metric}_first": [0.5, 0.5, 0.5, None],
            f"{metric}_second": [0.6, 0.7, 0.4, None],
            f"{metric}_difference": [0.1, 0.2, -0.1, None],
            f"{metric}_low": [0.05, 0.1, -0.2, None],
            f"{metric}_high": [0.15, 0.3, 0.1, None],
            f"{metric}_p": [0.002, 0.01, 0.3, None],
        }
    report = ModelComparison(pl.DataFrame(columns), {"windows": 1200, "split": "test"})
    lines = report.describe().splitlines()
    assert lines[0] == "1,200 windows of the test split, second model minus first"
    assert lines[1] == (
        "AUROC:    mean 0.5000 and 0.6000, difference +0.1000 (+0.0500 to +0.1500), p 0.002"
    )
    assert lines[2].strip() == (
        "of 2 tracks, the interval excludes 0 for 1: the second model is better on 1, worse on 0"
    )
    assert lines[6].endswith("the second model is better on 0, worse on 1")


def test_models_that_cannot_be_compared_are_refused(dataset, tmp_path: Path):
    one = made(1)
    with pytest.raises(InputError, match="both sides are the same model"):
        compare(one, one, dataset)
    same = [replace(made(seed), sha256="ab") for seed in (1, 2)]
    with pytest.raises(InputError, match="both sides are the same model"):
        compare(*same, dataset)
    with pytest.raises(InputError, match="the window of the dataset is 60 bp, that of .* 80 bp"):
        compare(one, made(2, window=80), dataset)
    with pytest.raises(InputError, match="track 2 of the dataset is 'Abf1', that of .* 'Rap1'"):
        compare(one, made(2, tracks=("Reb1", "Rap1")), dataset)
    with pytest.raises(InputError, match="there is no split 'tests'"):
        compare(one, made(2), dataset, split="tests")
    with pytest.raises(InputError, match="bootstrap is 0, the minimum is 2"):
        compare(one, made(2), dataset, bootstrap=0)
    with pytest.raises(InputError, match="not loaded"):
        compare(one, "runs/b", dataset)
    with pytest.raises(InputError, match="no model was given"):
        compare(one, [], dataset)
    kept = replace(dataset, split=np.minimum(dataset.split, 1).astype(np.uint8))
    with pytest.raises(InputError, match="the test split is empty"):
        compare(one, made(2), kept)


def test_windows_that_a_model_was_trained_on_are_a_warning(dataset, caplog):
    first, second = made(1), made(2)
    other = replace(second, spec=second.spec.model_copy(update={"data_sha256": "0" * 64}))
    compare(first, other, dataset, bootstrap=2)
    assert "model 1 was trained on another dataset" in caplog.text
    for split, use in (("train", "was trained on it"), ("valid", "was selected and scaled on it")):
        caplog.clear()
        compare(first, second, dataset, split=split, bootstrap=2)
        assert f"the {split} split is not held out: a model {use}" in caplog.text
    caplog.clear()
    compare(first, second, dataset, bootstrap=2)
    assert caplog.text == ""


@pytest.fixture
def files(dataset, tmp_path: Path) -> list[str]:
    dataset.save(tmp_path / "data.h5")
    for seed in (1, 2, 3):
        model = made(seed)
        save_model(tmp_path / f"m{seed}.safetensors", model.module, model.spec)
    names = ("m1.safetensors", "m2.safetensors", "data.h5", "m3.safetensors")
    return [str(tmp_path / name) for name in names]


def test_the_command_prints_differences_and_writes_the_table(files, tmp_path: Path, capsys):
    out = tmp_path / "c.tsv"
    first, second, data, third = files
    arguments = ["compare", first, second, data, "--out", str(out), "--bootstrap", "20"]
    arguments += ["--device", "cpu", "--precision", "fp32"]
    assert run(arguments) == 0
    assert "AUROC:    mean 0." in capsys.readouterr().out
    table = pl.read_csv(out, separator="\t", comment_prefix="#")
    assert table.height == 3
    assert f"# first model: {first} sha256:" in out.read_text()
    assert run(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    before = table["aupr_second"][0]
    assert run([*arguments, "--overwrite", "--add-to-second", third]) == 0
    assert pl.read_csv(out, separator="\t", comment_prefix="#")["aupr_second"][0] != before
    assert run(["compare", first, first, data]) == 2
    assert "both sides are the same model" in capsys.readouterr().err
    assert run(["compare", first, second, data, "--add-to-first", first]) == 2
    assert "is the same model as" in capsys.readouterr().err


def test_an_existing_table_is_replaced_only_with_overwrite(dataset, tmp_path: Path):
    report = compare(made(1), made(2), dataset, bootstrap=2)
    write_comparison(report, tmp_path / "c.tsv")
    with pytest.raises(InputError, match="exists already"):
        write_comparison(report, tmp_path / "c.tsv")
    write_comparison(report, tmp_path / "c.tsv", overwrite=True)
