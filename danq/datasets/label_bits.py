"""Kernels for labels packed at one bit each: track k in bit ``k % 8`` of byte ``k // 8``."""

from __future__ import annotations

import numpy as np

from danq._jit import kernel
from danq.typing import IntRow, LabelBatch

SPREAD = ((np.arange(256, dtype=np.uint8)[:, None] >> np.arange(8, dtype=np.uint8)) & 1).copy()
"""``(256, 8)`` uint8: the eight labels in each byte."""


@kernel
def set_bits(rows, track, split, packed, counts):
    """Set one track's label in the windows of ``rows`` (-1: no window) and count by split."""
    byte = track // 8
    bit = np.uint8(1 << (track % 8))
    for row in rows:
        if row >= 0:
            packed[row, byte] |= bit
            counts[split[row]] += 1


def _plain_set_bits(
    rows: IntRow, track: int, split: LabelBatch, packed: LabelBatch, counts: IntRow
) -> None:
    """Plain twin of :func:`set_bits` in numpy."""
    kept = rows[rows >= 0]
    packed[kept, track // 8] |= np.uint8(1 << (track % 8))
    counts += np.bincount(split[kept], minlength=counts.size)


@kernel
def read_bits(packed, rows, out):
    """Write the labels of ``rows`` to ``out``, ``(B, K)``, one byte per label."""
    tracks = out.shape[1]
    full = tracks // 8
    for i in range(rows.size):
        source = packed[rows[i]]
        target = out[i]
        for byte in range(full):
            labels = SPREAD[source[byte]]
            at = 8 * byte
            target[at] = labels[0]
            target[at + 1] = labels[1]
            target[at + 2] = labels[2]
            target[at + 3] = labels[3]
            target[at + 4] = labels[4]
            target[at + 5] = labels[5]
            target[at + 6] = labels[6]
            target[at + 7] = labels[7]
        for track in range(8 * full, tracks):
            target[track] = SPREAD[source[full], track - 8 * full]


def _plain_read_bits(packed: LabelBatch, rows: IntRow, tracks: int) -> LabelBatch:
    """Plain twin of :func:`read_bits` in numpy."""
    return np.unpackbits(packed[rows], axis=1, count=tracks, bitorder="little")


@kernel
def count_bits(packed, split, counts):
    """Add the positives of each split and track to ``counts``, ``(splits, 8 * bytes)``."""
    for row in range(packed.shape[0]):
        totals = counts[split[row]]
        for byte in range(packed.shape[1]):
            value = packed[row, byte]
            if value:
                for bit in range(8):
                    totals[8 * byte + bit] += SPREAD[value, bit]


def _plain_count_bits(packed: LabelBatch, split: LabelBatch, counts: IntRow) -> None:
    """Plain twin of :func:`count_bits` in numpy."""
    for number in range(counts.shape[0]):
        rows = packed[split == number]
        counts[number] += np.unpackbits(rows, axis=1, bitorder="little").sum(axis=0, dtype=np.int64)
