"""Draw sequence logos, heat maps of substitutions, and browser strips as SVG."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from danq.genome.nucleotide_codes import LETTERS
from danq.plots.sequence_logo import glyph, letter_bottoms
from danq.report.content import Gene, Logo, MutationMap, Strip, StripRow
from danq.report.draw_charts import Drawn
from danq.report.svg import element, line_path, linear_ticks, number, rectangles_path, shown

WIDTH = 960
_LEFT, _RIGHT = 74, 10
_EDGE = 36
"""Pixels at the right edge without the text of a tick, which would be cut."""

_LETTER = 14
"""Width of a letter of a small logo."""

_SMALL, _SMALL_GAP = 46, 6
"""Height of a small logo, and the gap above that of a known motif."""

_LEVELS = 10
"""Shades of a heat map on each side of 0."""

_RED, _BLUE = (
    ((247, 247, 247), (239, 138, 98), (150, 5, 30)),
    ((247, 247, 247), (103, 169, 207), (5, 48, 97)),
)
_LOGO_HEIGHT, _ROW, _HEAT_TOP = 96, 19, 112
_TITLE_MIDDLE = 64
_STRIP_ROW, _STRIP_GAP, _GENE_ROW = 46, 16, 24
MAX_GENE_ROWS = 6


@lru_cache(maxsize=1)
def letter_symbols() -> Markup:
    """Definitions of the four letters, which every logo of a page uses."""
    symbols = []
    for letter in LETTERS[:4]:
        vertices, codes = glyph(letter)
        path, at = [], 0
        names = {1: ("M", 1), 2: ("L", 1), 3: ("Q", 2), 4: ("C", 3), 79: ("Z", 1)}
        while at < len(codes):
            name, count = names[int(codes[at])]
            points = vertices[at : at + count] if name != "Z" else []
            texts = [f"{x:.3f} {1 - y:.3f}" for x, y in points]
            path.append(name + " ".join(texts))
            at += count
        symbols.append(element("path", id=f"letter-{letter}", d="".join(path)))
    return element("defs", *symbols)


def draw_logo(logo: Logo) -> tuple[Markup, int, int]:
    """A small logo above its known motif, if any, with the width and height of both in pixels."""
    rows = [(logo.heights, 0)]
    if logo.known is not None:
        rows.append((logo.known.heights, logo.known.start))
    first = min(start for _, start in rows)
    positions = max(start + len(heights) for heights, start in rows) - first
    drawn = []
    for row, (heights, start) in enumerate(rows):
        top = max(
            2.0 if logo.unit == "bits" else 0.0,
            float(np.nanmax(np.clip(heights, 0, None).sum(1), initial=1e-9)),
        )
        left = _LETTER * (start - first)
        zero = row * (_SMALL + _SMALL_GAP) + _SMALL - 1
        end = left + _LETTER * len(heights) + 2
        drawn.append(element("path", class_="axis", d=f"M{left} {zero + 0.5}H{end}"))
        drawn += _letters(heights, left + 1, _LETTER, zero, (_SMALL - 2) / top)
    height = len(rows) * (_SMALL + _SMALL_GAP) - _SMALL_GAP
    return element("g", *drawn), _LETTER * positions + 2, height


def _letters(
    heights: np.ndarray, left: float, width: float, zero: float, scale: float
) -> list[Markup]:
    """Letters at positions from the left; ``scale`` are pixels of a unit, ``zero`` that of 0."""
    values = np.where(np.isfinite(heights), heights, 0.0)
    bottom = letter_bottoms(values)
    uses = []
    for position, code in zip(*np.nonzero(np.abs(values) * scale > 0.4), strict=True):
        tall, low = (float(one[position, code]) * scale for one in (values, bottom))
        x = left + width * (position + 0.04)
        # Letters of negative height are drawn upside down.
        size = f"scale({width * 0.92:.2f} {tall:.2f})"
        move = f"translate({number(x)} {number(zero - low - tall)}){size}"
        uses.append(
            element("use", href=f"#letter-{LETTERS[code]}", class_=f"n{code}", transform=move)
        )
    return uses


def draw_mutation_map(one: MutationMap) -> Drawn:
    """A logo of importance above a heat map, which share an axis that zooms."""
    size = len(one.codes)
    plot, cell = WIDTH - _LEFT - _RIGHT, (WIDTH - _LEFT - _RIGHT) / size
    limit = float(np.nanmax(np.abs(one.effects), initial=0)) or 1.0
    given = one.importance
    importance = np.nan_to_num(-one.effects.sum(axis=1) / 3 if given is None else given)
    heights = np.zeros((size, 4))
    known = np.flatnonzero(one.codes < 4)
    heights[known, one.codes[known]] = importance[known]
    high, low = max(float(importance.max()), 0.0), min(float(importance.min()), 0.0)
    scale = (_LOGO_HEIGHT - 12) / ((high - low) or 1.0)
    zero = 8 + high * scale
    moving = [
        *_letters(heights, 0, cell, zero, scale),
        *_cells(one, cell, limit),
        element(
            "path",
            class_="reference",
            d="".join(
                f"M{number((p + 0.5) * cell)} {number(_HEAT_TOP + (c + 0.5) * _ROW - 1)}v2"
                for p, c in zip(known, one.codes[known], strict=True)
            ),
        ),
    ]
    if one.mark is not None and one.start < one.mark <= one.start + size:
        at = (one.mark - 1 - one.start) * cell
        moving.append(
            element("rect", class_="marked", x=at, y=0, width=cell, height=_HEAT_TOP + 4 * _ROW)
        )
    bottom = _HEAT_TOP + 4 * _ROW
    still = [
        element("path", class_="axis", d=f"M{_LEFT} {number(zero)}H{WIDTH - _RIGHT}"),
        element(
            "text",
            f"{'Importance' if given is None else 'Contribution'}"
            f"{' (bits)' if 'bits' in one.unit else ''}",
            class_="label",
            x=16,
            y=_TITLE_MIDDLE,
            text_anchor="middle",
            transform=f"rotate(-90 16 {_TITLE_MIDDLE})",
        ),
        *(
            element("text", f"{v:.2g}", x=_LEFT - 6, y=zero - v * scale + 4, text_anchor="end")
            for v in ((high, low) if high and low else (high or low,))
        ),
        *(
            element(
                "text",
                LETTERS[code],
                x=_LEFT - 8,
                y=_HEAT_TOP + code * _ROW + 14,
                text_anchor="end",
                class_=f"n{code}",
            )
            for code in range(4)
        ),
    ]
    effects = [[None if np.isnan(v) else round(float(v), 3) for v in row] for row in one.effects]
    readout = {
        "kind": "map",
        "start": one.start,
        "end": one.start + size,
        "left": _LEFT,
        "width": plot,
        "axis": bottom,
        "heat": _HEAT_TOP,
        "row": _ROW,
        "name": one.sequence,
        "unit": one.unit,
        "bases": "".join("ACGTN"[code] for code in one.codes),
        "effects": effects,
    }
    return Drawn(_zoomable(moving, still, plot, bottom, one.start, one.start + size), [], readout)


def map_height() -> int:
    """Height of a heat map with its axis."""
    return _HEAT_TOP + 4 * _ROW + 26


def _cells(one: MutationMap, cell: float, limit: float) -> list[Markup]:
    """One path for each shade."""
    level = np.full(one.effects.shape, 99)
    known = np.isfinite(one.effects)
    level[known] = np.rint(one.effects[known] / limit * _LEVELS).astype(int)
    level[one.codes >= 4] = 99
    found = []
    for shade in np.unique(level):
        rows = [
            (p * cell, _HEAT_TOP + c * _ROW, cell, _ROW) for p, c in np.argwhere(level == shade)
        ]
        colour = None if shade == 99 else _colour(int(shade))
        found.append(
            element(
                "path",
                class_="unknown" if shade == 99 else None,
                fill=colour,
                d=rectangles_path(rows),
            )
        )
    return found


def _colour(shade: int) -> str:
    """ColorBrewer's red and blue, which differ with every kind of colour vision."""
    first, middle, last = map(np.array, _RED if shade > 0 else _BLUE)
    share = abs(shade) / _LEVELS
    mixed = (
        first + (middle - first) * share * 2
        if share <= 0.5
        else middle + (last - middle) * (share * 2 - 1)
    )
    return "#" + "".join(f"{round(v):02x}" for v in mixed)


