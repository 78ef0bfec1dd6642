"""Ranking metrics and rank correlations within groups, in every replicate of a bootstrap.

The variants of one group are compared with each other only, so that differences between groups do
not count. One group for all rows gives the usual metric.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from danq._jit import parallel_kernel
from danq.typing import IntRow

FEWEST = 3
"""Rows below which a group has no rank correlation."""

Row = Float64[np.ndarray, "N"]
Replicated = Float64[np.ndarray, "R"]


class Replicates(NamedTuple):
    """How often each replicate draws each row.

    Attributes
    ----------
    block
        ``(N,)`` block index of each row.
    weights
        ``(R, blocks)`` number of times that a replicate draws a block. In the first replicate
        every weight is 1, so that the first value of a metric is that of the rows themselves.
    """

    block: Int64[np.ndarray, "N"]
    weights: UInt8[np.ndarray, "R blocks"]

    @classmethod
    def single(cls, rows: int) -> Replicates:
        """The rows themselves, without further replicates."""
        return cls(np.zeros(rows, np.int64), np.ones((1, 1), np.uint8))


def ranking_within(
    score: Row, label: UInt8[np.ndarray, "N"], group: IntRow, replicates: Replicates
) -> tuple[Replicated, Replicated]:
    """AUROC and average precision of groups, averaged over their positives.

    Groups without a positive or without a negative row do not contribute. A group's weight is its
    number of positives. Pairs of equal scores count half in the AUROC, and precision is evaluated
    at distinct scores, as in scikit-learn.

    Parameters
    ----------
    score
        ``(N,)`` finite numbers; positives should have the larger ones.
    label
        ``(N,)`` 0 or 1.
    group
        ``(N,)`` group index of each row.
    replicates
        Weights of the rows.

    Returns
    -------
    auroc, ap
        ``(R,)``; NaN where no group contributes.
    """
    order = np.lexsort((-score, group))
    runs = _runs(score[order], group[order])
    auroc, ap = np.full((2, len(replicates.weights)), np.nan)
    _ranking(
        runs,
        np.ascontiguousarray(group[order], np.int64),
        np.ascontiguousarray(label[order], np.uint8),
        np.ascontiguousarray(replicates.block[order], np.int64),
        replicates.weights,
        auroc,
        ap,
    )
    return auroc, ap


def spearman_within(first: Row, second: Row, group: IntRow, replicates: Replicates) -> Replicated:
    """Spearman's correlation of groups, averaged over their rows.

    Groups with fewer than `FEWEST` rows, or in which all values of one variable are equal, do not
    contribute. A group's weight is its number of rows. Equal values have their mean rank.

    Parameters
    ----------
    first, second
        ``(N,)`` finite numbers.
    group, replicates
        As for `ranking_within`.

    Returns
    -------
    array
        ``(R,)``; NaN where no group contributes.
    """
    rows = np.argsort(group, kind="stable")
    numbers = group[rows]
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 1 if rows.size else 0))
    ends = np.append(starts[1:], rows.size)
    keep = ends - starts >= FEWEST
    out = np.full(len(replicates.weights), np.nan)
    if not keep.any():
        return out
    sides = []
    for values in (first[rows], second[rows]):
        order = np.lexsort((values, numbers))
        sides += [order, _runs(values[order], numbers[order])]
    _spearman(
        *sides,
        starts[keep],
        ends[keep],
        np.ascontiguousarray(replicates.block[rows], np.int64),
        replicates.weights,
        out,
    )
    return out


def agreement(first: Row, second: Row, replicates: Replicates) -> Replicated:
    """Fraction of rows in which two numbers have the same sign.

    Rows in which ``second`` is 0 do not count; a ``first`` of 0 counts half.

    Parameters
    ----------
    first, second
        ``(N,)`` finite numbers.
    replicates
        Weights of the rows.

    Returns
    -------
    array
        ``(R,)``; NaN where no row counts.
    """
    blocks = replicates.weights.shape[1]
    known = second != 0
    same = (np.sign(first) * np.sign(second) + 1) / 2
    agree = np.bincount(replicates.block[known], same[known], minlength=blocks)
    total = np.bincount(replicates.block[known], minlength=blocks)
    weights = replicates.weights.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return (weights @ agree) / (weights @ total)


def _runs(values: np.ndarray, groups: np.ndarray) -> Int64[np.ndarray, "runs"]:
    """Ends of the runs of equal values within a group, of sorted rows."""
    if not values.size:
        return np.empty(0, np.int64)
    new = (values[1:] != values[:-1]) | (groups[1:] != groups[:-1])
    return np.append(np.flatnonzero(new) + 1, values.size)


@parallel_kernel
def _ranking(runs, group, label, block, weights, auroc, ap):
    for r in numba.prange(weights.shape[0]):
        weight = weights[r]
        wins = area = used = 0.0
        found = passed = 0.0
        lost_pairs = gained_area = 0.0
        start = 0
        for k in range(runs.size):
            gained = lost = 0.0
            for i in range(start, runs[k]):
                if label[i]:
                    gained += weight[block[i]]
                else:
                    lost += weight[block[i]]
            found += gained
            lost_pairs += gained * (passed + 0.5 * lost)
            passed += lost
            if gained > 0:
                gained_area += gained * (found / (found + passed))
            start = runs[k]
            if start == group.size or group[start] != group[start - 1]:
                if found > 0 and passed > 0:
                    wins += found - lost_pairs / passed
                    area += gained_area
                    used += found
                found = passed = 0.0
                lost_pairs = gained_area = 0.0
        if used > 0:
            auroc[r] = wins / used
            ap[r] = area / used


@parallel_kernel
def _spearman(
    first_order, first_runs, second_order, second_runs, starts, ends, block, weights, out
):
    rows = block.size
    for r in numba.prange(weights.shape[0]):
        weight = weights[r]
        ranks = np.empty((2, rows))
        for side in range(2):
            order = first_order if side == 0 else second_order
            runs = first_runs if side == 0 else second_runs
            start = 0
            # Ranks go on over the groups; a group's mean is subtracted later.
            before = 0.0
            for k in range(runs.size):
                total = 0.0
                for i in range(start, runs[k]):
                    total += weight[block[order[i]]]
                for i in range(start, runs[k]):
                    ranks[side, order[i]] = before + 0.5 * total
                before += total
                start = runs[k]
        summed = used = 0.0
        for g in range(starts.size):
            total = x = y = 0.0
            for i in range(starts[g], ends[g]):
                w = weight[block[i]]
                total += w
                x += w * ranks[0, i]
                y += w * ranks[1, i]
            if total == 0:
                continue
            x /= total
            y /= total
            xx = yy = xy = 0.0
            for i in range(starts[g], ends[g]):
                w = weight[block[i]]
                dx = ranks[0, i] - x
                dy = ranks[1, i] - y
                xx += w * dx * dx
                yy += w * dy * dy
                xy += w * dx * dy
            if xx > 0 and yy > 0:
                summed += total * (xy / np.sqrt(xx * yy))
                used += total
        if used > 0:
            out[r] = summed / used
