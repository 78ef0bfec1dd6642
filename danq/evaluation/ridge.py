"""What the k-mer baselines of peaks and of amounts share: ridge regression on counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.typing import CodeBatch, PerTrack, Scores

_ROWS = 4096


class Fit(NamedTuple):
    """Ridge regression with a selected penalty.

    Attributes
    ----------
    weights, intercept
        ``(W, K)`` weights of the counts, and ``(K,)``.
    penalty
        The selected penalty.
    tried
        Mean of the metric on the validation windows for each candidate penalty.
    """

    weights: Float32[np.ndarray, "W K"]
    intercept: Float32[np.ndarray, "K"]
    penalty: float
    tried: dict[float, float]


def check_penalties(penalties: Sequence[float]) -> None:
    """Check candidate penalties.

    Raises
    ------
    InputError
        When there is none, or one is not positive.
    """
    if not penalties or min(penalties) <= 0:
        raise InputError(f"ridge penalties {list(penalties)} are not positive numbers")


def standardise(
    gram: Float64[np.ndarray, "W W"], cross: Float64[np.ndarray, "W K"], windows: int
) -> Float64[np.ndarray, "W"]:
    """Scale centred sums to those of standardised counts, in place; constant counts become 0.

    Parameters
    ----------
    gram, cross
        Products of the counts with each other and with the targets, summed over the windows.
    windows
        Number of windows.

    Returns
    -------
    array
        Standard deviation of each count, 1 for constant ones.
    """
    scale = np.sqrt(np.diag(gram).clip(0) / windows)
    constant = scale < 1e-9
    scale[constant] = 1.0
    gram /= np.outer(scale, scale)
    cross /= scale[:, None]
    gram[constant], gram[:, constant], cross[constant] = 0, 0, 0
    return scale


def select_penalty(
    penalties: Sequence[float],
    solve: Callable[[float], tuple[np.ndarray, np.ndarray]],
    counts: Sequence[np.ndarray],
    metric: Callable[[Scores], PerTrack],
    worst: float,
) -> Fit:
    """Fit with each penalty and select that with the largest mean of a metric over tracks.

    Of equal ones, the largest penalty is selected.

    Parameters
    ----------
    penalties
        Candidate penalties.
    solve
        Weights and intercept for a penalty.
    counts
        Counts of the validation windows, in batches.
    metric
        Metric of each track for scores ``(N, K)`` of all validation windows; NaN where undefined.
    worst
        Value of a penalty for which no track has a metric.
    """
    tried, fits = {}, {}
    for penalty in sorted(penalties, reverse=True):
        weights, intercept = (part.astype(np.float32) for part in solve(penalty))
        scores = np.concatenate([c.astype(np.float32) @ weights + intercept for c in counts])
        found = metric(scores)
        known = found[~np.isnan(found)]
        tried[penalty] = float(known.mean()) if known.size else worst
        fits[penalty] = weights, intercept
    best = max(tried, key=lambda penalty: tried[penalty])
    return Fit(*fits[best], penalty=best, tried=tried)


def predict_linear(
    codes: CodeBatch,
    count: Callable[[CodeBatch], np.ndarray],
    weights: Float32[np.ndarray, "W K"],
    intercept: Float32[np.ndarray, "K"],
) -> Scores:
    """Scores ``(B, K)`` of windows from their counts, which are computed a block at a time."""
    out = np.empty((len(codes), len(intercept)), np.float32)
    for start in range(0, len(codes), _ROWS):
        counts = count(codes[start : start + _ROWS]).astype(np.float32)
        out[start : start + _ROWS] = counts @ weights + intercept
    return out
