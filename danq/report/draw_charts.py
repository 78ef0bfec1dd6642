"""Draw charts with two axes as SVG.

Colours are classes that the style sheet defines, for light and dark pages. Series differ in dash
and mark too, so that the chart can be read without colours.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from danq.report.content import Axis, Chart, Series
from danq.report.svg import AxisScale, element, line_path, number, rectangles_path, shown

WIDTH, HEIGHT = 480, 340
MARKS = 2_000
"""Largest number of marks of a series of points."""

STYLES = 8
"""Number of styles of series; further series repeat them."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 12, 10, 46
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4", "1 4", "9 3 2 3 2 3")
_MARKS = (
    "M-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0z",
    "M-3.2 -3.2h6.4v6.4h-6.4z",
    "M0 -4.4L4 3.2H-4z",
    "M0 -4.6L4.6 0L0 4.6L-4.6 0z",
    "M0 4.4L4 -3.2H-4z",
    "M-4 -1.3h2.7v-2.7h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7z",
    "M-3.6 -2.2l1.4 -1.4l2.2 2.2l2.2 -2.2l1.4 1.4l-2.2 2.2l2.2 2.2l-1.4 1.4l-2.2 -2.2l-2.2 2.2"
    "l-1.4 -1.4l2.2 -2.2z",
    "M-4.2 -1.4h8.4v2.8h-8.4z",
)
_MARKED_POINTS = 60
"""A line with at most this many points has a mark at each of them."""


class Drawn(NamedTuple):
    """A drawing.

    Attributes
    ----------
    svg
        The SVG.
    legend
        A sample and the name of each series.
    readout
        Data of the readout for the script of the page, as JSON can hold it.
    note
        What is not drawn, as a sentence for the caption.
    """

    svg: Markup
    legend: list[tuple[Markup, str]]
    readout: dict[str, object]
    note: str = ""


def draw_chart(chart: Chart) -> Drawn:
    """Draw a chart."""
    series = tuple(map(_thinned, chart.series))
    note = "".join(
        f" Of {len(one.x):,} marks, {MARKS:,} at equal distances in the table are drawn."
        for one, other in zip(chart.series, series, strict=True)
        if one is not other
    )
    chart = replace(chart, series=series)
    x = AxisScale(chart.x, _all(chart, "x"), _LEFT, WIDTH - _RIGHT)
    y = AxisScale(_padded(chart), _all(chart, "y"), HEIGHT - _BOTTOM, _TOP)
    parts = [_axes(x, y)]
    if chart.diagonal:
        ends = np.array([max(x.low, y.low), min(x.high, y.high)])
        parts.append(element("path", class_="diagonal", d=line_path(x(ends), y(ends))))
    points, legend = [], []
    for position, series in enumerate(chart.series):
        style = (position if series.style is None else series.style) % STYLES
        parts.append(_DRAW[series.draw](series, x, y, style))
        if len(chart.series) > 1 or series.draw == "crowd":
            legend.append((_sample(series, style), series.name))
        if series.draw != "crowd":
            points.append(_readout(chart, series, x, y))
    svg = element("g", *parts)
    return Drawn(svg, legend, {"kind": "chart", "series": points}, note)


def _thinned(series: Series) -> Series:
    """A series with at most `MARKS` points; bars and lines stay."""
    if series.draw != "points" or len(series.x) <= MARKS:
        return series
    kept = np.linspace(0, len(series.x) - 1, MARKS).round().astype(int)
    return replace(
        series,
        x=series.x[kept],
        y=series.y[kept],
        labels=tuple(series.labels[k] for k in kept) if series.labels else (),
        low=None if series.low is None else series.low[kept],
        high=None if series.high is None else series.high[kept],
    )


def _all(chart: Chart, name: str) -> np.ndarray:
    parts = [np.ravel(getattr(one, name)) for one in chart.series]
    if name == "y":
        parts += [end for one in chart.series for end in (one.low, one.high) if end is not None]
        parts += [np.zeros(1) for one in chart.series if one.draw == "bars"]
    return np.concatenate([np.asarray(part, np.float64) for part in parts] or [np.empty(0)])


def _padded(chart: Chart) -> Axis:
    """The y axis, which is a little longer than its values where its ends are not given."""
    axis, values = chart.y, _all(chart, "y")
    values = values[np.isfinite(values)]
    if axis.scale != "linear" or not values.size:
        return axis
    low, high = float(values.min()), float(values.max())
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    bars = any(one.draw == "bars" for one in chart.series)
    first = low if bars and low >= 0 else low - margin
    return Axis(
        axis.label,
        first if axis.low is None else axis.low,
        high + margin if axis.high is None else axis.high,
    )