def _zoomable(
    moving: list[Markup], still: list[Markup], plot: float, height: float, start: int, end: int
) -> Markup:
    """What moves with the position: an inner drawing whose view box the page's script changes."""
    inner = element(
        "svg",
        *moving,
        class_="moving",
        x=_LEFT,
        y=0,
        width=plot,
        height=height,
        viewBox=f"0 0 {number(plot)} {number(height)}",
        preserveAspectRatio="none",
    )
    return element("g", inner, *still, position_axis(start, end, height))


def position_axis(start: int, end: int, top: float) -> Markup:
    """Ticks of 1-based positions below a drawing; the page's script redraws them after a zoom."""
    plot = WIDTH - _LEFT - _RIGHT
    parts = [element("path", class_="axis", d=f"M{_LEFT} {number(top)}H{WIDTH - _RIGHT}")]
    for value, _ in linear_ticks(start + 1, max(end, start + 2), 8):
        if value != int(value):
            continue
        at = _LEFT + (value - start - 0.5) / (end - start) * plot
        parts.append(element("path", class_="axis", d=f"M{number(at)} {number(top)}v5"))
        if at < WIDTH - _EDGE:
            text = f"{int(value):,}"
            parts.append(element("text", text, x=at, y=top + 18, text_anchor="middle"))
    return element("g", *parts, class_="positions")


class _Placed(NamedTuple):
    gene: Gene
    row: int
    middle: float
    """Position of the middle of its name."""


