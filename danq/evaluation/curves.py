"""Precision-recall and ROC curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from danq._jit import kernel
from danq.errors import InputError
from danq.evaluation.input_checks import check_arrays, check_values
from danq.evaluation.score_sort import is_nan, ordered_bits, radix_sort
from danq.typing import LabelBatch, Scores

GRID = 201


class Thresholds(NamedTuple):
    """Counts at every distinct score of one track, from the highest score to the lowest.

    Attributes
    ----------
    true_positives
        Positives with this score or a higher one.
    false_positives
        Negatives with this score or a higher one.
    """

    true_positives: Int64[np.ndarray, "M"]
    false_positives: Int64[np.ndarray, "M"]


class CurveGrid(NamedTuple):
    """Curves of all tracks at common points.

    Attributes
    ----------
    grid
        ``(P,)`` recalls and false positive rates, from 0 to 1.
    precision
        ``(K, P)`` precision at the highest threshold that reaches each recall.
    true_positive_rate
        ``(K, P)`` true positive rate at each false positive rate, interpolated linearly.

    Tracks without a positive have NaN; those without a negative have NaN in
    ``true_positive_rate``.
    """

    grid: Float64[np.ndarray, "P"]
    precision: Float64[np.ndarray, "K P"]
    true_positive_rate: Float64[np.ndarray, "K P"]


@kernel
def _thresholds(bits, labels, found, passed):
    """Fill the counts and return their number, or -1 for a NaN or an invalid label."""
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

    With ``t`` true and ``f`` false positives, precision is ``t / (t + f)``, recall ``t / t[-1]``
    and the false positive rate ``f / f[-1]``.

    Raises
    ------
    InputError
        As `danq.evaluation.metrics.rank`; ``name`` is the track in its message.
    """
    score, label = check_arrays(np.asarray(scores)[:, None], np.asarray(labels)[:, None])
    found, passed = np.empty((2, len(score)), np.int64)
    count = _thresholds(score[:, 0].view(np.uint32), label[:, 0], found, passed)
    if count < 0:
        check_values(np.ones(1), score, label, [name])
    return Thresholds(found[:count], passed[:count])


def curve_grid(
    scores: Scores, labels: LabelBatch, *, points: int = GRID, names: Sequence[str] | None = None
) -> CurveGrid:
    """Precision-recall and ROC curves of all tracks at common points.

    Parameters
    ----------
    scores, labels
        As `danq.evaluation.metrics.rank` takes them.
    points
        Number P of points, at least 2.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `rank`; when ``points`` is below 2.
    """
    scores, labels = check_arrays(scores, labels)
    if points < 2:
        raise InputError(f"the number of points is {points}, the minimum is 2")
    grid = np.linspace(0, 1, points)
    precision, true_positive_rate = np.full((2, scores.shape[1], points), np.nan)
    for k in range(scores.shape[1]):
        found, passed = thresholds(
            scores[:, k], labels[:, k], str(k) if names is None else names[k]
        )
        if not found.size or not found[-1]:
            continue
        # The threshold is the first with enough positives for the recall.
        needed = np.ceil(grid * found[-1] - 1e-9).clip(1)
        at = np.searchsorted(found, needed)
        precision[k] = found[at] / (found[at] + passed[at])
        if passed[-1]:
            x, y = (np.concatenate([[0.0], part / part[-1]]) for part in (passed, found))
            true_positive_rate[k] = _upper(grid, x, y)
    return CurveGrid(grid, precision, true_positive_rate)


def _upper(grid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Value of an increasing polyline at the grid; the upper end at vertical steps."""
    right = np.searchsorted(x, grid, side="right")
    low = right - 1
    high = np.minimum(right, x.size - 1)
    width = x[high] - x[low]
    part = np.divide(grid - x[low], width, out=np.zeros_like(grid), where=width > 0)
    return y[low] + part * (y[high] - y[low])
