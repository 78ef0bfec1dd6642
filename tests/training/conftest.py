from __future__ import annotations

import numpy as np
import pytest

from danq.datasets.dataset import Dataset
from tests.several_contigs import MOTIF, TINY, two_tracks


def planted(bins: int = 900, bin_size: int = 100, window: int = 200, seed: int = 0) -> Dataset:
    """Random contig; track "planted" is positive where the bin contains the motif.

    Track "noise" has random labels. The last two sixths are validation and test.
    """
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, bins * bin_size).astype(np.uint8)
    labels = np.zeros((bins, 2), np.uint8)
    labels[:, 0] = rng.random(bins) < 0.15
    labels[:, 1] = rng.random(bins) < 0.2
    for number in np.flatnonzero(labels[:, 0]):
        at = number * bin_size + int(rng.integers(20, bin_size - 20 - len(MOTIF)))
        codes[at : at + len(MOTIF)] = MOTIF
    split = np.zeros(bins, np.uint8)
    split[bins * 4 // 6 :] = 1
    split[bins * 5 // 6 :] = 2
    start = np.arange(bins, dtype=np.int64) * bin_size
    return two_tracks([("c", codes)], start, labels, split, bin=bin_size, window=window)


@pytest.fixture(scope="session")
def planted_set() -> Dataset:
    return planted()


@pytest.fixture
def tiny() -> dict[str, object]:
    """Hyperparameters of a model small enough to train in a second."""
    return dict(TINY)
