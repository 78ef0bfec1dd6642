"""Held-out windows whose sequence also occurs in the training windows: leaked windows.

A model has seen such a sequence in training, so a metric on it does not describe new sequences.
Alternate contigs, duplications and repeats leak, on either strand.

The share of a window is the fraction of its k-mers (canonical, ``K`` bases, without N) that occur
anywhere in the training windows. A substitution changes up to ``K`` k-mers: a copy that differs in
1 % of its bases has a share of about 81 %, one that differs in 5 % a share of 34 %. Copies that
differ in more than about 1 % are therefore not found.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import NamedTuple

import numba
import numpy as np

from danq.datasets.kmer_index import Intervals, K, KmerIndex, count, insert, mark
from danq.genome.packed_genome import PackedGenome
from danq.progress import stage
from danq.typing import BoolRow, IntRow

LEAST_SHARE = 0.8
"""Share from which a held-out window is leaked."""

TRAINING_SHARES = (LEAST_SHARE / 2, LEAST_SHARE / 4, LEAST_SHARE / 8)
"""Shares of a training window's k-mers, in leaked windows, from which it is dropped. With the
first, the training windows that remain at the two ends of a copy cover less than ``LEAST_SHARE`` of
a held-out window. The others are for sequence with several copies."""

MOST_DROPPED = 0.01
"""Largest fraction of the training windows that is dropped for each share but the first. More of
them contain repeats of the genome, not copies of held-out windows."""

NOT_LEAKED, LEAKED, COMPLETE = range(3)
"""Values of ``windows/leaked``: a share below ``LEAST_SHARE``, below 1, and of 1."""

MOST_KMERS = 80_000_000
"""Largest number of k-mers in a table; it has 1.2 GB then."""

SAMPLED, LARGEST_SAMPLE = 48, 16
"""Expected number of k-mers of a window in the first search, at least, and the largest sampling
step."""

PIECE = 1 << 22
"""Bases that one task of a thread reads."""


class WindowTable(NamedTuple):
    """Windows of a genome and their splits.

    Attributes
    ----------
    genome
        The packed genome.
    contig, first
        ``(W,)`` contig number and 0-based first base of each window; it may be negative.
    split
        ``(W,)`` split of each window: 0 train, 1 valid, 2 test.
    window
        Bases of a window.
    """

    genome: PackedGenome
    contig: np.ndarray
    first: IntRow
    split: np.ndarray
    window: int

    def where(self, rows: IntRow) -> WindowTable:
        """Some of the windows, by index."""
        return self._replace(
            contig=self.contig[rows], first=self.first[rows], split=self.split[rows]
        )


@dataclass(frozen=True, eq=False)
class KmerWindows:
    """The k-mer starts of windows, sorted by position.

    Attributes
    ----------
    genome
        The packed genome.
    rows
        ``(n,)`` index of each window in the dataset.
    low, high
        ``(n,)`` interval of k-mer starts of each window, in global coordinates. It is empty when
        fewer than ``K`` bases of the window are on the contig. k-mers in it may contain N.
    """

    genome: PackedGenome
    rows: IntRow
    low: IntRow
    high: IntRow

    @classmethod
    def of(cls, table: WindowTable, rows: IntRow) -> KmerWindows:
        """Some of the windows of a table, by index."""
        genome, contig, first, _, window = table
        base, length = 4 * genome.offsets[contig[rows]], genome.lengths[contig[rows]]
        low = base + np.clip(first[rows], 0, length)
        high = base + np.clip(first[rows] + window, 0, length) - (K - 1)
        order = np.argsort(low, kind="stable")
        return cls(genome, rows[order], low[order], np.maximum(low, high)[order])

    def where(self, chosen: BoolRow | slice) -> KmerWindows:
        """Some of the windows."""
        return KmerWindows(self.genome, self.rows[chosen], self.low[chosen], self.high[chosen])

    def intervals(self) -> Intervals:
        """Union of the windows, without the k-mers that contain N."""
        filled = self.high > self.low
        low, high = self.low[filled], self.high[filled]
        if not low.size:
            return low, high
        high = np.maximum.accumulate(high)
        new = np.flatnonzero(low[1:] > high[:-1]) + 1
        return _known(self.genome, low[np.r_[0, new]], high[np.r_[new - 1, high.size - 1]])


def _known(genome: PackedGenome, low: IntRow, high: IntRow) -> Intervals:
    """The parts of intervals in which no k-mer contains N."""
    known_low = np.concatenate([[0], genome.n_end])
    known_high = np.concatenate([genome.n_start - (K - 1), [4 * genome.bases.size]])
    wide = known_high > known_low
    known_low, known_high = known_low[wide], known_high[wide]
    first = np.searchsorted(known_high, low, side="right")
    pieces = np.maximum(np.searchsorted(known_low, high, side="left") - first, 0)
    owner = np.repeat(np.arange(low.size), pieces)
    known = first[owner] + np.arange(owner.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.maximum(low[owner], known_low[known]), np.minimum(high[owner], known_high[known])


def find_leaked(table: WindowTable, least: float = LEAST_SHARE) -> np.ndarray:
    """Find the held-out windows whose sequence occurs in the training windows.

    Large windows are searched twice: first with a sample of the k-mers, selected by their hash,
    then with all k-mers of the windows with at least half of ``least`` in the sample.

    Parameters
    ----------
    table
        The windows.
    least
        Share from which a held-out window is leaked.

    Returns
    -------
    numpy.ndarray
        ``(W,)`` uint8: ``LEAKED`` when at least ``least`` of a held-out window's k-mers
        occur in training windows, ``COMPLETE`` when all do, otherwise ``NOT_LEAKED``. Training
        windows, and windows without a k-mer, are ``NOT_LEAKED``.
    """
    leaked = np.zeros(table.split.size, np.uint8)
    held = KmerWindows.of(table, np.flatnonzero(table.split > 0))
    training = KmerWindows.of(table, np.flatnonzero(table.split == 0)).intervals()
    if not training[0].size:
        return leaked
    step = 1
    while 2 * step <= min(LARGEST_SAMPLE, (table.window - K + 1) // SAMPLED):
        step *= 2
    if step > 1:
        known, seen = _counts(held, held.intervals(), training, step)
        expected = (held.high - held.low) / step
        # With few different k-mers, as in a run of one base, the sample can miss most of them.
        scarce = 3 * known < expected
        held = held.where(scarce | (seen >= least / 2 * np.minimum(known, expected)))
    known, seen = _counts(held, held.intervals(), training, 1)
    shared = (known > 0) & (seen >= least * known)
    leaked[held.rows[shared]] = np.where(seen[shared] == known[shared], COMPLETE, LEAKED)
    return leaked


def find_sources(table: WindowTable, leaked: np.ndarray, share: float) -> IntRow:
    """Find the training windows that contain the sequence of leaked windows.

    Parameters
    ----------
    table
        The windows.
    leaked
        ``(W,)`` result of :func:`find_leaked` for them.
    share
        Fraction of a training window's k-mers that must occur in leaked windows.

    Returns
    -------
    IntRow
        Indices of the training windows.
    """
    held = KmerWindows.of(table, np.flatnonzero(leaked)).intervals()
    training = KmerWindows.of(table, np.flatnonzero(table.split == 0))
    known, seen = _counts(training, held, held, 1)
    return np.sort(training.rows[(seen > 0) & (seen >= share * known)])


def drop_sources(table: WindowTable) -> tuple[IntRow, np.ndarray]:
    """Drop the training windows that contain the sequence of held-out windows.

    Held-out windows can still be leaked afterwards when their sequence is spread over many training
    windows, as that of repeats is.

    Parameters
    ----------
    table
        The windows.

    Returns
    -------
    rows
        Indices of the windows that are kept.
    leaked
        Value of :func:`find_leaked` for each of them.
    """
    rows = np.arange(table.split.size)
    leaked = find_leaked(table)
    for share in TRAINING_SHARES:
        if not leaked.any():
            break
        sources = find_sources(table.where(rows), leaked, share)
        most = MOST_DROPPED * np.count_nonzero(table.split == 0)
        if share < TRAINING_SHARES[0] and sources.size > most:
            break
        rows = np.delete(rows, sources)
        leaked = find_leaked(table.where(rows))
    return rows, leaked


def _counts(
    windows: KmerWindows, indexed: Intervals, searched: Intervals, step: int
) -> tuple[IntRow, IntRow]:
    """Count the k-mers of windows, and those that are in both sets of intervals.

    Parameters
    ----------
    windows
        ``n`` windows.
    indexed, searched
        Intervals whose k-mers the table holds, and intervals that are searched for them.
    step
        Count about one k-mer in ``step``, a power of two.

    Returns
    -------
    known, seen
        ``(n,)`` int64.
    """
    bases = windows.genome.bases
    counts = np.zeros((windows.low.size, 2), np.int64)
    size = int((indexed[1] - indexed[0]).sum())
    if not size:
        return counts[:, 0], counts[:, 1]
    tables = 1
    while size > MOST_KMERS * step * tables:
        tables *= 2
    lows, highs = pieces(searched)
    blocks = _blocks(windows)
    with (
        ThreadPoolExecutor(numba.get_num_threads()) as threads,
        stage("searching windows for shared sequence", "blocks", tables * len(blocks)) as now,
    ):
        for part in range(tables):
            index = KmerIndex.empty(size, step * tables, part)
            insert(bases, *indexed, index)
            deque(threads.map(mark, repeat(bases), lows, highs, repeat(index)), maxlen=0)
            for rows, block in zip(
                blocks,
                threads.map(_count_block, repeat(windows), blocks, repeat(index)),
                strict=True,
            ):
                counts[rows] += block
                now.add()
    return counts[:, 0], counts[:, 1]


def pieces(intervals: Intervals) -> tuple[list[IntRow], list[IntRow]]:
    """Intervals, cut and grouped into tasks of about ``PIECE`` k-mers."""
    low, high = intervals
    cuts = -(-(high - low) // PIECE)
    owner = np.repeat(np.arange(low.size), cuts)
    number = np.arange(owner.size) - np.repeat(np.cumsum(cuts) - cuts, cuts)
    start = low[owner] + number * PIECE
    end = np.minimum(start + PIECE, high[owner])
    edges = np.flatnonzero(np.diff(np.cumsum(end - start) // PIECE)) + 1
    return np.split(start, edges), np.split(end, edges)


def _blocks(windows: KmerWindows) -> list[slice]:
    """Slices of windows that together cover about ``PIECE`` bases."""
    edges = np.flatnonzero(np.diff(windows.low // PIECE)) + 1
    ends = [0, *edges.tolist(), windows.low.size]
    return [slice(low, high) for low, high in pairwise(ends)]


def _count_block(windows: KmerWindows, rows: slice, index: KmerIndex) -> IntRow:
    """``(n, 2)`` k-mers of the index's part, and those seen, of some windows."""
    block = windows.where(rows)
    low, high = block.intervals()
    size = int((high - low).sum())
    positions, running = np.empty(size, np.int64), np.empty(size + 1, np.int32)
    positions = positions[: count(windows.genome.bases, low, high, index, positions, running)]
    first, last = np.searchsorted(positions, block.low), np.searchsorted(positions, block.high)
    return np.stack([last - first, running[last] - running[first]], axis=1)