def draw_strip(strip: Strip) -> tuple[Drawn, int]:
    """Tracks and genes of a region, and the height of the drawing."""
    size, plot = strip.end - strip.start, WIDTH - _LEFT - _RIGHT
    moving, still, top, rows = [], [], 6.0, []
    for row in strip.rows:
        top += _STRIP_GAP
        high = row.high if row.high is not None else float(np.nanmax(row.value, initial=0)) or 1.0
        low = min(0.0, float(np.nanmin(row.value, initial=0)))
        style = 0 if row.what.startswith("predicted") else 1
        moving.append(_area(row, strip, (low, high), top, style))
        still += [
            element("text", f"{row.name} ({row.what})", class_="row-name", x=_LEFT + 4, y=top - 3),
            element("text", shown(high), x=_LEFT - 6, y=top + 9, text_anchor="end"),
            element("text", shown(low), x=_LEFT - 6, y=top + _STRIP_ROW, text_anchor="end"),
            element("path", class_="axis", d=f"M{_LEFT} {number(top)}v{_STRIP_ROW}"),
        ]
        rows.append(
            {
                "name": f"{row.name} ({row.what})",
                "top": top,
                "bottom": top + _STRIP_ROW,
                "start": row.start.tolist(),
                "end": row.end.tolist(),
                "value": [round(float(v), 4) for v in row.value],
            }
        )
        top += _STRIP_ROW
    placed = _place(strip)
    texts = []
    if placed:
        top += 10
        for one in placed:
            y = top + one.row * _GENE_ROW
            moving.append(_gene(one.gene, strip, y, plot / size))
            texts.append(
                element(
                    "text",
                    _arrowed(one.gene),
                    class_="gene-name",
                    text_anchor="middle",
                    x=_LEFT + (one.middle - strip.start) / size * plot,
                    y=y + 20,
                    data_x=one.middle,
                )
            )
        top += _GENE_ROW * (1 + max(one.row for one in placed))
    top += 6
    svg = _zoomable(
        moving, [*still, element("g", *texts, class_="placed")], plot, top, strip.start, strip.end
    )
    readout = {
        "kind": "strip",
        "start": strip.start,
        "end": strip.end,
        "left": _LEFT,
        "width": plot,
        "axis": top,
        "rows": rows,
        "name": strip.contig,
    }
    return Drawn(svg, [], readout), int(top) + 26


def _arrowed(gene: Gene) -> str:
    return {"+": f"{gene.name} →", "-": f"← {gene.name}"}.get(gene.strand, gene.name)


def _area(row: StripRow, strip: Strip, ends: tuple[float, float], top: float, style: int) -> Markup:
    plot, size = WIDTH - _LEFT - _RIGHT, strip.end - strip.start
    low, high = ends
    value = np.clip(np.nan_to_num(row.value), low, high)
    left = (np.maximum(row.start, strip.start) - strip.start) / size * plot
    right = (np.minimum(row.end, strip.end) - strip.start) / size * plot
    y = top + _STRIP_ROW * (1 - (value - low) / ((high - low) or 1.0))
    zero = top + _STRIP_ROW * (1 - (0 - low) / ((high - low) or 1.0))
    rows = zip(left, np.minimum(y, zero), right - left, np.abs(zero - y), strict=True)
    path = rectangles_path(one for one in rows if one[3] > 0 and one[2] > 0)
    base = element("path", class_="grid", d=line_path([0, plot], [zero, zero]))
    return element("g", base, element("path", class_=f"bar c{style}", d=path))


def _gene(gene: Gene, strip: Strip, top: float, scale: float) -> Markup:
    def box(start: int, end: int, y: float, tall: float) -> tuple[float, float, float, float]:
        low, high = max(start, strip.start), min(end, strip.end)
        return (low - strip.start) * scale, y, max((high - low) * scale, 0.5), tall

    exons = [e for e in gene.exons if e[1] > strip.start and e[0] < strip.end]
    if not gene.exons:
        exons = [(gene.start, gene.end)]
    rows = [box(gene.start, gene.end, top + 4, 1.4), *(box(a, b, top, 9) for a, b in exons)]
    return element("path", class_="gene", d=rectangles_path(rows))


def _place(strip: Strip) -> list[_Placed]:
    """Genes in rows, so that neither they nor their names overlap, with names inside the region."""
    ends: list[float] = []
    placed = []
    letter = (strip.end - strip.start) * 7.5 / (WIDTH - _LEFT - _RIGHT)
    for gene in sorted(strip.genes or (), key=lambda one: one.start):
        start, end = max(gene.start, strip.start), min(gene.end, strip.end)
        half = (len(gene.name) + 3) * letter / 2
        middle = max(strip.start + half, min(strip.end - half, (start + end) / 2))
        first, last = min(start, middle - half), max(end, middle + half)
        row = next((n for n, end in enumerate(ends) if end <= first), len(ends))
        if row == MAX_GENE_ROWS:
            continue
        ends[row : row + 1] = [last]
        placed.append(_Placed(gene, row, middle))
    return placed
