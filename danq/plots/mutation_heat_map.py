"""Plots of mutagenesis and attributions: a sequence logo over a heat map of all four bases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.plots.sequence_logo import draw_logo
from danq.plots.style import INK, MUTED, literal, save
from danq.typing import Codes

MAX_TRACKS = 12
MAX_LETTERS = 100
"""Longest sequence drawn as one logo. A longer one gets an overview and an enlarged region."""

_WIDTH = 13.0
_COLOUR_BAR_WIDTH = 0.12
_GAP = 0.15
"""Relative height of the space between two tracks."""
_UNKNOWN, _HIGHLIGHT = "#d9d9d9", "#f4e3c1"
_SHORT_PANELS, _LONG_PANELS = (1.3, 1.0), (0.9, 0.7, 1.3, 1.0)
"""Relative heights of a track's panels: logo and heat map, with two overviews above if long."""


def plot_effects(
    codes: Codes,
    effects: Float32[np.ndarray, "L 4 K"],
    *,
    tracks: Sequence[str],
    units: Sequence[str],
    name: str,
    start: int = 0,
    predicted: Sequence[str] | None = None,
) -> Figure:
    """Draw a logo and a heat map of the effects of every single-base change, for each track.

    The logo shows the reference base at each position. Its height is minus the mean effect of the
    three changes, so a letter points up where changes lower the prediction. The heat map shows
    the effect of each change: red raises the prediction, blue lowers it, white is 0. Each track
    has its own colour scale. Dots mark the reference base, unknown bases are grey. For a sequence
    longer than 100 bases the plot has an overview, and below it the 100 bases with the largest
    effects. The panels of all tracks are aligned.

    Parameters
    ----------
    codes
        ``(L,)`` bases of the sequence.
    effects
        Effects as returned by `danq.mutate`.
    tracks
        ``K`` names, at most 12.
    units
        What the effects on each track are, such as ``"change in log2 odds"``.
    name
        Name of the contig or record.
    start
        0-based position of the first base. The axis labels are 1-based.
    predicted
        Prediction of each track for the unchanged sequence, such as ``"probability 0.3"``, shown in
        the titles.

    Raises
    ------
    InputError
        When there are no tracks or more than 12, or when the shapes do not match.
    """
    titles = [
        literal(name) + ("" if predicted is None else f"   (predicted {predicted[number]})")
        for number, name in enumerate(tracks)
    ]
    return _plot(codes, effects, _EFFECTS, titles, units, name, start)


def plot_attributions(
    codes: Codes,
    hypothetical: Float32[np.ndarray, "L 4 K"],
    *,
    tracks: Sequence[str],
    unit: str,
    name: str,
    start: int = 0,
) -> Figure:
    """Draw a logo of contributions and a heat map of hypothetical contributions, for each track.

    The logo shows the base at each position, with its contribution as height: upwards if the base
    raises the prediction. The heat map shows the contribution that each base would have there. The
    panels are those of `plot_effects`.

    Parameters
    ----------
    codes
        ``(L,)`` bases of the sequence.
    hypothetical
        Hypothetical contributions as returned by `danq.attribute`.
    tracks
        ``K`` names, at most 12.
    unit
        What is explained, such as ``"log2 odds (bits)"``.
    name
        Name of the contig or record.
    start
        0-based position of the first base. The axis labels are 1-based.

    Raises
    ------
    InputError
        When there are no tracks or more than 12, or when the shapes do not match.
    """
    titles, units = [literal(one) for one in tracks], [f"Contribution to {unit}"] * len(tracks)
    return _plot(codes, hypothetical, _CONTRIBUTIONS, titles, units, name, start)


class _Kind(NamedTuple):
    """What is plotted: its name, height of the letters, and label of the logo."""

    values: str
    heights: Callable[[Codes, np.ndarray], np.ndarray]
    label: str


