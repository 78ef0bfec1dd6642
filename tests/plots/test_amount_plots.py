"""Plots of amounts show the data that they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from danq.errors import InputError
from danq.evaluation.amount_metrics import amount_metrics
from danq.evaluation.amount_tables import amount_table
from danq.plots import save
from danq.plots.amount_plots import (
    MANY,
    PANELS,
    WINDOWS,
    plot_amount_baseline,
    plot_profiles,
    plot_scatter,
)


def amounts(rows: int, tracks: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    measured = rng.gamma(2, 2, (rows, tracks))
    predicted = measured + rng.normal(0, np.linspace(0.1, 9, tracks), (rows, tracks))
    return predicted, measured


@pytest.mark.parametrize(("rows", "tracks"), [(40, 1), (MANY + 1, 2), (60, 20)])
def test_plots_of_any_number_of_tracks(tmp_path: Path, rows, tracks):
    predicted, measured = amounts(rows, tracks)
    measured[:20, 0] = np.nan
    names = [f"track ${i}" for i in range(tracks)]
    metrics = amount_metrics(predicted, measured)
    table = amount_table(names, [""] * tracks, metrics, baseline=metrics)
    figure = plot_scatter(predicted, measured, table, ["reads"] * tracks)
    assert len(figure.axes) == min(tracks, PANELS)
    points = [one for one in figure.axes[0].collections if isinstance(one, PathCollection)]
    if rows <= MANY:
        np.testing.assert_array_equal(
            np.asarray(points[0].get_offsets()),
            np.stack([measured[20:, 0], predicted[20:, 0]], axis=1),
        )
        assert figure.axes[0].get_title() == rf"track \$0, r {table['pearson'][0]:.3f}"
    assert figure.axes[0].get_xlabel() == "measured (reads)"
    if tracks > PANELS:
        titles = [axes.get_title() for axes in figure.axes]
        shown = [float(title.rpartition(" ")[2]) for title in titles]
        assert shown == sorted(shown, reverse=True)
        assert shown[0] == pytest.approx(table["pearson"].max(), abs=5e-4)
        assert shown[-1] == pytest.approx(table["pearson"].min(), abs=5e-4)
    save(figure, tmp_path / "a.png")
    save(plot_amount_baseline(table), tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size > 5_000
    assert (tmp_path / "b.png").stat().st_size > 5_000


def test_tracks_without_amounts_have_an_empty_panel(tmp_path: Path):
    predicted, measured = amounts(30, 2)
    measured[:, 1] = np.nan
    table = amount_table(["a", "b"], ["", ""], amount_metrics(predicted, measured))
    figure = plot_scatter(predicted, measured, table)
    assert figure.axes[1].get_title() == "b, r undefined"
    assert not figure.axes[1].collections
    save(plot_amount_baseline(table), tmp_path / "b.png")


def test_profiles_are_means_of_the_windows_with_most(tmp_path: Path):
    rng = np.random.default_rng(0)
    measured = rng.poisson(3, (WINDOWS + 100, 2, 9)).astype(float)
    predicted = measured + 1
    measured[0, 0, 3] = np.nan
    measured[:, 1] = np.nan
    figure = plot_profiles(predicted, measured, ["a", "b"], 10)
    lines = figure.axes[0].get_lines()
    totals = measured[1:, 0].sum(axis=1)
    rows = 1 + np.argsort(-totals, kind="stable")[:WINDOWS]
    np.testing.assert_allclose(lines[0].get_ydata(), measured[rows, 0].mean(axis=0))
    np.testing.assert_allclose(lines[1].get_ydata(), measured[rows, 0].mean(axis=0) + 1)
    np.testing.assert_array_equal(lines[0].get_xdata(), np.arange(-40, 50, 10))
    assert figure.axes[1].get_title() == "b, 0 windows"
    assert not figure.axes[1].get_lines()
    save(figure, tmp_path / "a.png")
    with pytest.raises(InputError, match="do not match the 1 tracks"):
        plot_profiles(predicted, measured, ["a"], 10)
