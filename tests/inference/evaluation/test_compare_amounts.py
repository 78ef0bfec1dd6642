"""`danq.compare` and `danq compare` on models of amounts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

import danq
from danq.amounts import AmountUnit
from danq.datasets.column_summary import total_amounts
from danq.errors import InputError
from danq.evaluation.amount_metrics import amount_metrics
from danq.inference import write_comparison
from danq.inference.engine.forward import predict_dataset
from danq.models import TargetGroup, architecture, save_model, untrained
from danq_cli.main import run
from tests.amount_dataset import amount_dataset

SMALL = architecture("danq", filters=8, width=8, pool=4, hidden=4, dense=(6,))
METRICS = ("pearson", "spearman", "r2", "mse")


def made(dataset, seed: int, loss: str = "gaussian"):
    torch.manual_seed(seed)
    peaks = dataset.peaks.size
    groups = (TargetGroup(loss="binary", tracks=peaks),) if peaks else ()
    extra = {"profile": {"steps": 4, "step_bases": 5}}.get(loss, {})
    groups += (TargetGroup(loss=loss, tracks=2, **extra),)
    model = untrained("danq", SMALL, dataset.tracks, 60, 20, groups, dataset.units)
    for value in model.module.parameters():
        torch.nn.init.normal_(value, std=0.3)
    return model.with_options(device="cpu", threads=1)


@pytest.mark.parametrize("peaks", [False, True])
@pytest.mark.parametrize("loss", ["gaussian", "profile"])
def test_differences_are_those_of_the_evaluations(peaks, loss):
    dataset = amount_dataset(300, peaks=peaks, steps=4 if loss == "profile" else 0)
    first, second = made(dataset, 1, loss), made(dataset, 2, loss)
    report = danq.compare(first, second, dataset, bootstrap=20)
    table = report.table
    names = ["all", *(["Reb1"] if peaks else []), "strong", "adenines"]
    assert table["track"].to_list() == names
    assert ("positives" in table.columns) == ("auroc_first" in table.columns) == peaks
    for side, model in (("first", first), ("second", second)):
        alone = danq.evaluate(model, dataset, bootstrap=0)
        amounts = alone.amounts if peaks else alone
        own = table[1 + peaks :]
        assert own["windows"].to_list() == amounts.table["windows"].to_list()
        for metric in METRICS:
            got = own[f"{metric}_{side}"].to_list()
            assert got == pytest.approx(amounts.table[metric].to_list())
            assert table[f"{metric}_{side}"][0] == pytest.approx(np.mean(got))
        if peaks:
            assert table["auroc_" + side][0] == pytest.approx(alone.macro_auroc)
            assert table[f"pearson_{side}"][1] is None
            assert own["auroc_" + side].null_count() == 2
    text = report.describe()
    assert "Pearson:  mean " in text
    assert ("AUROC:    mean " in text) == peaks
    assert report.provenance["units"].endswith("reads")
    assert not any("sd" in name for name in table.columns)


def test_the_spread_over_members_is_that_of_each_alone():
    dataset = amount_dataset(300, peaks=True)
    members, other = [made(dataset, seed) for seed in (1, 2, 3)], made(dataset, 4, "poisson")
    report = danq.compare(other, members, dataset, bootstrap=20)
    rows = dataset.indices("test")
    measured = total_amounts(dataset, rows)
    each = []
    for model in members:
        found = predict_dataset(model.module, dataset, rows, model.options, model.spec.targets)
        each.append(amount_metrics(found[:, 1:], measured).pearson)
    table = report.table
    spread = table["pearson_second_sd"].to_list()
    assert spread[1] is None
    assert spread[2:] == pytest.approx(np.std(each, axis=0, ddof=1).tolist())
    assert spread[0] == pytest.approx(np.std(np.mean(each, axis=1), ddof=1))
    alone = danq.evaluate(members, dataset, bootstrap=0)
    assert table["auroc_second_sd"][1] == pytest.approx(alone.table["auroc_sd"][0])
    assert table["auroc_second_sd"][0] == pytest.approx(alone.members["auroc_mean"].std())
    assert "pearson_first_sd" not in table.columns
    assert f"standard deviation over the members: second {spread[0]:.4f}" in report.describe()


def test_models_of_other_amounts_are_refused():
    dataset = amount_dataset(300)
    model = made(dataset, 1)
    other = amount_dataset(300, unit=AmountUnit(unit="RPKM"))
    with pytest.raises(InputError, match="the track 'strong' has the unit 'reads' in the dataset"):
        danq.compare(model, made(other, 2), dataset)
    peaks = untrained("danq", SMALL, dataset.tracks, 60, 20).with_options(device="cpu")
    with pytest.raises(InputError, match="'strong' is of amounts in the dataset, and of peaks in"):
        danq.compare(model, peaks, dataset)
    broken = made(dataset, 3)
    with torch.no_grad():
        broken.module.head.output.bias.fill_(float("nan"))
    with pytest.raises(InputError, match="'strong': the prediction of window 0 is nan"):
        danq.compare(model, broken, dataset, bootstrap=2)


def test_tracks_without_measured_windows_are_undefined():
    dataset = amount_dataset(300)
    values = np.full_like(dataset.measured.values, np.nan)
    empty = replace(dataset, measured=replace(dataset.measured, values=values))
    report = danq.compare(made(dataset, 1), made(dataset, 2), empty, bootstrap=5)
    assert report.table["windows"].to_list() == [len(empty.indices("test")), 0, 0]
    assert "Pearson: undefined, because predictions or measured amounts" in report.describe()


def test_the_command_writes_the_table(tmp_path, capsys):
    dataset = amount_dataset(300, unit=AmountUnit(unit="reads", transform="log1p"))
    dataset.save(tmp_path / "data.h5")
    for seed in (1, 2):
        model = made(dataset, seed)
        save_model(tmp_path / f"m{seed}.safetensors", model.module, model.spec)
    words = [str(tmp_path / name) for name in ("m1.safetensors", "m2.safetensors", "data.h5")]
    out = tmp_path / "c.tsv"
    assert run(["compare", *words, "--out", str(out), "--bootstrap", "9", "--device", "cpu"]) == 0
    assert "Spearman: mean " in capsys.readouterr().out
    assert "# units: log1p(reads)\n" in out.read_text()
    table = pl.read_csv(out, separator="\t", comment_prefix="#")
    assert table.columns[:4] == ["track", "group", "windows", "pearson_first"]
    report = danq.compare(made(dataset, 1), made(dataset, 2), dataset, bootstrap=9)
    write_comparison(report, tmp_path / "d.tsv")
    again = pl.read_csv(tmp_path / "d.tsv", separator="\t", comment_prefix="#")
    np.testing.assert_allclose(
        table[:, 2:].to_numpy().astype(float), again[:, 2:].to_numpy().astype(float), rtol=1e-6
    )
