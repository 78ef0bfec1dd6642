"""A small dataset of several random contigs; one of two tracks follows a motif."""

from __future__ import annotations

import numpy as np

from danq.datasets import Dataset
from danq.genome.packed_genome import PackedGenome

MOTIF = np.array([2, 0, 3, 0, 0, 2, 1, 3], np.uint8)  # GATAAGCT
TINY = {"filters": 12, "width": 11, "pool": 10, "hidden": 6, "dense": (8,)}
"""Hyperparameters of a model small enough to train in a second."""


def several_contigs(
    contigs: int = 7, bins: int = 60, *, bin: int = 40, window: int = 80
) -> Dataset:
    """Contigs chr1, chr2, ... of which each has 5 bins more than the one before."""
    rng = np.random.default_rng(0)
    sequences, labels, sizes = [], [], [bins + 5 * number for number in range(contigs)]
    for number, size in enumerate(sizes, start=1):
        codes = rng.integers(0, 4, size * bin + 13).astype(np.uint8)
        positive = (rng.random((size, 2)) < 0.2).astype(np.uint8)
        for row in np.flatnonzero(positive[:, 0]):
            codes[row * bin + 5 : row * bin + 5 + MOTIF.size] = MOTIF
        sequences.append((f"chr{number}", codes))
        labels.append(positive)
    joined = np.concatenate(labels)
    start = np.concatenate([bin * np.arange(size) for size in sizes])
    return two_tracks(sequences, start, joined, bin=bin, window=window)


def two_tracks(
    sequences: list[tuple[str, np.ndarray]],
    start: np.ndarray,
    labels: np.ndarray,
    split: np.ndarray | None = None,
    *,
    bin: int,
    window: int,
) -> Dataset:
    """Windows of contigs, one after the other, with the tracks "planted" and "noise"."""
    first = np.concatenate([[True], np.diff(start) < 0])
    return Dataset(
        genome=PackedGenome.from_contigs(sequences),
        contig=(np.cumsum(first) - 1).astype(np.uint32),
        start=start,
        split=np.zeros(len(labels), np.uint8) if split is None else split,
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=("planted", "noise"),
        groups=("", ""),
        sources=("", ""),
        peaks=labels.sum(axis=0).astype(np.int64),
        window=window,
        bin=bin,
        stride=bin,
        min_overlap=0.5,
    )
