"""Correlations and errors of predicted amounts, per track, per window and in bootstrap replicates.

NaN marks an amount that was not measured; it counts for no metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from danq.errors import InputError
from danq.evaluation.confidence_intervals import Interval, check_draws, draw_weights, percentiles
from danq.evaluation.grouped_metrics import (
    FEWEST,
    Replicated,
    Replicates,
    Row,
    spearman_within,
)
from danq.progress import counted
from danq.typing import IntRow, PerTrack

METRICS = ("pearson", "spearman", "r2", "mse")

Amounts = Float[np.ndarray, "N K"]


class AmountMetrics(NamedTuple):
    """Metrics of each track.

    Attributes
    ----------
    pearson, spearman
        Correlations; NaN with fewer than `FEWEST` windows, or if all values of one side are equal.
    r2
        Coefficient of determination ``1 - SSE / SST``, as scikit-learn's ``r2_score``; negative for
        predictions that are worse than the mean. NaN if all measured amounts are equal.
    mse
        Mean squared error; NaN without a measured window.
    windows
        Number of measured windows.
    """

    pearson: PerTrack
    spearman: PerTrack
    r2: PerTrack
    mse: PerTrack
    windows: Int64[np.ndarray, "K"]


class AmountBootstrap(NamedTuple):
    """Metrics of every bootstrap replicate.

    Attributes
    ----------
    pearson, spearman, r2, mse
        ``(R, K)``; NaN where a replicate has no such metric.
    level
        Fraction of the replicates within an interval.
    """

    pearson: Float64[np.ndarray, "R K"]
    spearman: Float64[np.ndarray, "R K"]
    r2: Float64[np.ndarray, "R K"]
    mse: Float64[np.ndarray, "R K"]
    level: float

    def per_track(self, metric: str) -> Interval:
        """Percentile interval of a metric for each track; NaN where undefined."""
        return percentiles(getattr(self, metric), self.level)

    def macro(self, metric: str, tracks: IntRow | None = None) -> Interval:
        """Percentile interval of the mean of a metric over tracks; None for all tracks."""
        values = getattr(self, metric)
        values = values if tracks is None else values[:, tracks]
        usable = values[:, ~np.isnan(values).all(axis=0)]
        usable = usable[~np.isnan(usable).all(axis=1)]
        if not usable.size:
            return Interval(np.nan, np.nan)
        interval = percentiles(np.nanmean(usable, axis=1)[:, None], self.level)
        return Interval(float(interval.low[0]), float(interval.high[0]))  # type: ignore[index]


def amount_metrics(
    predicted: Amounts, measured: Amounts, names: Sequence[str] | None = None
) -> AmountMetrics:
    """Metrics of each track over windows.

    Parameters
    ----------
    predicted
        ``(N, K)`` finite amounts.
    measured
        ``(N, K)`` amounts, finite or NaN.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        When the shapes differ or are not two-dimensional, or a value is not allowed.
    """
    predicted, measured = check_amounts(predicted, measured, names)
    tracks = predicted.shape[1]
    empty = [np.full(tracks, np.nan) for _ in METRICS]
    result = AmountMetrics(empty[0], empty[1], empty[2], empty[3], np.zeros(tracks, np.int64))
    for k in range(tracks):
        known = ~np.isnan(measured[:, k])
        x, y = predicted[known, k], measured[known, k]
        result.windows[k] = y.size
        if not y.size:
            continue
        found = _drawn(x, y, Replicates.single(y.size))
        for name, values in zip(("pearson", "r2", "mse"), found, strict=True):
            getattr(result, name)[k] = values[0]
        result.spearman[k] = _pearson(ranks(x), ranks(y))
    return result


def bootstrap_amounts(
    predicted: Amounts,
    measured: Amounts,
    blocks: IntRow,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> AmountBootstrap:
    """Metrics of every track in bootstrap replicates.

    Each replicate draws blocks of windows with replacement, the same blocks for every track.

    Parameters
    ----------
    predicted, measured, names
        As `amount_metrics` takes them.
    blocks
        ``(N,)`` block index of each window, see
        `danq.evaluation.confidence_intervals.window_blocks`; ``np.arange(N)`` draws single windows.
    replicates
        Number R of replicates, at least 2.
    level
        Coverage of the intervals, between 0 and 1.
    seed
        Random seed.

    Raises
    ------
    InputError
        As `amount_metrics`; when ``replicates`` is below 2, ``level`` is not between 0 and 1,
        ``blocks`` has another length or a negative value, or there is only one block.
    """
    predicted, measured = check_amounts(predicted, measured, names)
    rows, tracks = predicted.shape
    index = np.asarray(blocks, np.int64)
    total = check_draws(rows, index, replicates, level)
    weights = np.ascontiguousarray(draw_weights(total, replicates, seed).T)
    found = {name: np.full((replicates, tracks), np.nan) for name in METRICS}
    for k in counted(range(tracks), "bootstrap", "tracks"):
        known = ~np.isnan(measured[:, k])
        x, y, block = predicted[known, k], measured[known, k], index[known]
        if not y.size:
            continue
        replicated = Replicates(block, weights)
        drawn = _drawn(x, y, replicated)
        for name, values in zip(("pearson", "r2", "mse"), drawn, strict=True):
            found[name][:, k] = values
        if y.size < FEWEST:  # a replicate may draw the few windows more than once
            found["pearson"][:, k] = np.nan
        group = np.zeros(y.size, np.int64)
        found["spearman"][:, k] = spearman_within(x, y, group, replicated)
    return AmountBootstrap(**found, level=level)


def across_tracks(predicted: Amounts, measured: Amounts) -> Float64[np.ndarray, "N"]:
    """Pearson's correlation over tracks in each window, after each track's mean is subtracted.

    It evaluates in which tracks a window has more than those tracks' usual amount.

    Parameters
    ----------
    predicted, measured
        As `amount_metrics` takes them.

    Returns
    -------
    array
        ``(N,)``; NaN with fewer than `FEWEST` measured tracks, or if all values of one side are
        equal.

    Raises
    ------
    InputError
        As `amount_metrics`.
    """
    predicted, measured = check_amounts(predicted, measured)
    known = ~np.isnan(measured)
    x = np.where(known, predicted - _masked_mean(predicted, known, axis=0), 0)
    y = np.where(known, measured - _masked_mean(measured, known, axis=0), 0)
    x = np.where(known, x - _masked_mean(x, known, axis=1), 0)
    y = np.where(known, y - _masked_mean(y, known, axis=1), 0)
    spread = np.sqrt((x * x).sum(axis=1) * (y * y).sum(axis=1))
    scale = np.sqrt(
        (np.where(known, predicted, 0) ** 2).sum(axis=1)
        * (np.where(known, measured, 0) ** 2).sum(axis=1)
    )
    usable = (known.sum(axis=1) >= FEWEST) & (spread > 1e-12 * scale)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(usable, (x * y).sum(axis=1) / spread, np.nan)


class Ceiling(NamedTuple):
    """Agreement of two replicates of each track, the limit of any prediction.

    Attributes
    ----------
    pearson
        Correlation r of the replicates.
    single
        ``sqrt(r)``, the largest expected correlation of a prediction with one replicate.
    mean
        ``sqrt(2 r / (1 + r))``, the same with the mean of both replicates (Spearman-Brown).
    """

    pearson: PerTrack
    single: PerTrack
    mean: PerTrack


def replicate_ceiling(first: Amounts, second: Amounts) -> Ceiling:
    """Largest expected correlation with measured amounts, from two replicates.

    Windows that one replicate lacks do not count. A negative correlation has the ceiling 0.

    Raises
    ------
    InputError
        When the replicates have different shapes, or a value is infinite.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape or first.ndim != 2:
        raise InputError(
            f"replicates have the shapes {first.shape} and {second.shape}",
            remedy="Give replicates of the same windows and tracks",
        )
    for values in (first, second):
        if np.isinf(values).any():
            raise InputError("a replicate has an infinite amount", remedy="Mark it as NaN")
    r = np.full(first.shape[1], np.nan)
    for k, (x, y) in enumerate(zip(first.T, second.T, strict=True)):
        known = ~np.isnan(x) & ~np.isnan(y)
        r[k] = _pearson(x[known], y[known])
    positive = np.where(r < 0, 0, r)
    return Ceiling(r, np.sqrt(positive), np.sqrt(2 * positive / (1 + positive)))


