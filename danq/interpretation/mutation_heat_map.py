"""Pictures of saturation mutagenesis: a logo of what counts over a heat map of every change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.interpretation.sequence_logo import draw_logo
from danq.typing import Codes

MOST_TRACKS = 12
LETTERS_AT_ONCE = 100
"""Up to so many bases are drawn as letters; of more, an overview and the part that counts most."""

ENDINGS = (".png", ".svg", ".pdf")

_WIDTH = 13.0
_INK, _MUTED, _ABSENT, _PART = "#222222", "#777777", "#d9d9d9", "#f4e3c1"


def plot_effects(
    codes: Codes,
    effects: Float32[np.ndarray, "L 4 K"],
    *,
    tracks: Sequence[str],
    unit: str,
    name: str,
    start: int = 0,
    reference: Float32[np.ndarray, "K"] | None = None,
) -> Figure:
    """Logo and heat map of the effect of every single-base change, for each track.

    The logo has at each base the letter that is there, as high as the mean effect of the three
    changes away from it, with the sign turned: a letter stands up where changes lower the
    prediction. The heat map has the effect of each change, red where it raises the prediction and
    blue where it lowers it, on a scale of its own for each track that is white at 0; a dot marks
    the base that is there, and unknown bases are grey. Of a sequence of more than 100 bases there
    is an overview, and the 100 bases that count most are drawn large below it.

    Parameters
    ----------
    codes
        ``(L,)`` bases of the sequence.
    effects
        As `danq.mutate` gives them.
    tracks
        ``K`` names, at most 12.
    unit
        Unit of the effects, such as ``"change in log2 odds"``.
    name
        Contig or record.
    start
        0-based position of the first base there; the axis counts from 1.
    reference
        ``(K,)`` probabilities of the unaltered sequence, for the titles.

    Raises
    ------
    InputError
        When there are no tracks or too many, or shapes do not fit.
    """
    if not 1 <= len(tracks) <= MOST_TRACKS:
        raise InputError(
            f"{len(tracks)} tracks in one picture, outside 1 to {MOST_TRACKS}",
            remedy="Name those that you want to see",
        )
    if effects.shape != (len(codes), 4, len(tracks)) or not len(codes):
        raise InputError(
            f"effects have shape {effects.shape}, not ({len(codes)}, 4, {len(tracks)})"
        )
    long = len(codes) > LETTERS_AT_ONCE
    width = _WIDTH if long else float(np.clip(2.6 + 0.15 * len(codes), 6.0, _WIDTH))
    height = (5.6 if long else 3.0) * len(tracks) + 0.5
    figure = Figure(figsize=(width, height), layout="constrained")
    end = start + len(codes)
    figure.suptitle(f"{_plain(name)}:{start + 1:,}-{end:,}", fontsize=12, color=_INK)
    parts = np.atleast_1d(np.asarray(figure.subfigures(len(tracks), 1, hspace=0.04)))
    for track, part in enumerate(parts):
        title = _plain(tracks[track])
        if reference is not None:
            title += f"   (predicted probability {reference[track]:.3g})"
        part.suptitle(title, fontsize=11, fontweight="bold", color=_INK)
        _draw_track(part, codes, effects[:, :, track], start, unit, name)
    return figure


def _draw_track(
    figure: Figure, codes: Codes, effects: np.ndarray, start: int, unit: str, name: str
) -> None:
    limit = float(np.nanmax(np.abs(effects))) if (codes != N).any() else 0.0
    limit = limit or 1.0
    importance = _importance(effects)
    if len(codes) <= LETTERS_AT_ONCE:
        logo, heat = figure.subplots(2, height_ratios=(1.3, 1), sharex=True)
        panels = [(logo, heat, 0, len(codes))]
    else:
        over, wide, logo, heat = figure.subplots(4, height_ratios=(0.9, 0.7, 1.3, 1))
        low = _strongest(importance)
        _draw_overview(over, importance, start, low)
        panels = [(None, wide, 0, len(codes)), (logo, heat, low, low + LETTERS_AT_ONCE)]
        over.set_xlim(start + 0.5, start + len(codes) + 0.5)
        over.tick_params(labelbottom=False)
    image = None
    for logo, heat, low, high in panels:
        image = _draw_heat(heat, codes[low:high], effects[low:high], start + low, limit)
        if logo is not None:
            _draw_letters(logo, codes[low:high], importance[low:high], start + low)
    heat = panels[-1][1]
    heat.set_xlabel(f"Position on {_plain(name)} (1-based)")
    assert image is not None
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.03, pad=0.01, aspect=28)
    bar.set_label(unit[:1].upper() + unit[1:], fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)  # type: ignore[operator]


def _importance(effects: np.ndarray) -> np.ndarray:
    """``(L,)`` mean effect of the three changes away from a base, sign turned; 0 where unknown."""
    return np.nan_to_num(-effects.sum(axis=1) / 3)


def _strongest(importance: np.ndarray) -> int:
    """Start of the 100 bases with the largest sum of sizes."""
    total = np.concatenate([[0], np.cumsum(np.abs(importance))])
    return int(np.argmax(total[LETTERS_AT_ONCE:] - total[:-LETTERS_AT_ONCE]))


def _draw_overview(axes: Axes, importance: np.ndarray, start: int, low: int) -> None:
    at = start + 1 + np.arange(len(importance))
    axes.axvspan(
        start + low + 0.5, start + low + LETTERS_AT_ONCE + 0.5, color=_PART, lw=0, zorder=0
    )
    axes.axhline(0, color=_MUTED, lw=0.6)
    axes.vlines(at, 0, importance, color=_INK, lw=max(0.5, 700 / len(importance) * 0.8))
    axes.set_ylabel("Importance", fontsize=9)
    right = low + LETTERS_AT_ONCE
    after = right < 0.8 * len(importance)
    axes.text(
        start + (right + 0.5 if after else low + 0.5),
        0.97,
        " enlarged below ",
        transform=axes.get_xaxis_transform(),
        ha="left" if after else "right",
        va="top",
        fontsize=8,
        color=_MUTED,
    )
    _tidy(axes)


def _draw_letters(axes: Axes, codes: Codes, importance: np.ndarray, start: int) -> None:
    heights = np.zeros((len(codes), 4))
    known = np.flatnonzero(codes != N)
    heights[known, codes[known]] = importance[known]
    draw_logo(axes, heights, start=start + 1)
    axes.axhline(0, color=_MUTED, lw=0.6, zorder=0)
    axes.set_ylabel("Importance\n(−mean effect)", fontsize=9)
    axes.tick_params(labelbottom=False)
    _tidy(axes)


def _draw_heat(axes: Axes, codes: Codes, effects: np.ndarray, start: int, limit: float):
    edges = start + 0.5 + np.arange(len(codes) + 1)
    image = axes.pcolormesh(
        edges,
        np.arange(5) - 0.5,
        np.ma.masked_invalid(effects.T),
        cmap=_colours(),
        vmin=-limit,
        vmax=limit,
        linewidth=0,
        antialiased=False,
        rasterized=len(codes) > LETTERS_AT_ONCE,
    )
    if len(codes) <= LETTERS_AT_ONCE:
        known = np.flatnonzero(codes != N)
        axes.plot(start + 1 + known, codes[known], ".", color=_INK, ms=2.5, lw=0)
    axes.set_yticks(range(4), list("ACGT"))
    axes.invert_yaxis()
    axes.set_xlim(edges[0], edges[-1])
    _tidy(axes)
    return image


def _colours() -> Colormap:
    from matplotlib import colormaps

    # Red and blue of ColorBrewer: told apart with every kind of colour vision.
    return colormaps["RdBu_r"].with_extremes(bad=_ABSENT)


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _plain(name: str) -> str:
    """Name as matplotlib shall draw it: no formula."""
    return name.replace("$", r"\$")


def check_ending(path: Path) -> None:
    """Refuse a picture of an unknown kind.

    Raises
    ------
    InputError
        When the ending is none of ``.png``, ``.svg`` and ``.pdf``.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(
            f"the ending of '{path.name}' names no kind of picture",
            file=path,
            remedy=f"Use {', '.join(ENDINGS)}",
        )


def save_picture(figure: Figure, path: Path, ending: str) -> None:
    """Write a figure in the format of an ending, the same bytes each time.

    The date of writing stays out, and the layout is rounded: its solver's last bits vary from
    call to call, and an SVG names its parts after them.
    """
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for axes in figure.axes:
            left, bottom, width, height = np.round(axes.get_position().bounds, 6)
            axes.set_position((left, bottom, width, height))
    kind = ending.lower().removeprefix(".")
    stamp = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with rc_context({"svg.hashsalt": "danq"}):
        figure.savefig(path, format=kind, dpi=150, metadata=stamp)
