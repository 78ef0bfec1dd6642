"""Plots of dependency maps: a sequence logo over a heat map of all pairs of positions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.plots.mutation_heat_map import MAX_LETTERS, MAX_TRACKS
from danq.plots.sequence_logo import draw_logo
from danq.plots.style import INK, MUTED, literal
from danq.typing import Codes

_SIDE, _LOGO, _BAR = 7.0, 0.9, 0.12
"""Width of a heat map, height of a logo and width of a colour bar, in inches."""

_UNKNOWN = "#d9d9d9"


def plot_dependencies(
    codes: Codes,
    values: Float32[np.ndarray, "n n K"],
    *,
    effects: Float32[np.ndarray, "n 4 K"],
    tracks: Sequence[str],
    units: Sequence[str],
    name: str,
    start: int = 0,
) -> Figure:
    """Draw a logo and a heat map of the dependencies of all pairs of positions, for each track.

    The logo is that of `danq.plots.plot_effects`: a letter points up where changes of it lower the
    prediction. For a sequence longer than 100 bases, lines replace the letters. In the heat map, a
    cell is the dependency of two positions; unknown bases are grey. Each track has its own colour
    scale.

    Parameters
    ----------
    codes, values, effects
        As in `danq.inference.mutagenesis.dependencies.DependencyMap`.
    tracks
        ``K`` names, at most 12.
    units
        What the effects on each track are, such as ``"change in log2 odds (bits)"``.
    name
        Name of the contig or record.
    start
        0-based position of the first base. The axis labels are 1-based.

    Raises
    ------
    InputError
        When there are no tracks or more than 12, or when the shapes do not match.
    """
    size, count = len(codes), len(tracks)
    if not 1 <= count <= MAX_TRACKS:
        raise InputError(
            f"{count} tracks for one plot, allowed are 1 to {MAX_TRACKS}",
            remedy="Select fewer tracks",
        )
    shapes = (values.shape, effects.shape)
    if shapes != ((size, size, count), (size, 4, count)) or not size:
        raise InputError(
            f"dependencies have shape {values.shape} and effects {effects.shape}, not "
            f"({size}, {size}, {count}) and ({size}, 4, {count})"
        )
    figure = Figure(figsize=(_SIDE + 1.6, (_SIDE + _LOGO + 0.9) * count), layout="constrained")
    figure.suptitle(f"{literal(name)}:{start + 1:,}-{start + size:,}", fontsize=12, color=INK)
    grid = figure.add_gridspec(
        2 * count, 2, height_ratios=(_LOGO, _SIDE) * count, width_ratios=(_SIDE, _BAR)
    )
    for track, track_name in enumerate(tracks):
        logo, heat = (figure.add_subplot(grid[2 * track + row, 0]) for row in (0, 1))
        logo.set_title(literal(track_name), fontsize=11, fontweight="bold", color=INK)
        _draw_logo(logo, codes, effects[:, :, track], start)
        mesh = _draw_map(heat, values[:, :, track], start)
        heat.set_xlabel(f"Position on {literal(name)} (1-based)")
        heat.set_ylabel(f"Position on {literal(name)} (1-based)")
        for axis in (logo.xaxis, heat.xaxis, heat.yaxis):
            _number(axis)
        for axes in (logo, heat):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
        bar = figure.colorbar(mesh, cax=figure.add_subplot(grid[2 * track + 1, 1]))
        bar.set_label(f"Largest interaction: {literal(units[track])}", fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _draw_logo(axes: Axes, codes: Codes, effects: np.ndarray, start: int) -> None:
    importance = np.nan_to_num(-effects.sum(axis=1) / 3)
    if len(codes) <= MAX_LETTERS:
        heights = np.zeros((len(codes), 4))
        known = np.flatnonzero(codes != N)
        heights[known, codes[known]] = importance[known]
        draw_logo(axes, heights, start=start + 1)
    else:
        x = start + 1 + np.arange(len(codes))
        axes.vlines(x, 0, importance, color=INK, lw=max(0.4, 400 / len(codes)))
    axes.set_xlim(start + 0.5, start + 0.5 + len(codes))
    axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
    axes.set_ylabel("Importance\n(−mean effect)", fontsize=9)
    axes.tick_params(labelbottom=False)


def _draw_map(axes: Axes, values: np.ndarray, start: int) -> QuadMesh:
    edges = start + 0.5 + np.arange(len(values) + 1)
    known = values[~np.isnan(values)]
    mesh = axes.pcolormesh(
        edges,
        edges,
        np.ma.masked_invalid(values),
        cmap=colormaps["magma_r"].with_extremes(bad=_UNKNOWN),
        vmin=0,
        vmax=float(known.max(initial=0)) or 1.0,
        linewidth=0,
        antialiased=False,
        rasterized=True,
    )
    axes.invert_yaxis()
    return mesh


def _number(axis: Axis) -> None:
    axis.set_major_locator(MaxNLocator(6, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
