"""Log loss, and slope and intercept of the regression of labels on logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from danq.evaluation.calibration import check_range
from danq.evaluation.input_checks import check_arrays
from danq.evaluation.logistic_fit import fit_logistic
from danq.typing import LabelBatch, PerTrack, Scores

LEAST = 1e-7
"""Probabilities are compared with labels as if they were at least this, and at most 1 minus it."""

_ROWS = 4096


class CalibrationSlope(NamedTuple):
    """Calibration of each track and of all tracks together.

    Attributes
    ----------
    slope, intercept
        ``(K,)`` of the logistic regression of the label on the logit (Cox, Biometrika 1958); 1 and
        0 are ideal. With a slope below 1, probabilities are too extreme. NaN where a track has
        labels of one class, or a threshold separates its classes.
    log_loss
        ``(K,)`` mean negative log likelihood per window, in nats.
    pooled_slope, pooled_intercept
        Of one regression of the windows of all tracks.
    """

    slope: PerTrack
    intercept: PerTrack
    log_loss: PerTrack
    pooled_slope: float
    pooled_intercept: float

    @property
    def mean_log_loss(self) -> float:
        """Log loss of all tracks; NaN without windows."""
        return float(self.log_loss.mean()) if self.log_loss.size else math.nan


def calibration_slope(
    scores: Scores, labels: LabelBatch, names: Sequence[str] | None = None
) -> CalibrationSlope:
    """Log loss and calibration slope of every track.

    Parameters
    ----------
    scores
        ``(N, K)`` probabilities.
    labels
        As `danq.evaluation.metrics.rank` takes them.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `danq.evaluation.calibration.calibration`.
    """
    losses = log_loss(scores, labels, names)
    scores, labels = check_arrays(scores, labels)
    rows, tracks = scores.shape
    loss = losses.mean(0, dtype=np.float64) if rows else np.full(tracks, np.nan)
    logits = np.empty((1, *scores.shape), np.float32)
    for first in range(0, rows, _ROWS):
        p = _clipped(scores[first : first + _ROWS])
        logits[0, first : first + _ROWS] = np.log(p) - np.log1p(-p)
    each, pooled = fit_logistic(logits, labels), fit_logistic(logits, labels, pooled=True)
    ends = [float(values[0]) if values.size else math.nan for values in pooled]
    return CalibrationSlope(*each, loss, *ends)


def log_loss(scores: Scores, labels: LabelBatch, names: Sequence[str] | None = None) -> np.ndarray:
    """Negative log likelihood of every label, in nats: ``(N, K)`` float32.

    Parameters
    ----------
    scores, labels, names
        As in `calibration_slope`.

    Raises
    ------
    InputError
        As `calibration_slope`.
    """
    scores, labels = check_arrays(scores, labels)
    check_range(scores, labels, names)
    out = np.empty(scores.shape, np.float32)
    for first in range(0, len(scores), _ROWS):
        rows = slice(first, first + _ROWS)
        p = _clipped(scores[rows])
        out[rows] = -np.where(labels[rows] == 1, np.log(p), np.log1p(-p))
    return out


def _clipped(scores: Scores) -> np.ndarray:
    return np.clip(scores.astype(np.float64), LEAST, 1 - LEAST)
