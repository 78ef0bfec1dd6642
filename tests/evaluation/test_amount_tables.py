"""Tables of metrics of amounts."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.evaluation.amount_metrics import (
    METRICS,
    amount_metrics,
    bootstrap_amounts,
    replicate_ceiling,
)
from danq.evaluation.amount_tables import COLUMNS, amount_group_table, amount_table, stratum_table

TRACKS = ("a", "b", "c", "d")
GROUPS = ("x", "y", "x", "")


def amounts() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    measured = rng.gamma(2, 2, (90, 4))
    predicted = measured + rng.normal(0, [0.1, 1, 5, 9], (90, 4))
    measured[:, 3] = np.nan
    return predicted, measured


def test_one_row_per_track():
    predicted, measured = amounts()
    metrics = amount_metrics(predicted, measured)
    drawn = bootstrap_amounts(predicted, measured, np.arange(90) // 3, replicates=50)
    baseline = amount_metrics(predicted[:, [1, 0, 2, 3]], measured)
    ceiling = replicate_ceiling(measured, predicted)
    table = amount_table(
        TRACKS, GROUPS, metrics, bootstrap=drawn, baseline=baseline, ceiling=ceiling
    )
    assert tuple(table.columns) == COLUMNS
    assert table["track"].to_list() == list(TRACKS)
    assert table["windows"].to_list() == [90, 90, 90, 0]
    for metric in METRICS:
        np.testing.assert_array_equal(table[metric].to_numpy()[:3], getattr(metrics, metric)[:3])
        low, high = drawn.per_track(metric)
        np.testing.assert_array_equal(table[f"{metric}_low"].to_numpy()[:3], low[:3])
        np.testing.assert_array_equal(table[f"{metric}_high"].to_numpy()[:3], high[:3])
    assert (
        table.select(pl.selectors.float())[3].select(pl.all_horizontal(pl.all().is_null())).item()
    )
    np.testing.assert_array_equal(table["ceiling_pearson"].to_numpy()[:3], ceiling.single[:3])
    plain = amount_table(TRACKS, GROUPS, metrics)
    assert plain["baseline_pearson"].null_count() == plain["pearson_low"].null_count() == 4


def test_means_over_groups():
    predicted, measured = amounts()
    metrics = amount_metrics(predicted, measured)
    drawn = bootstrap_amounts(predicted, measured, np.arange(90) // 3, replicates=50)
    better = np.where([False, True, False, False], measured, predicted[:, [1, 1, 0, 3]])
    baseline = amount_metrics(better, measured)
    table = amount_table(TRACKS, GROUPS, metrics, bootstrap=drawn, baseline=baseline)
    found = amount_group_table(table, drawn)
    assert found["group"].to_list() == ["all", "(no group)", "x", "y"]
    assert found["tracks"].to_list() == [4, 1, 2, 1]
    np.testing.assert_allclose(found["pearson_mean"][0], metrics.pearson[:3].mean())
    np.testing.assert_allclose(found["r2_median"][2], np.median(metrics.r2[[0, 2]]))
    low, high = drawn.macro("pearson", np.array([0, 2]))
    assert (found["pearson_mean_low"][2], found["pearson_mean_high"][2]) == (low, high)
    assert low < found["pearson_mean"][2] < high
    assert found["pearson_mean"][1] is None
    assert found["pearson_mean_low"][1] is None
    assert found["below_baseline"].to_list() == [1, None, 0, 1]
    alone = amount_group_table(amount_table(TRACKS, ("",) * 4, metrics))
    assert alone["group"].to_list() == ["all"]
    assert alone["below_baseline"].to_list() == [None]


def test_strata():
    predicted, measured = amounts()
    strata = [("high", "low", "native")[i % 3] for i in range(90)]
    table = stratum_table(TRACKS, predicted, measured, strata)
    assert table["stratum"].unique(maintain_order=True).to_list() == ["high", "low", "native"]
    wanted = amount_metrics(predicted[1::3], measured[1::3])
    row = table.filter(stratum="low", track="b").row(0, named=True)
    assert row == {
        "stratum": "low",
        "track": "b",
        "windows": 30,
        **{metric: getattr(wanted, metric)[1] for metric in METRICS},
    }
    assert table.filter(track="d")["pearson"].null_count() == 3
    with pytest.raises(InputError, match="89 strata for 90 windows"):
        stratum_table(TRACKS, predicted, measured, strata[:-1])


def test_numbers_of_tracks_must_match():
    metrics = amount_metrics(*amounts())
    with pytest.raises(InputError, match="3 track names, 4 groups and metrics of 4 tracks"):
        amount_table(TRACKS[:3], GROUPS, metrics)
