"""Plots of what motifs do to predictions: effects on tracks, copies, and spacings of two motifs."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from danq.plots.style import CROWD, INK, MUTED, literal, short_name

TRACKS_OF_BARS, TRACKS_OF_LINES, TRACKS_OF_MAPS = 15, 5, 3
"""Tracks that a plot shows for each motif or pair: those with the largest effects."""

MOTIFS = 8
"""A plot shows at most the first this many motifs."""

_RAISED, _LOWERED = "#b2182b", "#2166ac"  # the ends of the colour map RdBu_r
_COLOURS = colormaps["tab10"].colors  # type: ignore[attr-defined]


def plot_motif_effects(table: pl.DataFrame, unit: str) -> Figure:
    """Bars of the effects of each motif on the tracks with the largest ones.

    The lines are two standard errors in each direction.

    Parameters
    ----------
    table
        Effects or ablation of `danq.marginalize`; of effects, those on the forward strand.
    unit
        What the effects are, such as ``"change in log2 odds (bits)"``.
    """
    if "strand" in table.columns:
        table = table.filter(strand="+")
    motifs = table["motif"].unique(maintain_order=True).to_list()[:MOTIFS]
    rows = min(TRACKS_OF_BARS, table["track"].n_unique())
    size = (4.4 * len(motifs), 1.3 + 0.26 * rows)
    figure = Figure(figsize=size, layout="constrained")
    for axes, motif in zip(np.ravel(figure.subplots(1, len(motifs))), motifs, strict=True):
        own = _strongest(table.filter(motif=motif), "effect", rows).sort("effect")
        place = np.arange(own.height)
        values, errors = own["effect"].to_numpy(), 2 * own["se"].fill_nan(0).to_numpy()
        colours = [_RAISED if one > 0 else _LOWERED for one in values]
        axes.barh(place, values, color=colours, alpha=0.8, height=0.7)
        axes.errorbar(values, place, xerr=errors, fmt="none", ecolor=INK, elinewidth=0.9)
        axes.axvline(0, color=MUTED, lw=0.8)
        axes.set_yticks(place, [short_name(name) for name in own["track"]])
        axes.set_title(short_name(motif), fontsize=11, fontweight="bold", color=INK)
        axes.set_xlabel(literal(unit[:1].upper() + unit[1:]), fontsize=9)
        _style(axes)
    return figure


def plot_dose(table: pl.DataFrame, unit: str) -> Figure:
    """Effects of 1 to n copies of each motif on the tracks with the largest ones.

    Parameters
    ----------
    table
        Dose of `danq.marginalize`.
    unit
        As for `plot_motif_effects`.
    """
    motifs = table["motif"].unique(maintain_order=True).to_list()[:MOTIFS]
    figure = Figure(figsize=(4.4 * len(motifs), 3.4), layout="constrained")
    for axes, motif in zip(np.ravel(figure.subplots(1, len(motifs))), motifs, strict=True):
        own = table.filter(motif=motif)
        shown = _strongest(own, "effect", TRACKS_OF_LINES)["track"].to_list()
        for track, colour in zip(shown, _COLOURS, strict=False):
            line = own.filter(track=track)
            axes.errorbar(
                line["copies"].to_numpy(),
                line["effect"].to_numpy(),
                yerr=2 * line["se"].to_numpy(),
                color=colour,
                marker="o",
                ms=4,
                lw=1.6,
                label=short_name(track),
            )
        axes.axhline(0, color=MUTED, lw=0.8)
        axes.set_title(short_name(motif), fontsize=11, fontweight="bold", color=INK)
        axes.set_xlabel("Copies")
        axes.set_ylabel(literal(unit[:1].upper() + unit[1:]), fontsize=9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8, framealpha=0.9, edgecolor="none")
        _style(axes)
    return figure


def plot_spacing(table: pl.DataFrame, unit: str) -> Figure:
    """Heat maps of the excess of two motifs over additivity, by orientation and distance.

    Each track has its own colour scale. Red: both together raise the prediction more than the sum
    of the effects of each alone; blue: less.

    Parameters
    ----------
    table
        Spacing of `danq.marginalize` for one pair of motifs.
    unit
        As for `plot_motif_effects`.
    """
    shown = _strongest(table, "excess", TRACKS_OF_MAPS)["track"].to_list()
    motif, partner = (short_name(table[name][0]) for name in ("motif", "partner"))
    orientations = table.select("side", "strand").unique(maintain_order=True).rows()
    distances = table["distance"].unique(maintain_order=True).to_numpy()
    figure = Figure(figsize=(9.5, 0.9 + 1.9 * len(shown)), layout="constrained")
    figure.suptitle(f"{motif} and {partner}: excess over additivity", fontsize=12, color=INK)
    panels = np.ravel(figure.subplots(len(shown), 1, sharex=True))
    for axes, track in zip(panels, shown, strict=True):
        values = table.filter(track=track)["excess"].to_numpy().reshape(len(orientations), -1)
        limit = float(np.abs(values).max()) or 1.0
        mesh = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        labels = [f"{side}, {strand} strand" for side, strand in orientations]
        axes.set_yticks(range(len(labels)), labels, fontsize=8)
        chosen = np.arange(0, len(distances), -(-len(distances) // 13))
        axes.set_xticks(chosen, [str(one) for one in distances[chosen]])
        axes.set_title(short_name(track), fontsize=11, fontweight="bold", color=INK)
        bar = figure.colorbar(mesh, ax=axes, pad=0.01)
        bar.ax.tick_params(labelsize=8)
        bar.set_label(literal(unit[:1].upper() + unit[1:]).replace(" (", "\n("), fontsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    panels[-1].set_xlabel(f"Bases between {motif} and {partner}")
    figure.supylabel(f"Position and strand of {partner}", fontsize=9)
    return figure


def _strongest(table: pl.DataFrame, value: str, count: int) -> pl.DataFrame:
    """One row per track, that with the largest magnitude, of the tracks with the largest ones."""
    ordered = table.sort(pl.col(value).abs(), descending=True, maintain_order=True)
    return ordered.unique("track", keep="first", maintain_order=True).head(count)


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(CROWD)
    axes.tick_params(labelsize=8)
