"""Plots of an evaluation: a few tracks are labelled, many are drawn together."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from danq.evaluation.calibration import Calibration
from danq.evaluation.curves import CurveGrid
from danq.plots.style import CROWD, INK, MAIN, MUTED, short_name

NAMED = 10
"""Tracks get a colour and a label each if there are at most this many."""

_COLOURS = colormaps["tab10"].colors  # type: ignore[attr-defined]
_LEAST_WINDOWS = 30  # a frequency of fewer windows is too noisy to draw


def plot_precision_recall(curves: CurveGrid, table: pl.DataFrame) -> Figure:
    """Precision-recall curves, and the AUPR of each track against its base rate.

    Parameters
    ----------
    curves
        Curves of `danq.evaluation.curves.curve_grid`.
    table
        Table of `danq.evaluation.metric_tables.track_table` for the same tracks.
    """
    figure, (left, right) = _figure(2)
    _draw_curves(left, curves.grid, curves.precision, table, "aupr")
    left.set(xlabel="Recall", ylabel="Precision", title="Precision and recall")
    left.legend(loc="best" if table.height <= NAMED else "upper right", **_legend())
    known = table.filter(pl.col("aupr").is_not_null())
    if known.height:
        low = min(known["base_rate"].min(), known["aupr"].min()) * 0.7  # type: ignore[operator, type-var]
        _draw_groups(right, known, "base_rate", "aupr")
        right.plot([low, 1], [low, 1], color=MUTED, lw=1, ls="--", zorder=1)
        right.set(xscale="log", yscale="log", xlim=(low, 1), ylim=(low, 1.1))
        if known.height <= NAMED:
            _name_points(right, known, "base_rate", "aupr")
        _plain_log(right.xaxis)
        _plain_log(right.yaxis)
    right.set(
        xlabel="Base rate (fraction of positive windows)",
        ylabel="AUPR (average precision)",
        title="AUPR of each track",
    )
    return figure


def plot_roc(curves: CurveGrid, table: pl.DataFrame) -> Figure:
    """ROC curves, and the distribution of AUROC over tracks.

    Parameters
    ----------
    curves, table
        As in `plot_precision_recall`.
    """
    figure, (left, right) = _figure(2)
    left.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--", zorder=1)
    _draw_curves(left, curves.grid, curves.true_positive_rate, table, "auroc")
    left.set(xlabel="False positive rate", ylabel="True positive rate", title="ROC")
    left.legend(loc="lower right", **_legend())
    known = table.filter(pl.col("auroc").is_not_null()).sort("auroc")
    if 0 < known.height <= NAMED:
        _draw_intervals(right, known)
    elif known.height:
        _draw_histogram(right, known["auroc"].to_numpy())
    right.set(xlabel="AUROC", title="AUROC of each track")
    return figure


def _draw_intervals(axes: Axes, table: pl.DataFrame) -> None:
    rows = np.arange(table.height)
    value, low, high = (table[f"auroc{end}"].to_numpy() for end in ("", "_low", "_high"))
    axes.hlines(rows, low, high, color=CROWD, lw=4)
    axes.plot(value, rows, "o", color=_COLOURS[0])
    axes.set_yticks(rows, [short_name(name) for name in table["track"]])
    left = min(0.5, float(np.nanmin([value, low])) - 0.02)
    axes.set(xlim=(left, 1.005), ylim=(-0.6, table.height - 0.4))


def _draw_histogram(axes: Axes, values: np.ndarray) -> None:
    floor = min(0.5, float(np.floor(values.min() * 20) / 20))
    axes.hist(values, bins=np.linspace(floor, 1, 26).tolist(), color=CROWD, edgecolor="white")
    axes.axvline(float(np.median(values)), color=MAIN, lw=2, label="median")
    axes.legend(loc="upper left", **_legend())
    axes.set(xlim=(floor, 1), ylabel="Tracks")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def plot_calibration(calibration: Calibration, table: pl.DataFrame) -> Figure:
    """Observed against predicted frequency, for all tracks pooled and for each track.

    Parameters
    ----------
    calibration
        Result of `danq.evaluation.calibration.calibration`.
    table
        Table of the same tracks.
    """
    figure, (axes, below) = _figure(2, rows=True)
    few = table.height <= NAMED
    kept = np.where(calibration.windows >= _LEAST_WINDOWS, calibration.observed, np.nan)
    kept[(kept <= 0) | (kept >= 1)] = np.nan  # not on these axes
    lines = [
        np.stack([x, y], 1)[~np.isnan(y)] for x, y in zip(calibration.predicted, kept, strict=True)
    ]
    if few:
        for line, name, colour in zip(lines, table["track"], _COLOURS, strict=False):
            axes.plot(*line.T, color=colour, lw=1.2, marker=".", label=short_name(name))
    else:
        crowd = LineCollection(lines, colors=CROWD, lw=0.6, alpha=_faint(len(lines)))
        axes.add_collection(crowd)
    pooled = calibration.pooled()
    axes.plot(
        pooled.predicted[0],
        np.where(pooled.windows[0] >= _LEAST_WINDOWS, pooled.observed[0], np.nan),
        color=INK if few else MAIN,
        lw=2.2,
        marker="o",
        ms=4,
        label=f"all tracks pooled (mean error {pooled.error()[0]:.4f})",
        zorder=4,
    )
    if not few:
        axes.plot([], [], color=CROWD, lw=1, label=f"each of {table.height:,} tracks")
    span = (5e-4, 0.9995)
    axes.plot(span, span, color=MUTED, lw=1, ls="--", label="perfect", zorder=3)
    axes.set(xscale="logit", yscale="logit", xlim=span, ylim=span)
    axes.set(ylabel="Observed frequency", title="Calibration")
    axes.legend(loc="upper left", **_legend())
    # The axes cannot show 0, 1 or an empty bin.
    edges, heights = calibration.edges.clip(1e-4, 1 - 1e-4), pooled.windows[0].clip(0.5)
    below.stairs(heights, edges, baseline=0.5, fill=True, color=CROWD)
    below.set(xscale="logit", yscale="log", xlim=span, xlabel="Predicted probability")
    below.set_ylim(0.5, heights.max() * 2)
    below.set_ylabel("Predictions")
    for axis in (axes.xaxis, axes.yaxis, below.xaxis):
        _plain_logit(axis)
    axes.tick_params(labelbottom=False)
    return figure


def plot_baseline(table: pl.DataFrame) -> Figure:
    """Metrics of the model against those of the k-mer baseline, one point per track.

    Parameters
    ----------
    table
        Table of `danq.evaluation.metric_tables.track_table` with a baseline.
    """
    return plot_against(table, "baseline", "the k-mer baseline")


def plot_against(
    table: pl.DataFrame,
    prefix: str,
    name: str,
    metrics: Mapping[str, str] = MappingProxyType({"aupr": "AUPR", "auroc": "AUROC"}),
) -> Figure:
    """Metrics of the model against those of another model, one point per track.

    Parameters
    ----------
    table
        A row per track with the columns ``track``, ``group`` and the metrics, and the same metrics
        of the other model with the prefix, such as ``baseline_aupr``.
    prefix
        Prefix of the other model's columns, such as ``"baseline"``.
    name
        Name of the other model.
    metrics
        Two metrics of at most 1, with their names.
    """
    figure, panels = _figure(len(metrics))
    for axes, (metric, label) in zip(panels, metrics.items(), strict=True):
        base = f"{prefix}_{metric}"
        known = table.drop_nulls([metric, base])
        axes.set(xlabel=f"{label} of {short_name(name, 60)}", ylabel=f"{label} of the model")
        if not known.height:
            axes.set_title(f"{label}: no track to compare")
            continue
        better = int((known[metric] > known[base]).sum())
        low = 0.0
        if metric != "aupr":
            most = 0.5 if metric == "auroc" else 0.0
            low = float(min(most, known[base].min(), known[metric].min()))  # type: ignore[type-var, arg-type]
            low = np.floor(low * 20) / 20
        axes.plot([low, 1], [low, 1], color=MUTED, lw=1, ls="--", zorder=1)
        _draw_groups(axes, known, base, metric)
        gain = known.with_columns(gain=pl.col(metric) - pl.col(base)).sort("gain")
        named = gain if known.height <= NAMED else pl.concat([gain.head(2), gain.tail(3)])
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
        _name_points(axes, named, base, metric)
        axes.set_title(f"{label}: the model is better on {better:,} of {known.height:,} tracks")
    return figure


def _figure(panels: int, *, rows: bool = False) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.6, 7.4) if rows else (11.4, 5.2), layout="constrained")
    shape: dict[str, Any] = (
        {"nrows": panels, "height_ratios": (3.4, 1)} if rows else {"ncols": panels}
    )
    axes = figure.subplots(**shape)
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(color="#e6e6e6", lw=0.6)
        one.set_axisbelow(True)
    return figure, axes


def _legend() -> dict[str, Any]:
    return {"fontsize": 8, "framealpha": 0.9, "edgecolor": "none", "facecolor": "white"}


def _faint(lines: int) -> float:
    return float(np.clip(60 / lines, 0.12, 0.6))


def _draw_curves(
    axes: Axes, grid: np.ndarray, curves: np.ndarray, table: pl.DataFrame, column: str
) -> None:
    """Labelled curves, best first. Many curves are drawn faint, with median, best and worst."""
    known = np.flatnonzero(~np.isnan(curves).any(1))
    values = table[column].to_numpy()
    names = table["track"].to_list()
    order = known[np.argsort(-values[known], kind="stable")]
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if not order.size:
        axes.plot([], [], color=MUTED, label="no track has positives")
        return
    if table.height <= NAMED:
        for k in order:
            axes.plot(
                grid,
                curves[k],
                color=_COLOURS[k],
                lw=1.8,
                label=f"{values[k]:.3f}  {short_name(names[k])}",
            )
        return
    crowd = [np.stack([grid, curves[k]], 1) for k in order]
    axes.add_collection(
        LineCollection(crowd, colors=CROWD, lw=0.6, alpha=_faint(len(crowd)), zorder=1)
    )
    low, middle, high = np.quantile(curves[order], [0.25, 0.5, 0.75], axis=0)
    axes.fill_between(grid, low, high, color=MAIN, alpha=0.15, lw=0, zorder=2, label="middle half")
    median = float(np.median(values[order]))
    axes.plot(grid, middle, color=MAIN, lw=2.4, zorder=4, label=f"{median:.3f}  median track")
    for k, colour, rank in ((order[0], _COLOURS[2], "best"), (order[-1], INK, "worst")):
        label = f"{values[k]:.3f}  {rank}: {short_name(names[k])}"
        axes.plot(grid, curves[k], color=colour, lw=1.4, zorder=3, label=label)
    axes.plot([], [], color=CROWD, lw=1, label=f"each of {len(order):,} tracks")


def _draw_groups(axes: Axes, table: pl.DataFrame, x: str, y: str) -> None:
    groups = sorted(set(table["group"]))
    size = float(np.clip(4000 / table.height, 10, 40))
    if not 1 < len(groups) <= NAMED:
        axes.scatter(table[x], table[y], s=size, color=_COLOURS[0], alpha=0.6, lw=0, zorder=2)
        return
    for group, colour in zip(groups, _COLOURS, strict=False):
        part = table.filter(pl.col("group") == group)
        label = short_name(group or "(no group)")
        axes.scatter(part[x], part[y], s=size, color=colour, alpha=0.6, lw=0, label=label, zorder=2)
    axes.legend(loc="lower right", **_legend())


def _name_points(axes: Axes, points: pl.DataFrame, x: str, y: str) -> None:
    """Write names next to points, and move them apart where they overlap."""
    pixels = axes.transData.transform(points.select(x, y).to_numpy())
    span = axes.get_window_extent()
    step = 11 * axes.figure.dpi / 72
    heights = pixels[:, 1].copy()
    order = np.argsort(heights)
    for before, after in pairwise(order):
        heights[after] = max(heights[after], heights[before] + step)
    # Names above the top push the others down.
    highest = span.y1 - step / 2
    for k in order[::-1]:
        heights[k] = min(heights[k], highest)
        highest = heights[k] - step
    for name, pixel, height in zip(points["track"], pixels, heights, strict=True):
        left = pixel[0] > span.x0 + 0.62 * span.width
        axes.annotate(
            short_name(name),
            tuple(axes.transData.inverted().transform(pixel)),
            xytext=(-14 if left else 14, (height - pixel[1]) * 72 / axes.figure.dpi),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8,
            color=INK,
            bbox={"facecolor": "white", "alpha": 0.8, "lw": 0, "pad": 0.6},
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkB": 2},
        )


def _plain_log(axis: Any) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _plain_logit(axis: Any) -> None:
    ticks = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
    axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    axis.set_minor_formatter(NullFormatter())
    axis.set_ticks([], minor=True)
