"""Predicted probabilities against how often they come true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int64

from danq._jit import parallel_kernel
from danq.errors import InputError
from danq.evaluation.checks import check_pair, refuse
from danq.typing import LabelBatch, Scores


class Calibration(NamedTuple):
    """Predicted against observed frequency, per track and bin of predicted probability.

    Attributes
    ----------
    edges
        ``(M + 1,)`` bin edges; a bin holds its lower edge, the last one both.
    windows
        ``(K, M)`` windows in each bin.
    predicted
        ``(K, M)`` mean probability of them; NaN in an empty bin.
    observed
        ``(K, M)`` part of them that is positive; NaN in an empty bin.
    """

    edges: Float64[np.ndarray, "M1"]
    windows: Int64[np.ndarray, "K M"]
    predicted: Float64[np.ndarray, "K M"]
    observed: Float64[np.ndarray, "K M"]

    def error(self) -> Float64[np.ndarray, "K"]:
        """Expected calibration error per track: mean distance of the two, by windows."""
        gap = np.nan_to_num(np.abs(self.predicted - self.observed))
        return (gap * self.windows).sum(1) / np.maximum(self.windows.sum(1), 1)

    def pooled(self) -> Calibration:
        """The same with all tracks taken as one."""
        total = self.windows.sum(0, keepdims=True)
        share = total.astype(float)
        share[total == 0] = np.nan
        merged = [
            (np.nan_to_num(part) * self.windows).sum(0, keepdims=True) / share
            for part in (self.predicted, self.observed)
        ]
        return Calibration(self.edges, total, *merged)


def log_odds_edges(bins: int = 28, limit: float = 7.0) -> Float64[np.ndarray, "M1"]:
    """Edges evenly spaced in log odds, which tell rare probabilities apart; 0 and 1 outside."""
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
    """Compare predicted probabilities with how often they come true.

    Parameters
    ----------
    scores
        ``(N, K)`` probabilities.
    labels
        As `danq.evaluation.metrics.rank` takes them.
    edges
        Rising bin edges from 0 to 1; `log_odds_edges` where None.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `rank`; when a score is outside 0 to 1, or the edges do not rise from 0 to 1.
    """
    scores, labels = check_pair(scores, labels)
    edges = log_odds_edges() if edges is None else np.asarray(edges, np.float64)
    if edges.size < 2 or edges[0] != 0 or edges[-1] != 1 or (np.diff(edges) <= 0).any():
        raise InputError(f"edges {edges.tolist()} do not rise from 0 to 1")
    if scores.size:
        # NaN compares false, so it is caught as well.
        bad = ~((scores.min(0) >= 0) & (scores.max(0) <= 1)) | (labels.max(0) > 1)
        refuse_range(bad, scores, labels, names)
    shape = (scores.shape[1], edges.size - 1)
    windows, positives = np.zeros((2, *shape), np.int64)
    total = np.zeros(shape)
    _calibrate(scores, labels, edges, windows, total, positives)
    share = windows.astype(float)
    share[windows == 0] = np.nan
    return Calibration(edges, windows, total / share, positives / share)


def refuse_range(
    bad: np.ndarray, scores: Scores, labels: LabelBatch, names: Sequence[str] | None
) -> None:
    """Raise for the first unfit track, naming a probability outside 0 to 1.

    Raises
    ------
    InputError
        When any element of ``bad`` is set.
    """
    for k in np.flatnonzero(bad)[:1]:
        outside = (scores[:, k] < 0) | (scores[:, k] > 1)
        if not outside.any():
            refuse(bad, scores, labels, names)
        row = int(np.flatnonzero(outside)[0])
        raise InputError(
            f"the score of window {row} is {scores[row, k]}, no probability",
            record=f"track {k}" if names is None else names[int(k)],
            remedy="Calibration needs probabilities between 0 and 1",
        )
