"""One temperature that calibrates a model, fitted to held-out windows.

Logits are divided by the temperature (Guo et al., ICML 2017). One temperature for all tracks
describes yeast better than one per track or one with intercepts, see `docs/reliability.md`.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from danq.evaluation.logistic_fit import Logits, likelihood
from danq.typing import IntRow, LabelBatch

LEAST_BLOCKS = 10
"""Fewer blocks of windows do not show how uncertain a temperature is."""

LARGEST = 100.0
"""Largest temperature, and 1 / the smallest."""

_PRIOR = 1.0  # standard deviation of log T; it only matters where the classes are separated
_STEPS = 100


class Temperature(NamedTuple):
    """A temperature, and how it was found.

    Attributes
    ----------
    value
        The temperature nearest 1 within one standard error of ``fitted``.
    fitted
        The temperature of the highest likelihood.
    standard_error
        Standard error of the logarithm of ``fitted``; NaN for fewer than `LEAST_BLOCKS` blocks.
    loss, scaled_loss
        Mean log loss over windows and tracks, before and after.
    """

    value: float
    fitted: float
    standard_error: float
    loss: float
    scaled_loss: float


def fit_temperature(logits: Logits, labels: LabelBatch, blocks: IntRow) -> Temperature:
    """Fit one temperature to the windows of all tracks.

    Parameters
    ----------
    logits
        ``(S, N, K)``. For several strands, the probability is the mean over strands.
    labels
        ``(N, K)``, 0 or 1.
    blocks
        ``(N,)`` block index of each window, see
        `danq.evaluation.confidence_intervals.window_blocks`.

    Notes
    -----
    Errors of neighbouring windows and of tracks are correlated. On yeast this makes the standard
    error ten to twenty times as large as for independent labels, and another chromosome can have
    another temperature. The standard error is therefore that of the sum of the derivatives of each
    block (Liang & Zeger, Biometrika 1986), and a temperature only differs from 1 by as much as the
    windows show, by the rule of one standard error (Breiman et al. 1984).
    """
    log_t = 0.0
    step, before = _step(logits, labels, log_t)[:2]
    loss = before
    length = 1.0
    for _ in range(_STEPS):
        trial = log_t + length * step
        new_step, new_loss = _step(logits, labels, trial)[:2]
        small = abs(trial - log_t) < 1e-10
        if new_loss <= loss:
            log_t, loss, step, length = trial, new_loss, new_step, 1.0
        else:
            length /= 2
        if small:
            break
    error = _standard_error(logits, labels, blocks, log_t)
    shrunk = 0.0
    if math.isfinite(error):
        shrunk = math.copysign(min(max(0.0, abs(log_t) - error), math.log(LARGEST)), log_t)
    size = max(1, labels.size)
    after = _step(logits, labels, shrunk)[2]
    return Temperature(
        math.exp(shrunk), math.exp(log_t), error, _step(logits, labels, 0.0)[2] / size, after / size
    )


def _step(logits: Logits, labels: LabelBatch, log_t: float) -> tuple[float, float, float]:
    """Newton step of log T, the penalised loss and the loss."""
    loss, gradient, information = _derivatives(logits, labels, log_t)
    gradient += log_t / _PRIOR**2
    information += 1 / _PRIOR**2
    return -gradient / information, loss + (log_t / _PRIOR) ** 2 / 2, loss


def _derivatives(logits: Logits, labels: LabelBatch, log_t: float) -> tuple[float, float, float]:
    """Loss, its derivative by log T, and the Fisher information of log T."""
    tracks = logits.shape[2]
    slope = math.exp(-log_t)
    sums = np.zeros((tracks, 6))
    likelihood(
        logits, labels, np.full(tracks, slope), np.zeros(tracks), np.ones(tracks, bool), sums
    )
    total = sums.sum(0)
    return float(total[0]), float(-slope * total[1]), float(slope**2 * total[3])


def _standard_error(logits: Logits, labels: LabelBatch, blocks: IntRow, log_t: float) -> float:
    order = np.argsort(blocks, kind="stable")
    ends = [*np.flatnonzero(np.diff(blocks[order], prepend=-1)).tolist(), order.size]
    count = len(ends) - 1
    if count < LEAST_BLOCKS:
        return float("nan")
    squares = 0.0
    information = 1 / _PRIOR**2
    for first, last in pairwise(ends):
        rows = order[first:last]
        _, gradient, part = _derivatives(logits[:, rows], labels[rows], log_t)
        squares += gradient**2
        information += part
    return math.sqrt(squares * count / (count - 1)) / information
