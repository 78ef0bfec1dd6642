"""Read a dataset in batches of segments: adjacent windows that overlap."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from danq.datasets.batches import made_ahead
from danq.datasets.dataset import Dataset
from danq.errors import InputError
from danq.genome.nucleotide_codes import N
from danq.typing import BoolRow, CodeBatch, IntRow

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


class Segments(NamedTuple):
    """Segments of one epoch, in their order.

    Attributes
    ----------
    contig
        ``(M,)`` contig number of each segment.
    start
        ``(M,)`` start of the first bin of each segment.
    rows
        ``(M, N)`` index of each bin's window in the dataset; -1 where there is none.
    reverse
        ``(M,)`` True where the segment is reverse-complemented.
    """

    contig: IntRow
    start: IntRow
    rows: np.ndarray
    reverse: BoolRow


class SegmentBatches:
    """Batches of segments with the labels of all their bins.

    In each epoch, a contig is cut into segments from another position. Their number is such that an
    epoch has as many windows as there are training bins that are ``spacing`` bases apart. Bases of
    validation and test windows are read as N.

    Parameters
    ----------
    dataset
        The labelled windows, of peaks.
    indices
        ``(N,)`` indices of the windows to use. The labels of other bins of a segment are unknown.
    batch_size
        Segments in a batch; the last batch of an epoch may be smaller.
    bins
        Bins of a segment.
    spacing
        Bases from one bin of a segment to the next, a multiple of the dataset's stride.
    reverse_complement
        Reverse-complement each segment with probability one half.
    seed
        Random seed; together with the epoch it determines segments, order and strands.
    prefetch
        Number of batches that a separate thread prepares in advance; 0 for no thread.

    Raises
    ------
    InputError
        When there are no windows, the sequences are standalone, or ``spacing`` is no multiple of
        the stride.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: ArrayLike,
        batch_size: int,
        *,
        bins: int,
        spacing: int,
        reverse_complement: bool = True,
        seed: int = 0,
        prefetch: int = 2,
    ) -> None:
        if dataset.standalone:
            raise InputError(
                "segments need windows of a genome, and these are standalone sequences",
                file=dataset.path,
                remedy="Set segment_bins to 1",
            )
        if spacing < 1 or spacing % dataset.stride:
            raise InputError(
                f"segment_spacing is {spacing}, no multiple of the dataset's stride, "
                f"{dataset.stride}",
                file=dataset.path,
                remedy="Choose another spacing, or build the dataset with another stride",
            )
        rows = np.array(indices, dtype=np.int64).reshape(-1)
        if not rows.size:
            raise InputError("a number of windows of 0 is below 1")
        self.dataset, self.batch_size, self.bins, self.spacing = dataset, batch_size, bins, spacing
        self.reverse_complement = reverse_complement and not dataset.oriented
        self.seed, self.prefetch = seed, prefetch
        order = np.lexsort((dataset.start[rows], dataset.contig[rows]))
        self._rows = rows[order]
        self._start = dataset.start[self._rows]
        contigs, first = np.unique(dataset.contig[self._rows].astype(np.int64), return_index=True)
        self._parts = dict(
            zip(contigs.tolist(), np.split(np.arange(rows.size), first[1:]), strict=True)
        )
        self._held_out = _held_out_bases(dataset, self._parts)
        self.segments = -(-rows.size * dataset.stride // (spacing * bins))
        self.length = dataset.window + spacing * (bins - 1)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.segments // self.batch_size)

    def plan(self, epoch: int) -> Segments:
        """Draw the segments of an epoch from the seed and the epoch only."""
        seeds = np.random.SeedSequence([self.seed, epoch]).spawn(3)
        cuts, order, flips = (np.random.default_rng(seed) for seed in seeds)
        found = [self._cut(contig, part, cuts) for contig, part in self._parts.items()]
        contig, start, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        chosen = np.resize(order.permutation(len(start)), self.segments)
        reverse = flips.random(self.segments) < (0.5 if self.reverse_complement else 0)
        return Segments(contig[chosen], start[chosen], rows[chosen], reverse)

    def _cut(
        self, contig: int, part: IntRow, rng: np.random.Generator
    ) -> tuple[IntRow, IntRow, np.ndarray]:
        """Cut a contig into segments that have a known bin: contig, starts and rows."""
        starts, step = self._start[part], self.spacing * self.bins
        first = (
            int(starts[0]) - int(rng.integers(step // self.dataset.stride)) * self.dataset.stride
        )
        start = np.arange(first, int(starts[-1]) + 1, step)
        wanted = start[:, None] + self.spacing * np.arange(self.bins)
        place = np.searchsorted(starts, wanted).clip(max=starts.size - 1)
        rows = np.where(starts[place] == wanted, self._rows[part][place], -1)
        known = (rows >= 0).any(axis=1)
        return np.full(known.sum(), contig), start[known], rows[known]

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[Batch, None, None]:
        """Yield the batches of one epoch; the same seed and epoch give the same batches.

        Parameters
        ----------
        epoch
            Number of the epoch, from 0.
        start_batch
            First batch, to resume an interrupted epoch.

        Yields
        ------
        codes : CodeBatch
            ``(B, length)`` uint8.
        labels : numpy.ndarray
            ``(B, N, K)`` uint8, in the order of the codes.
        known : numpy.ndarray
            ``(B, N)`` bool, whether the labels of a bin are known.
        """
        return made_ahead(self._make(self.plan(epoch), start_batch), self.prefetch)

    def _make(self, plan: Segments, start_batch: int) -> Generator[Batch, None, None]:
        dataset = self.dataset
        for number in range(start_batch, len(self)):
            part = slice(number * self.batch_size, (number + 1) * self.batch_size)
            rows, reverse = plan.rows[part], plan.reverse[part]
            start = plan.start[part] + (dataset.bin // 2 - dataset.window // 2)
            codes = dataset.genome.windows(plan.contig[part], start, self.length, reverse)
            self._hide(codes, plan.contig[part], start, reverse)
            rows = np.where(reverse[:, None], rows[:, ::-1], rows)
            labels = dataset.labels(rows.clip(min=0).ravel()).reshape(*rows.shape, -1)
            yield codes, labels, rows >= 0

    def _hide(self, codes: CodeBatch, contig: IntRow, start: IntRow, reverse: BoolRow) -> None:
        """Set the bases of held-out windows to N."""
        for row in np.flatnonzero(np.isin(contig, list(self._held_out))):
            regions = self._held_out[int(contig[row])] - start[row]
            inside = (regions[:, 1] > 0) & (regions[:, 0] < self.length)
            for first, end in regions[inside].clip(0, self.length):
                bases = slice(self.length - end, self.length - first)
                codes[row, bases if reverse[row] else slice(first, end)] = N


def _held_out_bases(dataset: Dataset, contigs: Iterable[int]) -> dict[int, np.ndarray]:
    """Merged ``(R, 2)`` regions of validation and test windows, of contigs that have some."""
    found: dict[int, np.ndarray] = {}
    contig_of, start = dataset.positions(np.flatnonzero(dataset.split != 0))
    for contig in contigs:
        first = np.sort(start[contig_of == contig])
        if first.size:
            gap = np.flatnonzero(np.diff(first) > dataset.window)
            ends = first[np.append(gap, first.size - 1)] + dataset.window
            found[contig] = np.stack([first[np.append(0, gap + 1)], ends], axis=1)
    return found
