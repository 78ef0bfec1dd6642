"""Sequence logos: letters as high as their numbers, in colours that all eyes tell apart."""

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

# Okabe & Ito, https://jfly.uni-koeln.de/color (2008): apart for every kind of colour vision.
COLOURS = ("#009e73", "#0072b2", "#e69f00", "#d55e00")

_GAP = 0.06


def draw_logo(
    axes: Axes,
    heights: Float[np.ndarray, "L 4"],
    *,
    start: float = 0.0,
    colours: Sequence[str] = COLOURS,
) -> None:
    """Draw a logo and fit the axes' limits to it.

    At each position the letters with positive numbers are piled up from zero, the highest on
    top, and those with negative numbers are piled down, upside down (Schneider & Stephens,
    Nucleic Acids Research 18:6097, 1990, for the positive half). The unit of the numbers is
    the caller's: bits, contributions, effects.

    Parameters
    ----------
    axes
        Where to draw. Its limits are set: half a position beyond the first and last one, and
        the piles with a little room.
    heights
        Height of A, C, G and T at each position; nothing is drawn where one is 0 or NaN.
    start
        Where the middle of the first position lies on the x axis.
    colours
        Of A, C, G and T.

    Raises
    ------
    InputError
        When ``heights`` is not of shape ``(L, 4)`` with ``L`` above 0.
    """
    values = np.asarray(heights, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != 4 or not len(values):
        raise InputError(f"heights of a logo have shape {values.shape}, not (L, 4)")
    values = np.where(np.isfinite(values), values, 0.0)
    bottom = _bottoms(values)
    for code, colour in enumerate(colours):
        rows = np.flatnonzero(values[:, code])
        if rows.size:
            path = _letters(LETTERS[code], start + rows, bottom[rows, code], values[rows, code])
            # Not add_patch, which measures every curve though the limits are set below.
            axes.add_artist(PathPatch(path, facecolor=colour, linewidth=0))
    low, high = values.clip(max=0).sum(1).min(), values.clip(min=0).sum(1).max()
    room = 0.04 * (high - low) or 1.0
    axes.set_xlim(start - 0.5, start + len(values) - 0.5)
    axes.set_ylim(low - room if low < 0 else 0.0, high + room)


def _bottoms(values: np.ndarray) -> np.ndarray:
    """Where each letter begins: on those of its sign that are nearer to zero."""
    order = np.argsort(np.abs(values), axis=1)
    ranked = np.take_along_axis(values, order, axis=1)
    piled = np.empty_like(ranked)
    for part in (ranked.clip(min=0), ranked.clip(max=0)):
        before = np.cumsum(part, axis=1) - part
        piled[part != 0] = before[part != 0]
    piled[ranked == 0] = 0
    out = np.empty_like(piled)
    np.put_along_axis(out, order, piled, axis=1)
    return out


def _letters(letter: str, x: np.ndarray, y: np.ndarray, height: np.ndarray) -> Path:
    """One path of a letter drawn many times; its vertices run over positions."""
    vertices, codes = _glyph(letter)
    width = 1 - _GAP
    placed = np.empty((len(x), *vertices.shape))
    placed[..., 0] = x[:, None] + width * (vertices[:, 0] - 0.5)
    placed[..., 1] = y[:, None] + height[:, None] * vertices[:, 1]
    return Path(placed.reshape(-1, 2), np.tile(codes, len(x)))


@lru_cache(maxsize=8)
def _glyph(letter: str) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of a letter that fills the unit square, and matplotlib's path codes."""
    font = FontProperties(family="DejaVu Sans", weight="bold")
    path = TextPath((0, 0), letter, size=1, prop=font)
    vertices = np.asarray(path.vertices)
    drawn = vertices[path.codes != Path.CLOSEPOLY]
    low, high = drawn.min(0), drawn.max(0)
    return (vertices - low) / (high - low), np.asarray(path.codes)
