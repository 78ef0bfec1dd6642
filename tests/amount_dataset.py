"""A small dataset with measured amounts, and perhaps a track of peaks."""

from __future__ import annotations

import numpy as np

from danq.amounts import AmountUnit
from danq.datasets import Dataset
from danq.datasets.track_amounts import Amounts, WindowValues
from danq.genome.packed_genome import PackedGenome

READS = AmountUnit(unit="reads")


def amount_dataset(
    windows: int = 600,
    *,
    peaks: bool = False,
    unit: AmountUnit = READS,
    steps: int = 0,
    oriented: bool = False,
    scale: float = 1.0,
    weights: bool = False,
) -> Dataset:
    """Windows of 60 random bases around bins of 20; three of five are for training.

    The amounts are the numbers of G and C, and of A, in the bin, multiplied by ``scale``; some of
    the first track are masked. The label of ``peaks`` is 1 in bins with more than five G.
    """
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 20 * (windows + 4)).astype(np.uint8)
    starts = 40 + 20 * np.arange(windows)
    around = codes[starts[:, None] + np.arange(20)]
    strong, adenine = (around == 1) | (around == 2), around == 0
    counts = np.stack([strong, adenine], axis=1).reshape(windows, 2, steps or 1, -1).sum(axis=3)
    values = unit.apply(scale * counts)
    values[::17, 0] = np.nan
    group = np.arange(windows) // 20 % 5
    return Dataset(
        genome=PackedGenome.from_contigs([("chr1", codes)]),
        contig=np.zeros(windows, np.uint32),
        start=starts,
        split=np.array([0, 0, 0, 1, 2], np.uint8)[group],
        packed=((around == 2).sum(axis=1, keepdims=True) > 5).astype(np.uint8)
        if peaks
        else np.zeros((windows, 0), np.uint8),
        tracks=(*(("Reb1",) if peaks else ()), "strong", "adenines"),
        groups=("",) * (2 + peaks),
        sources=("",) * (2 + peaks),
        peaks=np.zeros(int(peaks), np.int64),
        window=60,
        bin=20,
        stride=20,
        min_overlap=0.5,
        measured=Amounts(
            values if steps else values[:, :, 0], (unit, unit), 20 // steps if steps else 0
        ),
        values=WindowValues(
            weights=rng.random(windows).astype(np.float32) if weights else None,
        ),
        oriented=oriented,
    )
