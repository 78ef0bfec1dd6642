"""Plot of a design: the objective of each start against its edits."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from danq.plots.style import CROWD, INK, MAIN, literal, short_name

NAMED = 8
"""Starts are labelled if there are at most this many."""

_LONGEST_LABEL = 60


def plot_trajectories(trajectory: pl.DataFrame, objective: str = "") -> Figure:
    """Draw the objective of each start against the number of edits, and the median of all starts.

    For the median, a start whose search ended keeps its last objective.

    Parameters
    ----------
    trajectory
        Table of `danq.design`: ``start``, ``edits``, ``objective``.
    objective
        What the objective is, for the axis.
    """
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    starts = trajectory["start"].unique(maintain_order=True).to_list()
    most = int(trajectory["edits"].max() or 0)  # type: ignore[arg-type]
    values = np.empty((len(starts), most + 1))
    for row, start in enumerate(starts):
        own = trajectory.filter(pl.col("start") == start)["objective"].to_numpy()
        values[row, : len(own)], values[row, len(own) :] = own, own[-1]
        edits = np.arange(len(own))
        axes.plot(edits, own, color=CROWD, lw=1, marker=".", ms=4, zorder=2)
        if len(starts) <= NAMED:
            axes.annotate(
                short_name(start), (edits[-1], own[-1]), xytext=(4, 0), color=INK, fontsize=7,
                textcoords="offset points", va="center",
            )  # fmt: skip
    if len(starts) > 1:
        label = f"median of {len(starts):,} starts"
        axes.plot(np.median(values, axis=0), color=MAIN, lw=2, label=label, zorder=3)
        axes.legend(loc="lower right", frameon=False)
    label = objective if len(objective) <= _LONGEST_LABEL else f"{objective[:_LONGEST_LABEL]}…"
    axes.set(xlabel="Edits", ylabel="Objective" + (f": {literal(label)}" if label else ""))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.08)
    return figure
