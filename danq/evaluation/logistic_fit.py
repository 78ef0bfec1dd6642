"""Logistic curves fitted to the logits of a model, per track or for all tracks together."""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float32, Float64

from danq._jit import parallel_kernel
from danq.typing import LabelBatch, PerTrack

Logits = Float32[np.ndarray, "S B K"]
"""Logits of ``B`` windows for K tracks, of S strands."""

_STEPS = 200
_CONVERGED = 1e-10


class LogisticFit(NamedTuple):
    """Curves ``probability = sigmoid(slope * logit + intercept)``, one per track.

    Attributes
    ----------
    slope, intercept
        ``(K,)`` parameters.
    """

    slope: PerTrack
    intercept: PerTrack


@parallel_kernel
def likelihood(logits, labels, slope, intercept, active, sums):
    """Add loss, gradient and Fisher information of every active track to ``sums``.

    The probability is the mean over strands of ``sigmoid(slope * logit + intercept)``. The six
    columns of ``sums`` are the negative log likelihood, its derivatives by slope and intercept, and
    the information of slope, of slope and intercept, and of intercept.

    A thread adds the windows of a track in their order, so that the sums do not depend on the
    number of threads.
    """
    strands, rows, tracks = logits.shape
    groups = min(tracks, 64)
    for g in numba.prange(groups):
        first, last = g * tracks // groups, (g + 1) * tracks // groups
        for n in range(rows):
            for k in range(first, last):
                if not active[k]:
                    continue
                p = 0.0
                q = 0.0
                by_slope = 0.0
                by_intercept = 0.0
                for s in range(strands):
                    z = np.float64(logits[s, n, k])
                    u = min(max(slope[k] * z + intercept[k], -500.0), 500.0)
                    e = np.exp(-abs(u))
                    large = 1 / (1 + e)
                    small = e * large
                    p += large if u >= 0 else small
                    q += small if u >= 0 else large
                    by_slope += large * small * z
                    by_intercept += large * small
                p /= strands
                q /= strands
                by_slope /= strands
                by_intercept /= strands
                positive = labels[n, k] == 1
                residual = 1 / p if positive else -1 / q
                sums[k, 0] -= np.log(p) if positive else np.log(q)
                sums[k, 1] -= residual * by_slope
                sums[k, 2] -= residual * by_intercept
                sums[k, 3] += by_slope / p * (by_slope / q)
                sums[k, 4] += by_slope / p * (by_intercept / q)
                sums[k, 5] += by_intercept / p * (by_intercept / q)


def _plain_likelihood(
    logits: Logits, labels: LabelBatch, slope: PerTrack, intercept: PerTrack
) -> Float64[np.ndarray, "K 6"]:
    """`likelihood` in numpy."""
    z = logits.astype(np.float64)
    u = slope * z + intercept
    each, other = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u))
    p, q = each.mean(0), other.mean(0)
    by = ((each * other * z).mean(0), (each * other).mean(0))
    residual = np.where(labels == 1, 1 / p, -1 / q)
    terms = [-np.where(labels == 1, np.log(p), np.log(q)), -residual * by[0], -residual * by[1]]
    terms += [by[0] * by[0] / (p * q), by[0] * by[1] / (p * q), by[1] * by[1] / (p * q)]
    return np.stack([term.sum(0) for term in terms], axis=1)


def fit_logistic(logits: Logits, labels: LabelBatch, *, pooled: bool = False) -> LogisticFit:
    """Regress the label on the logit, by maximum likelihood (Fisher scoring).

    Slope and intercept describe the calibration of a model (Cox, Biometrika 1958): 1 and 0 are
    ideal, and with a slope below 1 probabilities are too extreme.

    Parameters
    ----------
    logits
        ``(S, N, K)``. For several strands, the probability is the mean over strands.
    labels
        ``(N, K)``, 0 or 1.
    pooled
        Fit one curve to all tracks.

    Returns
    -------
    LogisticFit
        NaN where the maximum does not exist: for a track with labels of one class, or whose
        positives and negatives a threshold separates.
    """
    tracks = logits.shape[2]
    group = np.zeros(tracks, np.int64) if pooled else np.arange(tracks)
    groups = int(group.max()) + 1 if tracks else 0
    running = ~_separated(logits, labels, group, groups)
    point = np.where(running[:, None], [1.0, 0.0], np.nan)
    loss, step = _newton_step(logits, labels, point[group], group, running)
    length = np.ones(groups)
    for _ in range(_STEPS):
        if not running.any():
            break
        trial = point + length[:, None] * step
        new_loss, new_step = _newton_step(logits, labels, trial[group], group, running)
        better = running & (new_loss <= loss)
        small = np.abs(trial - point).max(1) <= _CONVERGED * (1 + np.abs(point).max(1))
        point[better], loss[better], step[better] = (
            trial[better],
            new_loss[better],
            new_step[better],
        )
        length = np.where(better, 1.0, length / 2)
        running &= ~small
    return LogisticFit(*point[group].T.copy())


def _newton_step(
    logits: Logits, labels: LabelBatch, point: np.ndarray, group: np.ndarray, running: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Loss and step of every group of tracks, at the parameters ``(K, 2)`` of each track."""
    slope, intercept = point.T.copy()
    tracks = np.zeros((len(group), 6))
    likelihood(logits, labels, slope, intercept, running[group], tracks)
    sums = np.zeros((len(running), 6))
    np.add.at(sums, group, tracks)
    loss, by_slope, by_intercept, a, b, c = sums.T
    determinant = a * c - b * b
    determinant[determinant <= 0] = np.inf  # no step
    step = [c * by_slope - b * by_intercept, a * by_intercept - b * by_slope]
    return loss.copy(), -np.stack(step, axis=1) / determinant[:, None]


def _separated(logits: Logits, labels: LabelBatch, group: np.ndarray, groups: int) -> np.ndarray:
    """Whether a threshold separates the classes of a group of tracks, or one class is missing."""
    ends = np.full((4, groups), np.inf)
    for k, g in enumerate(group):
        column = logits[:, :, k]
        for row, chosen in ((0, labels[:, k] == 1), (2, labels[:, k] == 0)):
            values = column[:, chosen]
            ends[row, g] = min(ends[row, g], values.min(initial=np.inf))
            ends[row + 1, g] = min(ends[row + 1, g], -values.max(initial=-np.inf))
    low, high, other_low, other_high = ends * [[1], [-1], [1], [-1]]
    return (other_high <= low) | (high <= other_low)
