"""Confidence intervals of AUROC and AUPR by a bootstrap over contiguous blocks of windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from danq._jit import kernel, parallel_kernel
from danq.errors import InputError
from danq.evaluation.input_checks import check_arrays, check_values
from danq.evaluation.score_sort import is_nan, ordered_bits, radix_sort
from danq.progress import stage
from danq.typing import IntRow, LabelBatch, PerTrack, Scores

BLOCKS = 200
_BLOCK = 16


class Interval(NamedTuple):
    """Lower and upper limit of a confidence interval: scalars, or one value per track."""

    low: PerTrack | float
    high: PerTrack | float


class Bootstrap(NamedTuple):
    """Metrics of every bootstrap replicate.

    Attributes
    ----------
    auroc, aupr
        ``(R, K)``; NaN where a replicate has no positive, or for AUROC no negative.
    level
        Fraction of the replicates within an interval.
    """

    auroc: Float64[np.ndarray, "R K"]
    aupr: Float64[np.ndarray, "R K"]
    level: float

    def per_track(self) -> tuple[Interval, Interval]:
        """Percentile intervals of AUROC and AUPR of each track; NaN where undefined."""
        return percentiles(self.auroc, self.level), percentiles(self.aupr, self.level)

    def macro(self, statistic: str = "mean", tracks: IntRow | None = None) -> tuple[Interval, ...]:
        """Percentile intervals of the mean or median over tracks of AUROC and AUPR.

        Parameters
        ----------
        statistic
            ``"mean"`` or ``"median"``.
        tracks
            Indices of the tracks; None for all.

        Notes
        -----
        All tracks of a replicate use the same draw of windows, so the interval includes the
        correlation between tracks.
        """
        over = np.nanmean if statistic == "mean" else np.nanmedian
        ends = []
        for values in (self.auroc, self.aupr):
            chosen = values if tracks is None else values[:, tracks]
            usable = chosen[~np.isnan(chosen).all(1)]
            merged = over(usable, axis=1) if usable.size else np.empty(0)
            interval = percentiles(merged[:, None], self.level)
            ends.append(Interval(float(interval.low[0]), float(interval.high[0])))  # type: ignore[index]
        return tuple(ends)


def percentiles(values: Float64[np.ndarray, "R K"], level: float) -> Interval:
    """Percentile interval of each column of replicates; NaN where undefined."""
    tail = (1 - level) / 2
    low, high = np.full((2, values.shape[1]), np.nan)
    known = ~np.isnan(values).all(0)
    if known.any():
        low[known], high[known] = np.nanquantile(values[:, known], [tail, 1 - tail], axis=0)
    return Interval(low, high)


def window_blocks(contig: IntRow, start: IntRow, count: int = BLOCKS) -> Int64[np.ndarray, "N"]:
    """Assign windows to blocks of neighbours for the bootstrap.

    Neighbouring windows overlap and share peaks, so intervals from draws of single windows would be
    too narrow.

    Parameters
    ----------
    contig, start
        ``(N,)`` contig index and 0-based start of each window, in any order.
    count
        Number of blocks. The result has more where a block would span two contigs, and at most one
        block per window.

    Returns
    -------
    array
        Block index of each window. No block spans two contigs.

    Raises
    ------
    InputError
        When ``count`` is below 1 or the arrays differ in length.
    """
    if count < 1:
        raise InputError(f"the number of blocks is {count}, the minimum is 1")
    if len(contig) != len(start):
        raise InputError(f"{len(contig)} contigs but {len(start)} starts of windows")
    order = np.lexsort((start, contig))
    if not order.size:
        return np.empty(0, np.int64)
    piece = np.arange(order.size) * min(count, order.size) // order.size
    sorted_contig = np.asarray(contig, np.int64)[order]
    new = (np.diff(piece, prepend=piece[0]) != 0) | (
        np.diff(sorted_contig, prepend=sorted_contig[0]) != 0
    )
    blocks = np.empty(order.size, np.int64)
    blocks[order] = np.cumsum(new)
    return blocks


def check_draws(rows: int, blocks: IntRow, replicates: int, level: float) -> int:
    """Number of blocks, after checking the arguments of a bootstrap of ``rows`` windows.

    Raises
    ------
    InputError
        When ``replicates`` is below 2, ``level`` is not between 0 and 1, ``blocks`` has another
        length or a negative value, or there is only one block.
    """
    if replicates < 2:
        raise InputError(f"the number of bootstrap replicates is {replicates}, the minimum is 2")
    if not 0 < level < 1:
        raise InputError(f"the level of the intervals is {level}, not between 0 and 1")
    if blocks.shape != (rows,) or (rows and blocks.min() < 0):
        raise InputError(f"blocks of shape {blocks.shape} are not {rows} indices from 0")
    total = int(blocks.max()) + 1 if rows else 0
    if total < 2:
        raise InputError(
            f"{rows} windows in {total} block(s) are too few for a bootstrap",
            remedy="Evaluate more windows, or without confidence intervals",
        )
    return total


def draw_weights(blocks: int, replicates: int, seed: int) -> UInt8[np.ndarray, "blocks R"]:
    """Number of times that each replicate draws each block, with replacement."""
    rng = np.random.default_rng(seed)
    weights = np.empty((blocks, replicates), np.uint8)
    for r in range(replicates):
        # A block is drawn about once on average; 255 draws do not occur in practice.
        weights[:, r] = np.bincount(rng.integers(blocks, size=blocks), minlength=blocks)
    return weights


@kernel
def _weighted(keys, weights, auroc, aupr):
    """Metrics of all replicates from the sorted keys of one track; weights are per block.

    The replicate is the last dimension of every array, so that each step is a vector addition.
    """
    replicates = weights.shape[1]
    mask = (1 << 31) - 1
    found = np.zeros(replicates, np.int64)
    passed = np.zeros(replicates, np.int64)
    gained = np.empty(replicates, np.int64)
    lost = np.empty(replicates, np.int64)
    wins = np.zeros(replicates)
    area = np.zeros(replicates)
    i = keys.size - 1
    while i >= 0:
        value = keys[i] >> 31
        last = i
        any_positive = False
        while last >= 0 and keys[last] >> 31 == value:
            any_positive = any_positive or (keys[last] & 1) == 1
            last -= 1
        if not any_positive:
            for j in range(last + 1, i + 1):
                weight = weights[(keys[j] & mask) >> 1]
                for r in range(replicates):
                    passed[r] += weight[r]
            i = last
            continue
        gained[:] = 0
        lost[:] = 0
        for j in range(last + 1, i + 1):
            weight = weights[(keys[j] & mask) >> 1]
            into = gained if keys[j] & 1 else lost
            for r in range(replicates):
                into[r] += weight[r]
        for r in range(replicates):
            found[r] += gained[r]
            wins[r] += gained[r] * (passed[r] + 0.5 * lost[r])
            passed[r] += lost[r]
            area[r] += gained[r] * (found[r] / max(1, found[r] + passed[r]))
        i = last
    for r in range(replicates):
        # `wins` is the number of wrongly ranked pairs.
        pairs = found[r] * passed[r]
        auroc[r] = 1 - wins[r] / pairs if pairs else np.nan
        aupr[r] = area[r] / found[r] if found[r] else np.nan


@parallel_kernel
def _bootstrap(bits, labels, blocks, weights, width, auroc, aupr, bad):
    rows, tracks = bits.shape
    for g in numba.prange((tracks + width - 1) // width):
        first = g * width
        count = min(width, tracks - first)
        keys = np.empty((count, rows), np.int64)
        scratch = np.empty(rows, np.int64)
        for n in range(rows):
            for b in range(count):
                x = bits[n, first + b]
                label = labels[n, first + b]
                if is_nan(x) or label > 1:
                    bad[first + b] = 1
                keys[b, n] = (ordered_bits(x) << 31) | (blocks[n] << 1) | (label & 1)
        for b in range(count):
            row = radix_sort(keys[b], scratch, 31)
            _weighted(row, weights, auroc[first + b], aupr[first + b])


def bootstrap(
    scores: Scores,
    labels: LabelBatch,
    blocks: IntRow | None = None,
    *,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> Bootstrap:
    """AUROC and average precision of every track in bootstrap replicates.

    Each replicate draws blocks with replacement, the same blocks for every track. A track is sorted
    once; the replicates differ only in the weights of its windows.

    Parameters
    ----------
    scores, labels
        As `danq.evaluation.metrics.rank` takes them.
    blocks
        ``(N,)`` block index of each window, see `window_blocks`. None draws single windows, which
        needs ``N R`` bytes.
    replicates
        Number R of replicates.
    level
        Coverage of the intervals, between 0 and 1.
    seed
        Random seed.
    names
        Track names for error messages.

    Raises
    ------
    InputError
        As `rank`; when ``replicates`` is below 2, ``level`` is not between 0 and 1, ``blocks`` has
        another length or a negative value, or there is only one block.
    """
    scores, labels = check_arrays(scores, labels)
    rows, tracks = scores.shape
    index = np.arange(rows) if blocks is None else np.asarray(blocks, np.int64)
    total = check_draws(rows, index, replicates, level)
    weights = draw_weights(total, replicates, seed)
    auroc, aupr = np.full((2, tracks, replicates), np.nan)
    bad = np.zeros(tracks, np.uint8)
    width = max(1, min(_BLOCK, tracks // numba.get_num_threads()))
    with stage("bootstrap"):
        _bootstrap(
            scores.view(np.uint32), labels, index.astype(np.int64), weights, width, auroc, aupr, bad
        )
    check_values(bad, scores, labels, names)
    return Bootstrap(auroc.T, aupr.T, level)


def _plain_replicate(scores: Scores, labels: LabelBatch, weights: IntRow) -> tuple[float, float]:
    """AUROC and average precision of one track whose window n counts ``weights[n]`` times."""
    from danq.evaluation.metrics import _plain_rank

    repeated = np.repeat(scores, weights), np.repeat(labels, weights)
    metrics = _plain_rank(repeated[0][:, None], repeated[1][:, None])
    return float(metrics.auroc[0]), float(metrics.aupr[0])
