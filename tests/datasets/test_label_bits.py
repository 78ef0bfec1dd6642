from __future__ import annotations

import numpy as np
import pytest

from danq.datasets import label_bits as bits


@pytest.mark.parametrize("tracks", [1, 7, 8, 9, 64, 919])
def test_kernels_equal_their_plain_twins(tracks: int):
    rng = np.random.default_rng(tracks)
    labels = (rng.random((40, tracks)) < 0.3).astype(np.uint8)
    split = rng.integers(0, 3, 40, dtype=np.uint8)
    packed = np.zeros((40, (tracks + 7) // 8), dtype=np.uint8)
    plain = packed.copy()
    counts = np.zeros((2, tracks, 3), dtype=np.int64)
    for track in range(tracks):
        rows = np.append(np.flatnonzero(labels[:, track]), -1)
        bits.set_bits(rows, track, split, packed, counts[0, track])
        bits._plain_set_bits(rows, track, split, plain, counts[1, track])
    # numpy's own packing is the oracle of both.
    oracle = np.packbits(labels, axis=1, bitorder="little")
    np.testing.assert_array_equal(packed, oracle)
    np.testing.assert_array_equal(plain, oracle)
    by_split = np.stack([labels[split == number].sum(axis=0) for number in range(3)], axis=1)
    np.testing.assert_array_equal(counts[0], by_split)
    np.testing.assert_array_equal(counts[1], by_split)

    rows = rng.integers(0, 40, 100)
    out = np.full((100, tracks), 9, dtype=np.uint8)
    bits.read_bits(packed, rows, out)
    np.testing.assert_array_equal(out, labels[rows])
    np.testing.assert_array_equal(bits._plain_read_bits(packed, rows, tracks), labels[rows])

    totals = np.zeros((2, 3, 8 * packed.shape[1]), dtype=np.int64)
    bits.count_bits(packed, split, totals[0])
    bits._plain_count_bits(packed, split, totals[1])
    np.testing.assert_array_equal(totals[0, :, :tracks].T, by_split)
    np.testing.assert_array_equal(totals[1], totals[0])
