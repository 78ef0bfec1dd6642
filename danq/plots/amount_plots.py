"""Plots of predicted amounts: scatter plots, correlations and profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from danq.errors import InputError
from danq.evaluation.amount_metrics import Amounts
from danq.plots.metric_plots import plot_against
from danq.plots.style import MUTED, short_name

PANELS = 9
"""Largest number of tracks with a panel each."""

MANY = 3_000
"""Windows above which a scatter plot shows their density."""

WINDOWS = 500
"""Windows with the largest totals, over which profiles are averaged."""

_MEASURED, _PREDICTED = MUTED, "#1f77b4"


def plot_scatter(
    predicted: Amounts, measured: Amounts, table: pl.DataFrame, units: Sequence[str] = ()
) -> Figure:
    """Predicted against measured amounts, one panel per track.

    Of more than `PANELS` tracks, those are shown that divide the tracks, ordered by their
    correlation, into equal parts, from the largest to the smallest one.

    Parameters
    ----------
    predicted, measured
        As `danq.evaluation.amount_metrics.amount_metrics` takes them.
    table
        Table of `danq.evaluation.amount_tables.amount_table` for the same tracks.
    units
        Unit of each track; none if they are not known.
    """
    chosen = spread_tracks(table)
    figure, panels = _grid(len(chosen))
    for axes, k in zip(panels, chosen, strict=True):
        known = ~np.isnan(measured[:, k])
        x, y = measured[known, k], predicted[known, k]
        unit = f" ({short_name(units[k])})" if units and units[k] else ""
        axes.set(xlabel=f"measured{unit}", ylabel="predicted")
        r = table["pearson"][k]
        axes.set_title(
            f"{short_name(table['track'][k])}, r {'undefined' if r is None else f'{r:.3f}'}",
            fontsize=10,
        )
        if not x.size:
            continue
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        axes.plot([low, high], [low, high], color=MUTED, lw=1, ls="--")
        if x.size > MANY:
            axes.hexbin(x, y, gridsize=60, bins="log", cmap="Blues", mincnt=1, linewidths=0)
        else:
            size = float(np.clip(4_000 / x.size, 3, 20))
            axes.scatter(x, y, s=size, color=_PREDICTED, alpha=0.5, lw=0)
    return figure


def plot_amount_baseline(table: pl.DataFrame) -> Figure:
    """Correlations of the model against those of the k-mer baseline, one point per track.

    Parameters
    ----------
    table
        Table of `danq.evaluation.amount_tables.amount_table` with a baseline.
    """
    return plot_against(
        table, "baseline", "the k-mer baseline", {"pearson": "Pearson", "spearman": "Spearman"}
    )


def plot_profiles(
    predicted: Float[np.ndarray, "N K S"],
    measured: Float[np.ndarray, "N K S"],
    tracks: Sequence[str],
    step_bases: int,
) -> Figure:
    """Mean predicted and measured profile of the windows with the largest measured totals.

    Parameters
    ----------
    predicted, measured
        Amounts of the steps of each profile; NaN in ``measured`` where missing.
    tracks
        Names of the tracks; the first `PANELS` are shown.
    step_bases
        Bases of a step.

    Raises
    ------
    InputError
        When the shapes or the number of names do not match.
    """
    if predicted.shape != measured.shape or measured.ndim != 3 or measured.shape[1] != len(tracks):
        raise InputError(
            f"profiles of the shapes {predicted.shape} and {measured.shape} do not match the "
            f"{len(tracks)} tracks"
        )
    steps = measured.shape[2]
    position = (np.arange(steps) - (steps - 1) / 2) * step_bases
    figure, panels = _grid(min(len(tracks), PANELS))
    for k, axes in enumerate(panels):
        usable = np.flatnonzero(~np.isnan(measured[:, k]).any(axis=1))
        order = np.argsort(-measured[usable, k].sum(axis=1), kind="stable")
        rows = usable[order[:WINDOWS]]
        axes.set(xlabel="bases from the centre", ylabel="mean amount")
        axes.set_title(f"{short_name(tracks[k])}, {rows.size:,} windows", fontsize=10)
        if not rows.size:
            continue
        axes.plot(position, measured[rows, k].mean(axis=0), color=_MEASURED, label="measured")
        axes.plot(position, predicted[rows, k].mean(axis=0), color=_PREDICTED, label="predicted")
        axes.legend(fontsize=8, framealpha=0.9, edgecolor="none")
    return figure


def spread_tracks(table: pl.DataFrame) -> list[int]:
    """Indices of the tracks with a panel: at most `PANELS`, from the best to the worst."""
    if table.height <= PANELS:
        return list(range(table.height))
    r = table["pearson"].fill_null(-2.0).to_numpy()
    order = np.argsort(-r, kind="stable")
    return order[np.linspace(0, table.height - 1, PANELS).round().astype(int)].tolist()


def _grid(panels: int) -> tuple[Figure, list[Axes]]:
    columns = min(3, max(1, panels))
    rows = -(-max(1, panels) // columns)
    figure = Figure(figsize=(3.8 * columns, 3.6 * rows), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False)
    for one in axes.ravel():
        one.spines[["top", "right"]].set_visible(False)
    for one in axes.ravel()[panels:]:
        one.remove()
    return figure, list(axes.ravel()[:panels])
