"""Elements of SVG, scales and ticks of axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape

from danq.report.content import Axis

_LOGIT_TICKS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)


def element(name: str, *content: str, **attributes: object) -> Markup:
    """An element; texts and values are escaped, and ``_`` in a name of an attribute is ``-``.

    Attributes whose value is None are left out; ``class_`` is ``class``.
    """
    pairs = (
        (key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    named = Markup("").join(Markup(' {}="{}"').format(key, _text(value)) for key, value in pairs)
    inner = Markup("").join(escape(one) for one in content)
    tag = Markup(name)
    return Markup("<{}{}>{}</{}>").format(tag, named, inner, tag)


def _text(value: object) -> object:
    return number(value) if isinstance(value, float | np.floating) else value


def number(value: float | np.floating) -> str:
    """A coordinate with at most one decimal."""
    return f"{float(value):.1f}".removesuffix(".0")


def line_path(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> str:
    """Path through points; NaN interrupts it."""
    parts, pen = [], "M"
    for one, other in zip(x, y, strict=True):
        if math.isnan(one) or math.isnan(other):
            pen = "M"
            continue
        parts.append(f"{pen}{number(one)} {number(other)}")
        pen = "L"
    return "".join(parts)


def rectangles_path(rows: Iterable[tuple[float, float, float, float]]) -> str:
    """Path of rectangles: left, top, width, height."""
    return "".join(
        f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h{number(-w)}z" for x, y, w, h in rows
    )


class AxisScale:
    """Maps values of an axis to pixels.

    Parameters
    ----------
    axis
        The axis.
    values
        Values that it contains, if its ends are not given.
    first, last
        Pixels of its ends.
    """

    def __init__(self, axis: Axis, values: np.ndarray, first: float, last: float) -> None:
        self.axis, self.first, self.last = axis, first, last
        known = np.asarray(values, np.float64).ravel()
        known = known[np.isfinite(known)]
        if axis.scale == "log":
            known = known[known > 0]
        low = axis.low if axis.low is not None else (known.min() if known.size else 0.0)
        high = axis.high if axis.high is not None else (known.max() if known.size else 1.0)
        if high <= low:
            low, high = (
                (low / 2, low * 2) if axis.scale == "log" and low > 0 else (low - 0.5, low + 0.5)
            )
        self.low, self.high = float(low), float(high)

    def __call__(self, values: float | Sequence[float] | np.ndarray) -> np.ndarray:
        """Pixels of values; NaN where a value is not on the axis."""
        given = np.asarray(values, np.float64)
        span = self._warp(np.array([self.low, self.high]))
        share = (self._warp(given) - span[0]) / (span[1] - span[0])
        share = np.where((share < -1e-9) | (share > 1 + 1e-9), np.nan, share)
        return self.first + share * (self.last - self.first)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Values and texts of the ticks."""
        if self.axis.scale == "logit":
            return [(v, f"{v:g}") for v in _LOGIT_TICKS if self.low <= v <= self.high]
        if self.axis.scale == "log":
            return _log_ticks(self.low, self.high)
        ticks = linear_ticks(self.low, self.high, most)
        if self.axis.whole:
            return [(v, f"{v:,.0f}") for v, _ in ticks if abs(v - round(v)) < 1e-6]
        return ticks

    def _warp(self, values: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.axis.scale == "log":
                return np.log10(values)
            if self.axis.scale == "logit":
                return np.log(values / (1 - values))
        return values


def linear_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Round values between two ends, at most a number of them, with their texts."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step *= next(f for f in (1, 2, 5, 10, 20) if (high - low) / (step * f) <= most)
    first = math.ceil(low / step - 1e-9)
    values = [(first + n) * step for n in range(most + 2)]
    values = [v for v in values if v <= high + step * 1e-9]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(v, f"{v:,.{digits}f}" if digits < 5 else f"{v:.1e}") for v in values]


def _log_ticks(low: float, high: float) -> list[tuple[float, str]]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 3) if len(powers) < 5 else (1,)
    values = [f * 10.0**p for p in powers for f in steps]
    return [(v, shown(v)) for v in values if low * 0.999 <= v <= high * 1.001]


def shown(value: float) -> str:
    """A value with three or four digits, for readouts."""
    if not math.isfinite(value):
        return "undefined"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}"
    return f"{value:.4g}"
