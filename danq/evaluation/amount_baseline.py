"""The baseline of models of amounts: ridge regression on counts of k-mers of several lengths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from jaxtyping import Float32, Float64, UInt16

from danq.errors import InputError
from danq.evaluation.amount_metrics import amount_metrics
from danq.evaluation.kmer_baseline import PENALTIES, canonical_kmers, count_into
from danq.evaluation.ridge import check_penalties, predict_linear, select_penalty, standardise
from danq.typing import CodeBatch, Scores

LENGTHS = (3, 4, 5, 6)
"""Lengths of the k-mers: 5,440 columns of one strand, 2,760 of both."""

_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)

Batches = Iterable[tuple[CodeBatch, np.ndarray]]


def count_kmers_of_lengths(
    codes: CodeBatch, lengths: Sequence[int] = LENGTHS, *, oriented: bool = False
) -> UInt16[np.ndarray, "B W"]:
    """Count the k-mers of each window, one length after another.

    Parameters
    ----------
    codes
        Windows of at most 65,535 bases. K-mers with an N are not counted.
    lengths
        Lengths of the k-mers, each 1 to 6.
    oriented
        Count the k-mers of the given strand only. Otherwise a k-mer and its reverse complement are
        counted together.

    Returns
    -------
    array
        Columns of each length in the order of `danq.evaluation.kmer_baseline.canonical_kmers`, or
        of all k-mers by alphabet if ``oriented``.

    Raises
    ------
    InputError
        When a length is not between 1 and 6, or a window is too long.
    """
    parts = []
    for k in lengths:
        column, names = canonical_kmers(k)
        if oriented:
            column = np.arange(4**k)
        counts = np.zeros((len(codes), 4**k if oriented else len(names)), np.uint16)
        count_into(codes, column, k, counts)
        parts.append(counts)
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class AmountBaseline:
    """Ridge regression of all tracks on k-mer counts.

    Attributes
    ----------
    lengths, oriented
        Which k-mers are counted, as in `count_kmers_of_lengths`.
    weights
        ``(W, K)`` weights of the counts, which are not standardised.
    intercept
        ``(K,)``.
    penalty
        The selected penalty, in units of the number of training windows.
    tried
        Mean correlation (Pearson) on the validation windows for each candidate penalty.
    reverse
        Index of the track that has the amounts of each track on the reverse strand. Predictions are
        then means over both strands; without them, they are those of the given strand.
    """

    lengths: tuple[int, ...]
    oriented: bool
    weights: Float32[np.ndarray, "W K"]
    intercept: Float32[np.ndarray, "K"]
    penalty: float
    tried: dict[float, float]
    reverse: tuple[int, ...] = ()

    def predict(self, codes: CodeBatch) -> Scores:
        """Predicted amounts ``(B, K)`` of windows.

        Raises
        ------
        InputError
            As `count_kmers_of_lengths`.
        """
        found = self._predict(codes)
        if not self.reverse:
            return found
        other = self._predict(_COMPLEMENT[codes[:, ::-1]])
        return (found + other[:, list(self.reverse)]) / 2

    def _predict(self, codes: CodeBatch) -> Scores:
        return predict_linear(codes, self._count, self.weights, self.intercept)

    def _count(self, codes: CodeBatch) -> UInt16[np.ndarray, "B W"]:
        return count_kmers_of_lengths(codes, self.lengths, oriented=self.oriented)


def fit_amount_baseline(
    train: Batches,
    valid: Batches,
    *,
    lengths: Sequence[int] = LENGTHS,
    oriented: bool = False,
    penalties: Sequence[float] = PENALTIES,
) -> AmountBaseline:
    """Fit ridge regression on standardised k-mer counts to all tracks at once.

    The penalty with the largest mean correlation on the validation windows is selected; of equal
    ones, the largest penalty. A missing amount of a training window counts as the mean of its
    track; windows without any amount are left out.

    Parameters
    ----------
    train
        Batches of codes ``(B, L)`` and amounts ``(B, K)``, NaN where missing.
    valid
        Batches of the validation windows.
    lengths, oriented
        As in `count_kmers_of_lengths`.
    penalties
        Candidate penalties, positive, in units of the number of training windows N: the penalty
        ``p`` is ``alpha = p N`` of scikit-learn's ``Ridge``.

    Raises
    ------
    InputError
        As `count_kmers_of_lengths`; when there is no penalty or one is not positive, a track has no
        amount in the training windows, or there are no training or validation windows.
    """
    check_penalties(penalties)
    lengths = tuple(lengths)

    def count(codes: CodeBatch) -> np.ndarray:
        return count_kmers_of_lengths(codes, lengths, oriented=oriented)

    sums = _accumulate(train, count)
    held = [(count(codes), np.asarray(amounts, np.float64)) for codes, amounts in valid]
    measured = np.concatenate([part for _, part in held]) if held else np.empty((0, 0))
    if not (~np.isnan(measured)).any():
        raise InputError(
            "there are no validation windows to select the penalty of the k-mer baseline",
            remedy="Build the dataset with a validation split",
        )
    fit = select_penalty(
        penalties,
        sums.solve,
        [counts for counts, _ in held],
        lambda scores: amount_metrics(scores, measured).pearson,
        worst=-1.0,
    )
    return AmountBaseline(lengths, oriented, *fit)


@dataclass(frozen=True)
class _Sums:
    """Terms of the normal equations of standardised counts."""

    windows: int
    mean: Float64[np.ndarray, "W"]
    amount_mean: Float64[np.ndarray, "K"]
    scale: Float64[np.ndarray, "W"]
    gram: Float64[np.ndarray, "W W"]
    cross: Float64[np.ndarray, "W K"]

    def solve(self, penalty: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the counts, and intercept."""
        from scipy.linalg import solve

        system = self.gram.copy()
        system[np.diag_indices_from(system)] += penalty * self.windows
        # The matrix is positive definite: half the time of `numpy.linalg.solve`.
        weights = solve(system, self.cross, assume_a="pos", overwrite_a=True)
        weights /= self.scale[:, None]
        return weights, self.amount_mean - self.mean @ weights