def _axes(x: AxisScale, y: AxisScale) -> Markup:
    grid, texts = [], []
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    for value, text in x.ticks():
        at = float(x(value))
        grid.append(f"M{number(at)} {_TOP}V{bottom}")
        texts.append(element("text", text, x=at, y=bottom + 17, text_anchor="middle"))
    for value, text in y.ticks():
        at = float(y(value))
        grid.append(f"M{_LEFT} {number(at)}H{right}")
        texts.append(element("text", text, x=_LEFT - 7, y=at + 4.4, text_anchor="end"))
    middle = (_TOP + bottom) / 2
    return element(
        "g",
        element("path", class_="grid", d="".join(grid)),
        element("path", class_="axis", d=f"M{_LEFT} {_TOP}V{bottom}H{right}"),
        *texts,
        element(
            "text",
            x.axis.label,
            class_="label",
            x=(_LEFT + right) / 2,
            y=HEIGHT - 8,
            text_anchor="middle",
        ),
        element(
            "text",
            y.axis.label,
            class_="label",
            x=14,
            y=middle,
            text_anchor="middle",
            transform=f"rotate(-90 14 {number(middle)})",
        ),
    )


def _line(series: Series, x: AxisScale, y: AxisScale, style: int) -> Markup:
    px, py = x(series.x), y(series.y)
    parts = [
        element(
            "path",
            class_=f"line c{style}",
            d=line_path(px, py),
            stroke_dasharray=_DASHES[style] or None,
        )
    ]
    if len(series.x) <= _MARKED_POINTS:
        parts.append(_marks(px, py, style))
    if series.low is not None and series.high is not None:
        parts.append(_intervals(series, x, y, style))
    return element("g", *parts)


def _points(series: Series, x: AxisScale, y: AxisScale, style: int) -> Markup:
    parts = [] if series.low is None else [_intervals(series, x, y, style)]
    return element("g", *parts, _marks(x(series.x), y(series.y), style))


def _marks(px: np.ndarray, py: np.ndarray, style: int) -> Markup:
    known = np.isfinite(px) & np.isfinite(py)
    return element(
        "g",
        *(
            element("path", d=_MARKS[style], transform=f"translate({number(a)} {number(b)})")
            for a, b in zip(px[known], py[known], strict=True)
        ),
        class_=f"mark c{style}",
    )


def _intervals(series: Series, x: AxisScale, y: AxisScale, style: int) -> Markup:
    assert series.low is not None
    assert series.high is not None
    low = y(np.clip(series.low, y.low, y.high))
    high = y(np.clip(series.high, y.low, y.high))
    path = "".join(
        f"M{number(a)} {number(b)}V{number(c)}"
        for a, b, c in zip(x(series.x), low, high, strict=True)
        if np.isfinite([a, b, c]).all()
    )
    return element("path", class_=f"interval c{style}", d=path)


def _bars(series: Series, x: AxisScale, y: AxisScale, style: int) -> Markup:
    edges = x(np.clip(series.x, x.low, x.high))
    base = float(y(min(max(0.0, y.low), y.high))) if y.axis.scale == "linear" else y.first
    tops = y(np.clip(series.y, y.low, y.high))
    rows = [
        (left, min(top, base), right - left, abs(base - top))
        for left, right, top, value in zip(edges, edges[1:], tops, series.y, strict=False)
        if np.isfinite([left, right, top]).all() and value != 0
    ]
    return element("path", class_=f"bar c{style}", d=rectangles_path(rows))


def _crowd(series: Series, x: AxisScale, y: AxisScale, style: int) -> Markup:
    px = np.broadcast_to(x(series.x), series.y.shape)
    path = "".join(line_path(*row) for row in zip(px, y(series.y), strict=True))
    return element("path", class_="crowd", d=path)


_DRAW = {"line": _line, "points": _points, "bars": _bars, "crowd": _crowd}


def _sample(series: Series, style: int) -> Markup:
    """A sample of a series for the legend."""
    if series.draw == "crowd":
        inner = element("path", class_="crowd", d="M0 3H28M0 7H28M0 11H28")
    elif series.draw == "bars":
        inner = element("path", class_=f"bar c{style}", d="M6 2h16v10h-16z")
    else:
        mark = _marks(np.array([14.0]), np.array([7.0]), style)
        line = element(
            "path", class_=f"line c{style}", d="M0 7H28", stroke_dasharray=_DASHES[style] or None
        )
        few = series.draw == "points" or len(series.x) <= _MARKED_POINTS
        inner = element("g", *([line] if series.draw == "line" else []), *([mark] if few else []))
    return element(
        "svg",
        inner,
        viewBox="0 0 28 14",
        width=28,
        height=14,
        aria_hidden="true",
        focusable="false",
    )


def _readout(chart: Chart, series: Series, x: AxisScale, y: AxisScale) -> dict[str, object]:
    """Pixel and text of each point: ``[[x, y, text], ...]``."""
    given = np.asarray(series.x, np.float64)
    if series.draw == "bars":
        middle = (given[:-1] + given[1:]) / 2
        texts = [f"{shown(a)} to {shown(b)}" for a, b in itertools.pairwise(given)]
        px = x(middle)
    else:
        texts, px = [shown(v) for v in given], x(given)
    values = np.asarray(series.y, np.float64)
    py = y(np.clip(values, y.low, y.high))
    labels = series.labels or ("",) * len(values)
    rows = []
    for a, b, label, text, value in zip(px, py, labels, texts, values, strict=True):
        if np.isfinite([a, b]).all():
            what = f"{label}: " if label else ""
            where = f"{chart.x.label} {text}, {chart.y.label} {shown(value)}"
            rows.append([round(float(a), 1), round(float(b), 1), f"{what}{where}"])
    return {"name": series.name, "points": rows}
