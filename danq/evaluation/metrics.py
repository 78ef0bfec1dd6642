"""AUROC and average precision of every track, in one pass over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Int64

from danq._jit import kernel, parallel_kernel
from danq.evaluation.input_checks import check_arrays, check_values
from danq.evaluation.score_sort import is_nan, ordered_bits, radix_sort
from danq.typing import LabelBatch, PerTrack, Scores

# 16 float32 values fill a cache line, so a block of 16 tracks reads each line of scores once.
_BLOCK = 16


class Ranking(NamedTuple):
    """Ranking metrics of each track.

    Attributes
    ----------
    auroc
        Area under the ROC curve; NaN where a track has no positive or no negative.
    aupr
        Average precision; NaN where a track has no positive.
    positives
        Number of positive windows of each track.
    """

    auroc: PerTrack
    aupr: PerTrack
    positives: Int64[np.ndarray, "K"]


@kernel
def _walk(positive, negative):
    """AUROC and average precision from the sorted keys of positives and negatives.

    Only the scores of positives contribute to the metrics. The counts of higher scores are
    integers, so only the last sum rounds.
    """
    i = positive.size - 1
    j = negative.size - 1
    found = 0
    wins = 0  # twice the number of correctly ranked pairs; a tie counts as half a pair
    precision = 0.0
    while i >= 0:
        value = positive[i]
        while j >= 0 and negative[j] > value:
            j -= 1
        above = negative.size - 1 - j
        while j >= 0 and negative[j] == value:
            j -= 1
        passed = negative.size - 1 - j
        tied = 0
        while i >= 0 and positive[i] == value:
            i -= 1
            tied += 1
        found += tied
        precision += tied * (found / (found + passed))
        wins += tied * (2 * (j + 1) + passed - above)
    aupr = precision / positive.size if positive.size else np.nan
    pairs = positive.size * negative.size
    auroc = wins / (2.0 * pairs) if pairs else np.nan
    return auroc, aupr


@parallel_kernel
def _rank(bits, labels, block, auroc, aupr, positives, bad):
    rows, tracks = bits.shape
    blocks = (tracks + block - 1) // block
    for g in numba.prange(blocks):
        first = g * block
        width = min(block, tracks - first)
        # Positives are stored from the start of a row, negatives from its end.
        keys = np.empty((width, rows), np.uint32)
        scratch = np.empty(rows, np.uint32)
        ups = np.zeros(width, np.int64)
        downs = np.full(width, rows, np.int64)
        for n in range(rows):
            for b in range(width):
                x = bits[n, first + b]
                label = labels[n, first + b]
                if is_nan(x) or label > 1:
                    bad[first + b] = 1
                key = np.uint32(ordered_bits(x))
                if label:
                    keys[b, ups[b]] = key
                    ups[b] += 1
                else:
                    downs[b] -= 1
                    keys[b, downs[b]] = key
        for b in range(width):
            count = ups[b]
            row = keys[b]
            up = radix_sort(row[:count], scratch[:count], 0)
            down = radix_sort(row[count:], scratch[count:], 0)
            auroc[first + b], aupr[first + b] = _walk(up, down)
            positives[first + b] = count


def rank(scores: Scores, labels: LabelBatch, names: Sequence[str] | None = None) -> Ranking:
    """AUROC and average precision of every track.

    The values equal ``roc_auc_score`` and ``average_precision_score`` of scikit-learn: a pair of
    equal scores counts half, and precision is evaluated at distinct scores. Scores may be infinite.
    The function needs about ``68 N`` bytes per thread in addition to the input.

    Parameters
    ----------
    scores
        ``(N, K)`` float32: probabilities, or any increasing function of them.
    labels
        ``(N, K)`` uint8, 0 or 1.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        When the shapes differ or are not two-dimensional, a dtype is not supported, a score is NaN,
        or a label is neither 0 nor 1.
    """
    scores, labels = check_arrays(scores, labels)
    tracks = scores.shape[1]
    result = Ranking(np.full(tracks, np.nan), np.full(tracks, np.nan), np.zeros(tracks, np.int64))
    if not scores.size:
        return result
    bad = np.zeros(tracks, np.uint8)
    block = max(1, min(_BLOCK, tracks // numba.get_num_threads()))
    _rank(scores.view(np.uint32), labels, block, *result, bad)
    check_values(bad, scores, labels, names)
    return result


def roc_auc(scores: Scores, labels: LabelBatch) -> PerTrack:
    """Area under the ROC curve of every track, as `rank` gives it.

    Raises
    ------
    InputError
        As `rank`.
    """
    return rank(scores, labels).auroc


def average_precision(scores: Scores, labels: LabelBatch) -> PerTrack:
    """Average precision of every track, as `rank` gives it.

    Raises
    ------
    InputError
        As `rank`.
    """
    return rank(scores, labels).aupr


def _plain_rank(scores: Scores, labels: LabelBatch) -> Ranking:
    """`rank` in numpy, one track at a time."""
    auroc, aupr = [], []
    for score, label in zip(scores.T, labels.T, strict=True):
        values = np.unique(score)[::-1]
        found = np.array([np.sum(label[score >= v]) for v in values], float)
        passed = np.array([np.sum(score >= v) for v in values]) - found
        gained, lost = np.diff(found, prepend=0), np.diff(passed, prepend=0)
        hits = int(label.sum())
        misses = label.size - hits
        aupr.append(np.sum(gained * found / (found + passed)) / hits if hits else np.nan)
        pairs = np.sum(gained * (misses - passed + lost / 2))
        auroc.append(pairs / (hits * misses) if hits and misses else np.nan)
    return Ranking(np.array(auroc), np.array(aupr), labels.sum(0, np.int64))