def ceiling_of_replicates(measured: Amounts, experiments: Sequence[str]) -> Ceiling:
    """Ceiling of each track that is a replicate, from the other replicates of its experiment.

    Parameters
    ----------
    measured
        ``(N, K)`` amounts; NaN where missing.
    experiments
        Name of the experiment that each track is a replicate of; empty for others, which have NaN.
        Of more than two replicates, r is the mean correlation with the others.
    """
    found = [np.full(len(experiments), np.nan) for _ in Ceiling._fields]
    for k, name in enumerate(experiments):
        others = [i for i, other in enumerate(experiments) if name and other == name and i != k]
        if not others:
            continue
        own = np.repeat(measured[:, [k]], len(others), axis=1)
        r = replicate_ceiling(own, measured[:, others]).pearson
        mean = np.nan if np.isnan(r).all() else float(np.nanmean(r))
        positive = max(mean, 0.0) if mean == mean else mean
        values = (mean, np.sqrt(positive), np.sqrt(2 * positive / (1 + positive)))
        for array, value in zip(found, values, strict=True):
            array[k] = value
    return Ceiling(*found)


def pearson(first: Row, second: Row, replicates: Replicates) -> Replicated:
    """Pearson's correlation.

    Parameters
    ----------
    first, second
        ``(N,)`` finite numbers.
    replicates
        Weights of the rows.

    Returns
    -------
    array
        ``(R,)``; NaN where fewer than `FEWEST` rows are drawn, or all values of one variable are
        equal.
    """
    return _drawn(first, second, replicates)[0]


