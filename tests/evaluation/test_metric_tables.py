"""Tables of metrics, calculated by hand, and the plots that show them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.evaluation.calibration import calibration
from danq.evaluation.confidence_intervals import Bootstrap, bootstrap
from danq.evaluation.curves import curve_grid
from danq.evaluation.metric_tables import COLUMNS, group_table, track_table, without_positives
from danq.evaluation.metrics import Ranking, rank
from danq.plots import save
from danq.plots.metric_plots import (
    plot_baseline,
    plot_calibration,
    plot_precision_recall,
    plot_roc,
)

TRACKS = ("a", "b", "c", "d")
GROUPS = ("TF", "TF", "DNase", "DNase")
MODEL = Ranking(
    np.array([0.9, 0.7, np.nan, 0.6]), np.array([0.5, 0.3, np.nan, 0.1]), np.array([10, 30, 0, 5])
)
LINEAR = Ranking(
    np.array([0.8, 0.75, np.nan, 0.5]), np.array([0.2, 0.4, np.nan, 0.05]), MODEL.positives
)


def test_one_row_per_track():
    table = track_table(TRACKS, GROUPS, MODEL, 100, baseline=LINEAR)
    assert tuple(table.columns) == COLUMNS
    row = table.row(1, named=True)
    assert row["base_rate"] == 0.3
    assert (row["aupr"], row["baseline_aupr"], row["aupr_low"]) == (0.3, 0.4, None)
    assert table.row(2, named=True)["aupr"] is None
    assert without_positives(table) == ["c"]


def test_means_and_medians_leave_out_tracks_without_positives():
    rows = group_table(track_table(TRACKS, GROUPS, MODEL, 100, baseline=LINEAR)).rows(named=True)
    assert [row["group"] for row in rows] == ["all", "DNase", "TF"]
    everything, dnase, tf = rows
    assert (everything["tracks"], everything["without_positives"]) == (3, 1)
    assert everything["aupr_mean"] == pytest.approx(0.3)
    assert everything["aupr_median"] == 0.3
    assert everything["auroc_mean"] == pytest.approx(2.2 / 3)
    assert everything["baseline_aupr_mean"] == pytest.approx(0.65 / 3)
    assert everything["below_baseline"] == 1
    assert (dnase["tracks"], dnase["aupr_mean"], dnase["below_baseline"]) == (1, 0.1, 0)
    assert tf["auroc_median"] == pytest.approx(0.8)
    assert everything["aupr_mean_low"] is None


def test_without_baseline_nothing_is_compared():
    row = group_table(track_table(TRACKS, ("",) * 4, MODEL, 100)).rows(named=True)
    assert len(row) == 1
    assert row[0]["below_baseline"] is None
    assert row[0]["baseline_aupr_mean"] is None


def test_intervals_belong_to_their_metrics():
    draws = np.array([[0.4, 0.2, np.nan, 0.0], [0.6, 0.4, np.nan, 0.2]])
    draw = Bootstrap(draws, draws, level=1 - 1e-12)
    table = track_table(TRACKS, GROUPS, MODEL, 100, bootstrap=draw)
    assert table["aupr_low"].to_list() == pytest.approx([0.4, 0.2, None, 0.0])
    assert table["aupr_high"].to_list() == pytest.approx([0.6, 0.4, None, 0.2])
    rows = group_table(table, draw).rows(named=True)
    assert (rows[0]["aupr_mean_low"], rows[0]["aupr_mean_high"]) == pytest.approx((0.2, 0.4))
    assert (rows[2]["aupr_mean_low"], rows[2]["aupr_mean_high"]) == pytest.approx((0.3, 0.5))


def test_no_track_with_positives():
    nothing = Ranking(np.full(2, np.nan), np.full(2, np.nan), np.zeros(2, int))
    table = track_table(("a", "b"), ("", ""), nothing, 10)
    row = group_table(table).row(0, named=True)
    assert (row["tracks"], row["without_positives"], row["aupr_mean"]) == (0, 2, None)


def test_numbers_of_tracks_must_agree():
    with pytest.raises(InputError, match="3 track names, 4 groups and metrics of 4 tracks"):
        track_table(TRACKS[:3], GROUPS, MODEL, 100)


@pytest.mark.parametrize("tracks", [1, 5, 40])
@pytest.mark.parametrize("empty", [False, True])
def test_plots_are_written_for_any_number_of_tracks(tmp_path: Path, tracks: int, empty: bool):
    rng = np.random.default_rng(0)
    scores = rng.random((300, tracks)).astype(np.float32)
    labels = np.zeros(scores.shape, np.uint8) if empty else (rng.random(scores.shape) < scores)
    labels = np.asarray(labels, np.uint8)
    metrics = rank(scores, labels)
    draw = bootstrap(scores, labels, replicates=10)
    names = [f"track $ {k}_" for k in range(tracks)]
    groups = [("TF", "DNase")[k % 2] for k in range(tracks)]
    table = track_table(names, groups, metrics, 300, bootstrap=draw, baseline=metrics)
    curves, bins = curve_grid(scores, labels), calibration(scores, labels)
    for figure in (
        plot_precision_recall(curves, table),
        plot_roc(curves, table),
        plot_calibration(bins, table),
        plot_baseline(table),
    ):
        save(figure, tmp_path / "plot.png")
        data = (tmp_path / "plot.png").read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 5000


def test_plots_label_few_tracks_with_their_metrics():
    scores = np.array([[0.9], [0.8], [0.2], [0.1]], np.float32)
    labels = np.array([[1], [1], [0], [0]], np.uint8)
    table = track_table(["Reb1"], [""], rank(scores, labels), 4)
    axes = plot_precision_recall(curve_grid(scores, labels), table).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["1.000  Reb1"]
    line = axes.get_lines()[0]
    assert np.asarray(line.get_ydata()).min() == 1
    assert math.isclose(float(np.asarray(line.get_xdata())[-1]), 1)


def test_names_of_crowded_points_stay_inside_their_axes():
    scores = np.linspace(1, 0, 40, dtype=np.float32)[:, None].repeat(8, 1)
    labels = np.zeros((40, 8), np.uint8)
    labels[:4] = 1
    table = track_table([f"T{k}" for k in range(8)], [""] * 8, rank(scores, labels), 40)
    figure = plot_precision_recall(curve_grid(scores, labels), table)
    figure.draw_without_rendering()
    axes = figure.axes[1]
    heights = [name.get_window_extent() for name in axes.texts]
    assert len(heights) == 8
    assert all(axes.bbox.y0 < one.y0 and one.y1 < axes.bbox.y1 for one in heights)


def test_a_mean_that_is_not_defined_has_null_ends():
    labels = np.ones((40, 1), np.uint8)  # positives alone: no AUROC
    scores = np.random.default_rng(0).random((40, 1)).astype(np.float32)
    drawn = bootstrap(scores, labels, replicates=20)
    table = track_table(("a",), ("",), rank(scores, labels), 40, bootstrap=drawn)
    row = group_table(table, drawn).row(0, named=True)
    assert (row["auroc_mean"], row["auroc_mean_low"], row["auroc_mean_high"]) == (None, None, None)
    assert row["aupr_mean_low"] == 1.0