def _plot(
    codes: Codes,
    effects: np.ndarray,
    kind: _Kind,
    titles: Sequence[str],
    units: Sequence[str],
    name: str,
    start: int,
) -> Figure:
    if not 1 <= len(titles) <= MAX_TRACKS:
        raise InputError(
            f"{len(titles)} tracks for one plot, allowed are 1 to {MAX_TRACKS}",
            remedy="Select fewer tracks",
        )
    if effects.shape != (len(codes), 4, len(titles)) or not len(codes):
        raise InputError(
            f"{kind.values} have shape {effects.shape}, not ({len(codes)}, 4, {len(titles)})"
        )
    long = len(codes) > MAX_LETTERS
    width = _WIDTH if long else float(np.clip(2.6 + 0.15 * len(codes), 6.0, _WIDTH))
    height = (5.6 if long else 3.0) * len(titles) + 0.5
    figure = Figure(figsize=(width, height), layout="constrained")
    end = start + len(codes)
    figure.suptitle(f"{literal(name)}:{start + 1:,}-{end:,}", fontsize=12, color=INK)
    heights = _LONG_PANELS if long else _SHORT_PANELS
    stride = len(heights) + 1
    # One grid for all tracks: constrained layout aligns only axes of the same grid.
    grid = figure.add_gridspec(
        stride * len(titles) - 1,
        2,
        height_ratios=((*heights, _GAP) * len(titles))[:-1],
        width_ratios=(width, _COLOUR_BAR_WIDTH),
    )
    tick_spacing = 0.07 * len(f"{end:,}") + 0.15
    n_ticks = int(np.clip((width - 1.8) / tick_spacing, 2, 10))
    for track, title in enumerate(titles):
        rows = range(stride * track, stride * track + len(heights))
        panels = [figure.add_subplot(grid[row, 0]) for row in rows]
        panels[0].set_title(title, fontsize=11, fontweight="bold", color=INK)
        mesh = _draw_track(panels, codes, effects[:, :, track], kind, start)
        for axes in panels:
            _style(axes, n_ticks)
        panels[-1].set_xlabel(f"Position on {literal(name)} (1-based)")
        # Beside the lower two panels: across more, constrained layout would widen every gap.
        bar = figure.colorbar(mesh, cax=figure.add_subplot(grid[rows[-2] : rows[-1] + 1, 1]))
        unit = units[track]
        bar.set_label(literal(unit[:1].upper() + unit[1:]), fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_visible(False)  # type: ignore[operator]
    return figure


def _draw_track(
    panels: Sequence[Axes], codes: Codes, effects: np.ndarray, kind: _Kind, start: int
) -> QuadMesh:
    limit = float(np.nanmax(np.abs(effects))) if (codes != N).any() else 0.0
    limit = limit or 1.0
    importance = kind.heights(codes, effects)
    low, high = 0, len(codes)
    if len(panels) == len(_LONG_PANELS):
        overview, overview_heat, *panels = panels
        low = _most_important(importance)
        high = low + MAX_LETTERS
        _draw_overview(overview, importance, kind, start, low)
        _draw_heat_map(overview_heat, codes, effects, start, limit)
    logo, heat = panels
    _draw_letters(logo, codes[low:high], importance[low:high], kind, start + low)
    return _draw_heat_map(heat, codes[low:high], effects[low:high], start + low, limit)


def _importance(_: Codes, effects: np.ndarray) -> np.ndarray:
    """``(L,)`` minus the mean effect of the three changes of a base; 0 where the base is N."""
    return np.nan_to_num(-effects.sum(axis=1) / 3)


def _contributions(codes: Codes, hypothetical: np.ndarray) -> np.ndarray:
    """``(L,)`` contribution of the base that is there; 0 where it is N."""
    return np.nan_to_num(hypothetical[np.arange(len(codes)), np.minimum(codes, 3)])


_EFFECTS = _Kind("effects", _importance, "Importance\n(−mean effect)")
_CONTRIBUTIONS = _Kind("contributions", _contributions, "Contribution")


def _most_important(importance: np.ndarray) -> int:
    """Start of the 100 bases with the largest sum of absolute importance."""
    total = np.concatenate([[0], np.cumsum(np.abs(importance))])
    return int(np.argmax(total[MAX_LETTERS:] - total[:-MAX_LETTERS]))


def _draw_overview(axes: Axes, importance: np.ndarray, kind: _Kind, start: int, low: int) -> None:
    x = start + 1 + np.arange(len(importance))
    high = low + MAX_LETTERS
    axes.axvspan(start + low + 0.5, start + high + 0.5, color=_HIGHLIGHT, lw=0, zorder=0)
    axes.axhline(0, color=MUTED, lw=0.6)
    axes.vlines(x, 0, importance, color=INK, lw=max(0.5, 700 / len(importance) * 0.8))
    axes.set_xlim(x[0] - 0.5, x[-1] + 0.5)
    axes.set_ylabel(kind.label.partition("\n")[0], fontsize=9)
    label_right = high < 0.8 * len(importance)
    axes.text(
        start + (high + 0.5 if label_right else low + 0.5),
        0.97,
        " enlarged below ",
        transform=axes.get_xaxis_transform(),
        ha="left" if label_right else "right",
        va="top",
        fontsize=8,
        color=MUTED,
    )
    axes.tick_params(labelbottom=False)


def _draw_letters(
    axes: Axes, codes: Codes, importance: np.ndarray, kind: _Kind, start: int
) -> None:
    heights = np.zeros((len(codes), 4))
    known = np.flatnonzero(codes != N)
    heights[known, codes[known]] = importance[known]
    draw_logo(axes, heights, start=start + 1)
    axes.axhline(0, color=MUTED, lw=0.6, zorder=0)
    axes.set_ylabel(kind.label, fontsize=9)
    axes.tick_params(labelbottom=False)


def _draw_heat_map(
    axes: Axes, codes: Codes, effects: np.ndarray, start: int, limit: float
) -> QuadMesh:
    edges = start + 0.5 + np.arange(len(codes) + 1)
    mesh = axes.pcolormesh(
        edges,
        np.arange(5) - 0.5,
        np.ma.masked_invalid(effects.T),
        cmap=_colour_map(),
        vmin=-limit,
        vmax=limit,
        linewidth=0,
        antialiased=False,
        rasterized=len(codes) > MAX_LETTERS,
    )
    if len(codes) <= MAX_LETTERS:
        known = np.flatnonzero(codes != N)
        axes.plot(start + 1 + known, codes[known], ".", color=INK, ms=2.5, lw=0)
    axes.set_yticks(range(4), list("ACGT"))
    axes.invert_yaxis()
    axes.set_xlim(edges[0], edges[-1])
    return mesh


def _colour_map() -> Colormap:
    # ColorBrewer's red and blue are distinguishable with every kind of colour vision.
    return colormaps["RdBu_r"].with_extremes(bad=_UNKNOWN)


def _style(axes: Axes, n_ticks: int) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(n_ticks, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def save_plot(figure: Figure, path: Path, extension: str) -> None:
    """Write a plot in the format of an extension. The same plot gives the same bytes.

    The file holds no date. Positions are rounded because the last bits of the layout solver vary
    between calls and SVG derives the names of its elements from them.
    """
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            left, bottom, width, height = np.round(axes.get_position().bounds, 6)
            axes.set_position((left, bottom, width, height))
    save(figure, path, extension)
