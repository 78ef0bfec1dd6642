"""The regions of a dataset's splits, as a model file records them."""

from __future__ import annotations

import numpy as np

from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.models.training_record import Spans, Splits

MOST_REGIONS = 2000
"""Number of regions that a model file lists."""


def split_regions(dataset: Dataset) -> Splits | None:
    """Regions of the splits; None for standalone sequences, which have no positions in a genome.

    A region holds the bins of consecutive windows of a contig that are in one split, and what is
    between them. If there are more than `MOST_REGIONS`, each split of a contig has one region; if
    there still are, the longest are kept.
    """
    if dataset.standalone or not len(dataset):
        return None
    order = np.lexsort((dataset.start, dataset.contig))
    contig, start, split = (one[order] for one in (dataset.contig, dataset.start, dataset.split))
    regions = _runs(contig, start, split)
    if len(regions) > MOST_REGIONS:
        again = np.lexsort((start, split, contig))
        regions = _runs(contig[again], start[again], split[again])
    length = np.asarray(dataset.genome.lengths, np.int64)[regions[:, 0]]
    regions[:, 3] = np.minimum(regions[:, 3] + dataset.bin, length)
    complete = len(regions) <= MOST_REGIONS
    if not complete:
        longest = np.argsort(regions[:, 2] - regions[:, 3], kind="stable")[:MOST_REGIONS]
        regions = regions[np.sort(longest)]
    names = dataset.genome.names
    spans: list[dict[str, list[tuple[int, int]]]] = [{} for _ in SPLITS]
    for number, which, first, end in regions.tolist():
        spans[which].setdefault(names[number], []).append((first, end))
    kept = np.unique(regions[:, 0])
    by_split: dict[str, Spans] = {
        name: {contig: tuple(found) for contig, found in own.items()}
        for name, own in zip(SPLITS, spans, strict=True)
    }
    lengths = {names[number]: int(dataset.genome.lengths[number]) for number in kept}
    return Splits(lengths=lengths, complete=complete, **by_split)


def _runs(contig: np.ndarray, start: np.ndarray, split: np.ndarray) -> np.ndarray:
    """``(R, 4)`` contig, split, first and last start of each run of equal contig and split."""
    change = np.flatnonzero((contig[1:] != contig[:-1]) | (split[1:] != split[:-1]))
    first, last = np.append(0, change + 1), np.append(change, len(start) - 1)
    columns = (contig[first], split[first], start[first], start[last])
    return np.stack([np.asarray(one, np.int64) for one in columns], axis=1)
