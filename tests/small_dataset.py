"""A small dataset of random bases and labels."""

from __future__ import annotations

import numpy as np

from danq.datasets import Dataset
from danq.genome.packed_genome import PackedGenome


def small_dataset(bins: int, bases: int, groups: tuple[str, str] = ("TF", "TF")) -> Dataset:
    """Windows of 60 bases around the first bins of 20, on a contig with a number of bases."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, bases).astype(np.uint8)
    starts = 20 * np.arange(bins)
    return Dataset(
        genome=PackedGenome.from_contigs([("chr1", codes)]),
        contig=np.zeros(starts.size, np.uint32),
        start=starts,
        split=(np.arange(starts.size) % 3).astype(np.uint8),
        packed=rng.integers(0, 4, (starts.size, 1)).astype(np.uint8),
        tracks=("Reb1", "Abf1"),
        groups=groups,
        sources=("", ""),
        peaks=np.zeros(2, np.int64),
        window=60,
        bin=20,
        stride=20,
        min_overlap=0.5,
    )