def _accumulate(train: Batches, count: Callable[[CodeBatch], np.ndarray]) -> _Sums:
    batches = iter(train)
    first = next(batches, None)
    if first is None:
        raise InputError("there are no training windows to fit the k-mer baseline to")
    columns, tracks = count(first[0][:1]).shape[1], np.shape(first[1])[1]
    gram, sums = np.zeros((columns, columns)), np.zeros(columns)
    # Per track: sums of counts and amounts over its measured windows.
    cross, track_sums = np.zeros((columns, tracks)), np.zeros((columns, tracks))
    amounts_sum, measured = np.zeros(tracks), np.zeros(tracks, np.int64)
    windows = 0
    for codes, amounts in chain([first], batches):
        amounts = np.asarray(amounts, np.float64)
        known = ~np.isnan(amounts)
        used = known.any(axis=1)
        counts = count(codes[used]).astype(np.float64)
        amounts, known = np.where(known, amounts, 0)[used], known[used]
        gram += counts.T @ counts
        sums += counts.sum(axis=0)
        cross += counts.T @ amounts
        track_sums += counts.T @ known.astype(np.float64)
        amounts_sum += amounts.sum(axis=0)
        measured += known.sum(axis=0)
        windows += len(counts)
    if not measured.all():
        raise InputError(
            f"track {int(np.argmin(measured))} has no amount in the training windows",
            remedy="Leave the track out, or choose other splits",
        )
    # A missing amount is the mean of its track: it adds nothing to centred amounts.
    amount_mean, mean = amounts_sum / measured, sums / windows
    cross -= track_sums * amount_mean
    gram -= windows * np.outer(mean, mean)
    scale = standardise(gram, cross, windows)
    return _Sums(windows, mean, amount_mean, scale, gram, cross)
