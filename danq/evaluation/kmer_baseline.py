"""The baseline of every network: a linear model on k-mer counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numba
import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt16

from danq._jit import parallel_kernel
from danq.errors import InputError
from danq.evaluation.metrics import rank
from danq.evaluation.ridge import check_penalties, predict_linear, select_penalty, standardise
from danq.typing import CodeBatch, LabelBatch, Scores

K = 5
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2)
"""Candidate ridge penalties, in units of the number of training windows."""
_LIMIT = 6  # 2,080 columns; 7 would need a dense 8,192 x 8,192 system

Batches = Iterable[tuple[CodeBatch, LabelBatch]]


@cache
def canonical_kmers(k: int) -> tuple[Int64[np.ndarray, "4**k"], tuple[str, ...]]:
    """Assign a column to every k-mer; a k-mer and its reverse complement share one.

    Parameters
    ----------
    k
        Length of the k-mers.

    Returns
    -------
    column
        The column of each k-mer, indexed by the k-mer as a number in base 4 (A 0 to T 3).
    names
        The alphabetically first k-mer of each column.

    Raises
    ------
    InputError
        When k is not between 1 and 6.
    """
    if not 1 <= k <= _LIMIT:
        raise InputError(f"k is {k}, not between 1 and {_LIMIT}")
    kmers = np.arange(4**k)
    digits = kmers[:, None] // 4 ** np.arange(k - 1, -1, -1) % 4
    other = (3 - digits) @ 4 ** np.arange(k)
    first = np.minimum(kmers, other)
    kept, column = np.unique(first, return_inverse=True)
    names = tuple("".join("ACGT"[d] for d in digits[kmer]) for kmer in kept)
    return column.astype(np.int64), names


@parallel_kernel
def _count(codes, column, k, counts):
    rows, length = codes.shape
    mask = (1 << (2 * k)) - 1
    for n in numba.prange(rows):
        kmer = 0
        known = 0
        for i in range(length):
            code = np.int64(codes[n, i])
            if code > 3:
                known = 0
                continue
            kmer = ((kmer << 2) | code) & mask
            known += 1
            if known >= k:
                counts[n, column[kmer]] += 1


def count_kmers(codes: CodeBatch, k: int = K) -> UInt16[np.ndarray, "B W"]:
    """Count the k-mers of each window; a k-mer and its reverse complement are counted together.

    Parameters
    ----------
    codes
        Windows of at most 65,535 bases. K-mers with an N are not counted.
    k
        Length of the k-mers, 1 to 6.

    Returns
    -------
    array
        Columns in the order of `canonical_kmers`; 512 columns for k = 5.

    Raises
    ------
    InputError
        When k is not between 1 and 6, or a window is too long.
    """
    column, names = canonical_kmers(k)
    counts = np.zeros((len(codes), len(names)), np.uint16)
    count_into(codes, column, k, counts)
    return counts


def count_into(
    codes: CodeBatch, column: Int64[np.ndarray, "4**k"], k: int, counts: UInt16[np.ndarray, "B W"]
) -> None:
    """Add the k-mers of each window to ``counts``, at the column of each k-mer.

    Raises
    ------
    InputError
        When a window is too long.
    """
    if codes.shape[1] > np.iinfo(np.uint16).max:
        raise InputError(f"windows of {codes.shape[1]} bp are longer than 65,535 bp")
    _count(np.ascontiguousarray(codes), column, k, counts)


def _plain_count_kmers(codes: CodeBatch, k: int = K) -> UInt16[np.ndarray, "B W"]:
    names = canonical_kmers(k)[1]
    complement = str.maketrans("ACGT", "TGCA")
    counts = np.zeros((len(codes), len(names)), np.uint16)
    for row, codes_of_row in zip(counts, codes, strict=True):
        text = "".join("ACGTN"[code] for code in codes_of_row)
        for i in range(len(text) - k + 1):
            kmer = text[i : i + k]
            if "N" not in kmer:
                row[names.index(min(kmer, kmer.translate(complement)[::-1]))] += 1
    return counts


@dataclass(frozen=True)
class KmerBaseline:
    """Ridge regression of all tracks on k-mer counts.

    Attributes
    ----------
    k
        Length of the k-mers.
    weights
        ``(W, K)`` weights of the counts, which are not standardised.
    intercept
        ``(K,)``.
    penalty
        The selected penalty, in units of the number of training windows.
    tried
        Mean average precision on the validation windows for each candidate penalty.
    """

    k: int
    weights: Float32[np.ndarray, "W K"]
    intercept: Float32[np.ndarray, "K"]
    penalty: float
    tried: dict[float, float]

    def predict(self, codes: CodeBatch) -> Scores:
        """Scores ``(B, K)`` of windows, which are not probabilities.

        Raises
        ------
        InputError
            As `count_kmers`.
        """
        return predict_linear(
            codes, lambda part: count_kmers(part, self.k), self.weights, self.intercept
        )


@dataclass(frozen=True)
class _Sums:
    """Terms of the normal equations, summed over the training windows."""

    windows: int
    mean: Float64[np.ndarray, "W"]
    label_mean: Float64[np.ndarray, "K"]
    scale: Float64[np.ndarray, "W"]
    values: Float64[np.ndarray, "W"]
    vectors: Float64[np.ndarray, "W W"]
    projected: Float64[np.ndarray, "W K"]

    def solve(self, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """Weights of the counts and intercept, for a penalty on the standardised weights."""
        standard = self.vectors @ (self.projected / (self.values + alpha)[:, None])
        weights = standard / self.scale[:, None]
        return weights, self.label_mean - self.mean @ weights


def _accumulate(train: Batches, k: int) -> _Sums:
    batches = iter(train)
    first = next(batches, None)
    if first is None:
        raise InputError("there are no training windows to fit the k-mer baseline to")
    columns, tracks = len(canonical_kmers(k)[1]), first[1].shape[1]
    gram, cross = np.zeros((columns, columns)), np.zeros((columns, tracks))
    sums, label_sums, windows = np.zeros(columns), np.zeros(tracks), 0
    for codes, labels in chain([first], batches):
        # Sums of integers are exact in float64.
        counts, hits = count_kmers(codes, k).astype(np.float64), labels.astype(np.float64)
        gram += counts.T @ counts
        cross += counts.T @ hits
        sums += counts.sum(0)
        label_sums += hits.sum(0)
        windows += len(codes)
    mean, label_mean = sums / windows, label_sums / windows
    gram -= windows * np.outer(mean, mean)
    cross -= windows * np.outer(mean, label_mean)
    scale = standardise(gram, cross, windows)
    values, vectors = np.linalg.eigh(gram)
    projected = vectors.T @ cross
    return _Sums(windows, mean, label_mean, scale, values.clip(0), vectors, projected)


def fit_kmer_baseline(
    train: Batches,
    valid: Batches,
    *,
    k: int = K,
    penalties: Sequence[float] = PENALTIES,
) -> KmerBaseline:
    """Fit ridge regression on standardised k-mer counts to all tracks at once.

    The training windows are read once, in batches, and one eigendecomposition solves the normal
    equations for all penalties. The penalty with the largest mean average precision on the
    validation windows is selected; of equal ones, the largest penalty.

    Parameters
    ----------
    train
        Batches of codes ``(B, L)`` and labels ``(B, K)``.
    valid
        Batches of the validation windows.
    k
        Length of the k-mers, 1 to 6.
    penalties
        Candidate penalties, positive, in units of the number of training windows N: the penalty
        ``p`` is ``alpha = p N`` of scikit-learn's ``Ridge``.

    Raises
    ------
    InputError
        When k is not between 1 and 6, there is no penalty or one is not positive, or there are no
        training or validation windows.
    """
    check_penalties(penalties)
    sums = _accumulate(train, k)
    held = [(count_kmers(codes, k), np.asarray(labels, np.uint8)) for codes, labels in valid]
    if not sum(len(labels) for _, labels in held):
        raise InputError(
            "there are no validation windows to select the penalty of the k-mer baseline",
            remedy="Build the dataset with validation chromosomes",
        )
    labels = np.concatenate([part for _, part in held])
    fit = select_penalty(
        penalties,
        lambda penalty: sums.solve(penalty * sums.windows),
        [counts for counts, _ in held],
        lambda scores: rank(scores, labels).aupr,
        worst=0.0,
    )
    return KmerBaseline(k, *fit)
