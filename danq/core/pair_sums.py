"""Scores of a filter bank at a position of a sequence of codes, as sums of table rows.

A filter bank of width W over one-hot symbols is a sum of W table rows. Two neighbouring taps
share one row of a table over all 25 pairs of codes (4 symbols and "unknown"), so a position
costs W / 2 row additions. The rows of a block of filters lie together, so that they stay in the
first-level cache while the block is slid along a sequence.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

CACHE_LINE = 64
SYMBOLS = 4
CODES = 5
PAIRS = CODES**2

BLOCK = 32
"""Filters of a block: 13 rows of 26-bp filters for all pairs of symbols take 27 kB in float32."""


class PairTable(NamedTuple):
    """What `danq.core._best_position.best_place` adds up.

    Attributes
    ----------
    rows
        ``(N, J * 25, BLOCK)`` for N blocks and J = ceil(W / 2); row ``25 j + 5 a + b`` is what code
        ``a`` at tap ``2 j`` and code ``b`` at tap ``2 j + 1`` add. Past the last filter 0.
    bias
        ``(N, BLOCK)``.
    """

    rows: np.ndarray
    bias: np.ndarray


def pair_table(weight: np.ndarray, bias: np.ndarray, unknown: float) -> PairTable:
    """Sums of every two neighbouring taps for every pair of codes.

    Parameters
    ----------
    weight
        (F, 4, W) filters.
    bias
        (F,).
    unknown
        The value that each of the 4 one-hot channels has at an unknown symbol.
    """
    filters, _, width = weight.shape
    pairs, blocks = (width + 1) // 2, -(-filters // BLOCK)
    padded = np.zeros((blocks * BLOCK, SYMBOLS, width), weight.dtype)
    padded[:filters] = weight
    taps = np.zeros((blocks, 2 * pairs, CODES, BLOCK), weight.dtype)
    own = padded.reshape(blocks, BLOCK, SYMBOLS, width).transpose(0, 3, 2, 1)
    taps[:, :width, :SYMBOLS] = own
    taps[:, :width, SYMBOLS] = unknown * own.sum(axis=2)
    rows = _aligned((blocks, pairs, CODES, CODES, BLOCK), weight.dtype)
    np.add(taps[:, 0::2, :, None, :], taps[:, 1::2, None, :, :], out=rows)
    biases = np.zeros(blocks * BLOCK, bias.dtype)
    biases[:filters] = bias
    return PairTable(rows.reshape(blocks, pairs * PAIRS, BLOCK), biases.reshape(blocks, BLOCK))


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array that begins where a line of the cache begins, or else every row would take two."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def pair_codes(codes: np.ndarray) -> np.ndarray:
    """(B, L) codes -> (B, L) index of the pair that starts at each position; 4 follows the end."""
    # In rows whatever the order of the codes: `best_place` counts on it.
    pairs = np.multiply(codes, np.uint8(CODES), order="C")
    pairs[:, :-1] += codes[:, 1:]
    pairs[:, -1] += np.uint8(SYMBOLS)
    return pairs
