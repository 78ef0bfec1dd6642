"""Random labelled windows in memory."""

from __future__ import annotations

import numpy as np

from danq.datasets.dataset import Dataset
from danq.genome.packed_genome import PackedGenome

CONTIGS = 10


def random_dataset(
    bases: int, windows: int, tracks: int, *, window: int = 1000, bin_size: int = 200, seed: int = 0
) -> Dataset:
    """Random windows of a random genome; about 2 % of the labels are positive."""
    rng = np.random.default_rng(seed)
    length = bases // CONTIGS // 4 * 4
    edge = np.arange(CONTIGS) * length + min(1000, length // 10)
    genome = PackedGenome(
        names=tuple(f"chr{number + 1}" for number in range(CONTIGS)),
        lengths=np.full(CONTIGS, length),
        bases=rng.integers(0, 256, CONTIGS * length // 4, dtype=np.uint8),
        offsets=np.arange(CONTIGS) * (length // 4),
        n_start=edge,
        n_end=edge + min(10_000, length // 10),
    )
    size = (tracks + 7) // 8
    packed = np.zeros((windows, size), dtype=np.uint8)
    for row in range(0, windows, 1 << 16):
        block = packed[row : row + (1 << 16)]
        positive = rng.random(block.shape, dtype=np.float32) < 0.15
        block[positive] = 1 << rng.integers(0, 8, int(positive.sum()), dtype=np.uint8)
    packed[:, -1] &= (1 << (tracks - 8 * (size - 1))) - 1
    return Dataset(
        genome=genome,
        contig=rng.integers(0, CONTIGS, windows, dtype=np.uint32),
        start=rng.integers(0, length // bin_size, windows) * bin_size,
        split=np.zeros(windows, dtype=np.uint8),
        packed=packed,
        tracks=tuple(f"track{number}" for number in range(tracks)),
        groups=("",) * tracks,
        sources=("",) * tracks,
        peaks=np.zeros(tracks, dtype=np.int64),
        window=window,
        bin=bin_size,
        stride=bin_size,
        min_overlap=0.5,
    )
