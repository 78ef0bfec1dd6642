"""Calibration: predicted probabilities and observed frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int64

from danq._jit import parallel_kernel
from danq.errors import InputError
from danq.evaluation.input_checks import check_arrays, check_values
from danq.typing import LabelBatch, Scores


class Calibration(NamedTuple):
    """Predicted and observed frequency for each track and bin of predicted probability.

    Attributes
    ----------
    edges
        ``(M + 1,)`` bin edges. A bin includes its lower edge; the last bin includes both.
    windows
        ``(K, M)`` number of windows in each bin.
    predicted
        ``(K, M)`` their mean predicted probability; NaN in an empty bin.
    observed
        ``(K, M)`` their fraction of positives; NaN in an empty bin.
    """

    edges: Float64[np.ndarray, "M1"]
    windows: Int64[np.ndarray, "K M"]
    predicted: Float64[np.ndarray, "K M"]
    observed: Float64[np.ndarray, "K M"]

    def error(self) -> Float64[np.ndarray, "K"]:
        """Expected calibration error per track: mean absolute difference, weighted by windows."""
        gap = np.nan_to_num(np.abs(self.predicted - self.observed))
        return (gap * self.windows).sum(1) / np.maximum(self.windows.sum(1), 1)

    def pooled(self) -> Calibration:
        """The calibration of all tracks pooled as one."""
        total = self.windows.sum(0, keepdims=True)
        share = total.astype(float)
        share[total == 0] = np.nan
        merged = [
            (np.nan_to_num(part) * self.windows).sum(0, keepdims=True) / share
            for part in (self.predicted, self.observed)
        ]
        return Calibration(self.edges, total, *merged)


def log_odds_edges(bins: int = 28, limit: float = 7.0) -> Float64[np.ndarray, "M1"]:
    """Bin edges evenly spaced in log odds, to resolve small probabilities, with 0 and 1 added."""
    inner = 1 / (1 + np.exp(-np.linspace(-limit, limit, bins - 1)))
    return np.concatenate([[0.0], inner, [1.0]])


@parallel_kernel
def _calibrate(scores, labels, edges, windows, total, positives):
    rows, tracks = scores.shape
    bins = edges.size - 1
    groups = min(tracks, 64)
    for g in numba.prange(groups):
        first, last = g * tracks // groups, (g + 1) * tracks // groups
        for n in range(rows):
            for k in range(first, last):
                x = np.float64(scores[n, k])
                m = min(np.searchsorted(edges, x, side="right") - 1, bins - 1)
                windows[k, m] += 1
                total[k, m] += x
                positives[k, m] += labels[n, k]


def calibration(
    scores: Scores,
    labels: LabelBatch,
    edges: Float64[np.ndarray, "M1"] | None = None,
    *,
    names: Sequence[str] | None = None,
) -> Calibration:
    """Compare predicted probabilities with observed frequencies.

    Parameters
    ----------
    scores
        ``(N, K)`` probabilities.
    labels
        As `danq.evaluation.metrics.rank` takes them.
    edges
        Increasing bin edges from 0 to 1; None for `log_odds_edges`.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `rank`; when a score is not between 0 and 1, or the edges do not increase from 0 to 1.
    """
    scores, labels = check_arrays(scores, labels)
    edges = log_odds_edges() if edges is None else np.asarray(edges, np.float64)
    if edges.size < 2 or edges[0] != 0 or edges[-1] != 1 or (np.diff(edges) <= 0).any():
        raise InputError(f"edges {edges.tolist()} do not increase from 0 to 1")
    check_range(scores, labels, names)
    shape = (scores.shape[1], edges.size - 1)
    windows, positives = np.zeros((2, *shape), np.int64)
    total = np.zeros(shape)
    _calibrate(scores, labels, edges, windows, total, positives)
    share = windows.astype(float)
    share[windows == 0] = np.nan
    return Calibration(edges, windows, total / share, positives / share)


def check_range(scores: Scores, labels: LabelBatch, names: Sequence[str] | None) -> None:
    """Raise an error about the first invalid track, and name a score that is not a probability.

    Raises
    ------
    InputError
        When a score is not between 0 and 1, or a label is not 0 or 1.
    """
    if not scores.size:
        return
    # Comparisons with NaN are false, so NaN is refused too.
    bad = ~((scores.min(0) >= 0) & (scores.max(0) <= 1)) | (labels.max(0) > 1)
    for k in np.flatnonzero(bad)[:1]:
        outside = (scores[:, k] < 0) | (scores[:, k] > 1)
        if not outside.any():
            check_values(bad, scores, labels, names)
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"the score of window {row} is {scores[row, k]}, not a probability",
            record=f"track {k}" if names is None else names[int(k)],
            remedy="Calibration needs probabilities between 0 and 1",
        )
