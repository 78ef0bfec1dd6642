"""Points of precision-recall and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from danq._jit import kernel
from danq.errors import InputError
from danq.evaluation.checks import check_pair, refuse
from danq.evaluation.sort import is_nan, ordered_bits, radix_sort
from danq.typing import LabelBatch, Scores

GRID = 201


class Thresholds(NamedTuple):
    """Counts at every distinct score of one track, from the highest down.

    Attributes
    ----------
    found
        Positives with that score or a higher one.
    passed
        Negatives with that score or a higher one.
    """

    found: Int64[np.ndarray, "M"]
    passed: Int64[np.ndarray, "M"]


class CurveGrid(NamedTuple):
    """Curves of all tracks, read off at common places.

    Attributes
    ----------
    grid
        ``(P,)`` recalls, and false positive rates, from 0 to 1.
    precision
        ``(K, P)`` precision at the highest threshold that reaches each recall.
    sensitivity
        ``(K, P)`` true positive rate at each false positive rate, points joined by lines.

    Rows of tracks without a positive (or, of sensitivity, without a negative) are NaN.
    """

    grid: Float64[np.ndarray, "P"]
    precision: Float64[np.ndarray, "K P"]
    sensitivity: Float64[np.ndarray, "K P"]


@kernel
def _thresholds(bits, labels, found, passed):
    """Fill the counts and return their number, or -1 for a NaN or a strange label."""
    rows = bits.size
    keys = np.empty(rows, np.int64)
    for n in range(rows):
        if is_nan(bits[n]) or labels[n] > 1:
            return -1
        keys[n] = (ordered_bits(bits[n]) << 1) | labels[n]
    keys = radix_sort(keys, np.empty(rows, np.int64), 1)
    count = 0
    ups = 0
    for i in range(rows - 1, -1, -1):
        ups += keys[i] & 1
        if i == 0 or keys[i] >> 1 != keys[i - 1] >> 1:
            found[count] = ups
            passed[count] = rows - i - ups
            count += 1
    return count


def thresholds(
    scores: Float32[np.ndarray, "N"], labels: UInt8[np.ndarray, "N"], name: str = "track"
) -> Thresholds:
    """Positives and negatives at or above every distinct score of one track.

    Precision is ``found / (found + passed)``, recall ``found / found[-1]``, false positive
    rate ``passed / passed[-1]``.

    Raises
    ------
    InputError
        As `danq.evaluation.metrics.rank`; ``name`` stands in its message.
    """
    score, label = check_pair(np.asarray(scores)[:, None], np.asarray(labels)[:, None])
    found, passed = np.empty((2, len(score)), np.int64)
    count = _thresholds(score[:, 0].view(np.uint32), label[:, 0], found, passed)
    if count < 0:
        refuse(np.ones(1), score, label, [name])
    return Thresholds(found[:count], passed[:count])


def curve_grid(
    scores: Scores, labels: LabelBatch, *, points: int = GRID, names: Sequence[str] | None = None
) -> CurveGrid:
    """Precision-recall and ROC curves of all tracks at common places.

    Parameters
    ----------
    scores, labels
        As `danq.evaluation.metrics.rank` takes them.
    points
        Number P of places, at least 2.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `rank`; when ``points`` is below 2.
    """
    scores, labels = check_pair(scores, labels)
    if points < 2:
        raise InputError(f"{points} points were asked of a curve, below 2")
    grid = np.linspace(0, 1, points)
    precision, sensitivity = np.full((2, scores.shape[1], points), np.nan)
    for k in range(scores.shape[1]):
        found, passed = thresholds(
            scores[:, k], labels[:, k], str(k) if names is None else names[k]
        )
        if not found.size or not found[-1]:
            continue
        # The threshold is the first whose count reaches the recall asked for.
        wanted = np.ceil(grid * found[-1] - 1e-9).clip(1)
        at = np.searchsorted(found, wanted)
        precision[k] = found[at] / (found[at] + passed[at])
        if passed[-1]:
            x, y = (np.concatenate([[0.0], part / part[-1]]) for part in (passed, found))
            sensitivity[k] = _upper(grid, x, y)
    return CurveGrid(grid, precision, sensitivity)


def _upper(grid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of a rising polyline; where it rises steeply, the upper end."""
    right = np.searchsorted(x, grid, side="right")
    low = right - 1
    high = np.minimum(right, x.size - 1)
    width = x[high] - x[low]
    part = np.divide(grid - x[low], width, out=np.zeros_like(grid), where=width > 0)
    return y[low] + part * (y[high] - y[low])