def _pearson(x: Row, y: Row) -> float:
    """Pearson's correlation of the rows themselves."""
    return float(pearson(x, y, Replicates.single(x.size))[0]) if x.size else np.nan


def ranks(values: np.ndarray) -> Float64[np.ndarray, "N"]:
    """Ranks from 1; equal values have their mean rank."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[index]


def check_amounts(
    predicted: np.ndarray, measured: np.ndarray, names: Sequence[str] | None = None
) -> tuple[Float64[np.ndarray, "N K"], Float64[np.ndarray, "N K"]]:
    """Both as float64, checked.

    Raises
    ------
    InputError
        When the shapes differ or are not two-dimensional, a prediction is not finite, or a measured
        amount is infinite.
    """
    predicted, measured = np.asarray(predicted, np.float64), np.asarray(measured, np.float64)
    if predicted.shape != measured.shape or predicted.ndim != 2:
        raise InputError(
            f"predictions have shape {predicted.shape}, measured amounts {measured.shape}",
            remedy="Use one row per window and one column per track in both",
        )
    for what, bad in (
        ("prediction", ~np.isfinite(predicted)),
        ("measured amount", np.isinf(measured)),
    ):
        if bad.any():
            row, k = (int(at[0]) for at in np.nonzero(bad))
            value = (predicted if what == "prediction" else measured)[row, k]
            raise InputError(
                f"the {what} of window {row} is {value} ({int(bad.sum()):,} are not finite)",
                record=f"track {k}" if names is None else names[k],
            )
    return predicted, measured


_Sums = Float64[np.ndarray, "7 B"]


def _drawn(x: Row, y: Row, replicates: Replicates) -> tuple[Replicated, Replicated, Replicated]:
    """Pearson's correlation, R2 and mean squared error in each replicate."""
    sums = _moments(x, y, replicates.block, replicates.weights.shape[1])
    return _from_moments((replicates.weights.astype(np.float64) @ sums.T).T)


def _moments(x: np.ndarray, y: np.ndarray, block: np.ndarray, blocks: int) -> _Sums:
    """Count and sums of x, y, xx, yy, xy and squared error of each block.

    The means of all windows are subtracted first, so that the sums keep their digits. Of the
    squared values only those above rounding error count, so that equal values have no variance.
    """
    a, b = x - x.mean(), y - y.mean()
    a[np.abs(a) <= 1e-12 * np.abs(x)] = 0
    b[np.abs(b) <= 1e-12 * np.abs(y)] = 0
    terms = (np.ones(x.size), a, b, a * a, b * b, a * b, (x - y) ** 2)
    return np.stack([np.bincount(block, term, blocks) for term in terms])


def _from_moments(sums: _Sums) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pearson's correlation, R2 and mean squared error of each column of sums."""
    n, a, b, aa, bb, ab, error = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        first, second = aa - a * a / n, bb - b * b / n
        both = ab - a * b / n
        varies = (first > 1e-14 * aa) & (second > 1e-14 * bb) & (n >= FEWEST)
        r = np.where(varies, np.clip(both / np.sqrt(first * second), -1, 1), np.nan)
        r2 = np.where((second > 1e-14 * bb) & (n > 1), 1 - error / second, np.nan)
        return r, r2, np.where(n > 0, error / n, np.nan)


def _masked_mean(values: np.ndarray, known: Bool[np.ndarray, "N K"], *, axis: int) -> np.ndarray:
    count = known.sum(axis=axis, keepdims=True)
    return np.where(known, values, 0).sum(axis=axis, keepdims=True) / np.maximum(count, 1)
