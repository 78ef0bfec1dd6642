"""Differences between two models on the same windows, by a paired block bootstrap."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from danq.evaluation.amount_metrics import METRICS as AMOUNT_METRICS
from danq.evaluation.amount_metrics import Amounts, amount_metrics, bootstrap_amounts
from danq.evaluation.calibration_slope import log_loss
from danq.evaluation.confidence_intervals import bootstrap, draw_weights
from danq.evaluation.metrics import rank
from danq.typing import IntRow, LabelBatch, PerTrack, Scores

METRICS = ("auroc", "aupr", "log_loss")


class Difference(NamedTuple):
    """One metric of two models, per track, or its mean over tracks (arrays of one element).

    Attributes
    ----------
    first, second
        The metric of each model; NaN where undefined.
    difference
        ``second - first``.
    low, high
        Percentile interval of the difference.
    p
        Two-sided p-value by the sign of the resampled differences: twice the smaller share of
        replicates that are at most, or at least, 0. It is at least ``2 / (R + 1)``.
    """

    first: PerTrack
    second: PerTrack
    difference: PerTrack
    low: PerTrack
    high: PerTrack
    p: PerTrack


class PairedDifferences(NamedTuple):
    """Differences of every metric of `METRICS`.

    Attributes
    ----------
    tracks
        Per track.
    macro
        Of the mean over tracks with a positive window; for log loss, of the mean over all tracks.
    positives
        ``(K,)`` number of positive windows.
    """

    tracks: dict[str, Difference]
    macro: dict[str, Difference]
    positives: np.ndarray


class AmountDifferences(NamedTuple):
    """Differences of every metric of `danq.evaluation.amount_metrics`.

    Attributes
    ----------
    tracks
        Per track.
    macro
        Of the mean over the tracks with the metric in both models.
    windows
        ``(K,)`` number of measured windows.
    """

    tracks: dict[str, Difference]
    macro: dict[str, Difference]
    windows: np.ndarray


def paired_differences(
    first: Scores,
    second: Scores,
    labels: LabelBatch,
    blocks: IntRow,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
) -> PairedDifferences:
    """Compare two sets of predictions of the same windows.

    Each replicate draws blocks of neighbouring windows with replacement, the same blocks for both
    models and for every track.

    Parameters
    ----------
    first, second
        ``(N, K)`` probabilities of both models.
    labels
        ``(N, K)``, 0 or 1.
    blocks
        ``(N,)`` block index of each window, see
        `danq.evaluation.confidence_intervals.window_blocks`.
    replicates, level, seed, names
        As in `danq.evaluation.confidence_intervals.bootstrap`.

    Raises
    ------
    InputError
        As `danq.evaluation.confidence_intervals.bootstrap`; when a score is not between 0 and 1.
    """
    points: dict[str, tuple[PerTrack, PerTrack]] = {}
    draws: dict[str, Float64[np.ndarray, "R K"]] = {}
    losses = [log_loss(scores, labels, names) for scores in (first, second)]
    points["log_loss"] = tuple(loss.mean(0, dtype=np.float64) for loss in losses)  # type: ignore[assignment]
    draws["log_loss"] = _mean_draws(losses[1] - losses[0], blocks, replicates, seed)
    ranks = [rank(scores, labels, names) for scores in (first, second)]
    # The same random seed draws the same blocks.
    drawn = [
        bootstrap(
            scores, labels, blocks, replicates=replicates, level=level, seed=seed, names=names
        )
        for scores in (first, second)
    ]
    for metric in ("auroc", "aupr"):
        points[metric] = (getattr(ranks[0], metric), getattr(ranks[1], metric))
        draws[metric] = getattr(drawn[1], metric) - getattr(drawn[0], metric)
    known = ranks[0].positives > 0
    everywhere = np.ones(len(known), bool)
    tracks, macro = {}, {}
    for metric in METRICS:
        one, other = points[metric]
        chosen = everywhere if metric == "log_loss" else known
        tracks[metric] = _difference(one, other, draws[metric], level)
        macro[metric] = _difference_of_means(one, other, draws[metric], level, chosen)
    return PairedDifferences(tracks, macro, ranks[0].positives)


def amount_differences(
    first: Amounts,
    second: Amounts,
    measured: Amounts,
    blocks: IntRow,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    names: tuple[str, ...] | None = None,
) -> AmountDifferences:
    """Compare two sets of predicted amounts of the same windows.

    Each replicate draws blocks of neighbouring windows with replacement, the same blocks for both
    models and for every track.

    Parameters
    ----------
    first, second
        ``(N, K)`` finite amounts that both models predict.
    measured
        ``(N, K)`` amounts; NaN where not measured.
    blocks, replicates, level, seed, names
        As in `danq.evaluation.amount_metrics.bootstrap_amounts`.

    Raises
    ------
    InputError
        As `danq.evaluation.amount_metrics.bootstrap_amounts`.
    """
    points = [amount_metrics(amounts, measured, names) for amounts in (first, second)]
    # The same random seed draws the same blocks.
    drawn = [
        bootstrap_amounts(
            amounts, measured, blocks, replicates=replicates, level=level, seed=seed, names=names
        )
        for amounts in (first, second)
    ]
    tracks, macro = {}, {}
    for metric in AMOUNT_METRICS:
        one, other = (getattr(values, metric) for values in points)
        draws = getattr(drawn[1], metric) - getattr(drawn[0], metric)
        chosen = ~np.isnan(one) & ~np.isnan(other)
        tracks[metric] = _difference(one, other, draws, level)
        macro[metric] = _difference_of_means(one, other, draws, level, chosen)
    return AmountDifferences(tracks, macro, points[0].windows)


def _mean_draws(
    values: np.ndarray, blocks: IntRow, replicates: int, seed: int
) -> Float64[np.ndarray, "R K"]:
    """Mean of each column in every replicate."""
    total = int(blocks.max()) + 1 if len(blocks) else 0
    sums = np.zeros((total, values.shape[1]))
    np.add.at(sums, blocks, values)
    weights = draw_weights(total, replicates, seed).T.astype(np.float64)
    windows = weights @ np.bincount(blocks, minlength=total)
    return weights @ sums / windows[:, None]


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of each row over its defined values; NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(1)
    return np.where(known, values, 0).sum(1) / np.where(count, count, np.nan)


def _difference_of_means(
    first: PerTrack,
    second: PerTrack,
    draws: Float64[np.ndarray, "R K"],
    level: float,
    chosen: np.ndarray,
) -> Difference:
    """Difference of the means over the tracks that ``chosen`` (K,) marks."""
    one, other = (_mean(values[None, chosen]) for values in (first, second))
    return _difference(one, other, _mean(draws[:, chosen])[:, None], level)


def _difference(
    first: PerTrack, second: PerTrack, draws: Float64[np.ndarray, "R K"], level: float
) -> Difference:
    low, high, p = np.full((3, draws.shape[1]), np.nan)
    tail = (1 - level) / 2
    known = ~np.isnan(draws)
    defined = known.any(0) & ~np.isnan(first) & ~np.isnan(second)
    if defined.any():
        chosen = draws[:, defined]
        low[defined], high[defined] = np.nanquantile(chosen, [tail, 1 - tail], axis=0)
        count = known[:, defined].sum(0) + 1
        smaller = np.minimum((chosen <= 0).sum(0), (chosen >= 0).sum(0)) + 1
        p[defined] = np.minimum(1, 2 * smaller / count)
    return Difference(first, second, second - first, low, high, p)
