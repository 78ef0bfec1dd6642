"""Sequence logos: stacked letters whose heights are values, such as bits or effects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS

# Okabe & Ito, https://jfly.uni-koeln.de/color (2008): for every kind of colour vision.
COLOURS = ("#009e73", "#0072b2", "#e69f00", "#d55e00")

_GAP = 0.06


def draw_logo(
    axes: Axes,
    heights: Float[np.ndarray, "L 4"],
    *,
    start: float = 0.0,
    colours: Sequence[str] = COLOURS,
) -> None:
    """Draw a sequence logo and set the limits of the axes to it.

    At each position, letters with positive heights are stacked upwards from zero, the largest on
    top (Schneider & Stephens, Nucleic Acids Research 18:6097, 1990). Letters with negative heights
    are stacked downwards and drawn upside down.

    Parameters
    ----------
    axes
        Axes to draw on. The x limits are half a position before the first position and half a
        position after the last; the y limits contain all letters.
    heights
        ``(L, 4)`` heights of A, C, G and T in any unit. Letters of height 0 or NaN are left out.
    start
        x coordinate of the centre of the first position.
    colours
        Colours of A, C, G and T.

    Raises
    ------
    InputError
        When ``heights`` does not have shape ``(L, 4)`` with ``L`` above 0.
    """
    values = np.asarray(heights, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        raise InputError(f"the heights of a logo have shape {values.shape}, not (L, 4)")
    values = np.where(np.isfinite(values), values, 0.0)
    bottom = letter_bottoms(values)
    for code, colour in enumerate(colours):
        rows = np.flatnonzero(values[:, code])
        if rows.size:
            path = _letters(LETTERS[code], start + rows, bottom[rows, code], values[rows, code])
            # add_patch would also compute the extent of every curve; the limits are set below.
            axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))
    low, high = values.clip(max=0).sum(1).min(), values.clip(min=0).sum(1).max()
    margin = 0.04 * (high - low) or 1.0
    axes.set_xlim(start - 0.5, start + len(values) - 0.5)
    axes.set_ylim(low - margin if low < 0 else 0.0, high + margin)


def letter_bottoms(values: np.ndarray) -> np.ndarray:
    """Start of each letter: the sum of the smaller letters of the same sign."""
    order = np.argsort(np.abs(values), axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    stacked = np.empty_like(ranked)
    for same_sign in (ranked.clip(min=0), ranked.clip(max=0)):
        below = np.cumsum(same_sign, axis=1) - same_sign
        stacked[same_sign != 0] = below[same_sign != 0]
    stacked[ranked == 0] = 0
    out = np.empty_like(stacked)
    np.put_along_axis(out, order, stacked, axis=1)
    return out


def _letters(letter: str, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> Path:
    """Path of one letter drawn at several positions."""
    vertices, codes = glyph(letter)
    width = 1 - _GAP
    moved = np.empty((len(x), *vertices.shape))
    moved[..., 0] = x[:, None] + width * (vertices[:, 0] - 0.5)
    moved[..., 1] = y[:, None] + height[:, None] * vertices[:, 1]
    return Path(moved.reshape(-1, 2), np.tile(codes, len(x)))


@lru_cache(maxsize=8)
def glyph(letter: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of a letter scaled to the unit square, and matplotlib's path codes."""
    font = FontProperties(family="DejaVu Sans", weight="bold")
    path = TextPath((0, 0), letter, size=1, prop=font)
    vertices = np.asarray(path.vertices)
    points = vertices[path.codes != Path.CLOSEPOLY]
    low, high = points.min(0), points.max(0)
    return (vertices - low) / (high - low), np.asarray(path.codes)
