"""Look-up table of filters: the scores at a position of a code sequence as a sum of table rows.

The score of a filter of width W over one-hot symbols is a sum of W table entries. The table holds
the sums of two adjacent taps for all 25 pairs of codes (4 symbols and "unknown"), so a position
costs W / 2 row additions. The rows of a block of filters are contiguous and stay in the first-level
cache while the block is slid along a sequence.
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
"""Filters per block. With width 26, the rows of pairs of known symbols take 27 kB in float32."""


class PairTable(NamedTuple):
    """Table of the scores that pairs of codes add to each filter.

    Attributes
    ----------
    rows
        ``(N, J * 25, BLOCK)`` for N blocks and J = ceil(W / 2). Row ``25 j + 5 a + b`` holds the
        scores of code ``a`` at tap ``2 j`` with code ``b`` at tap ``2 j + 1``; 0 after the last
        filter.
    bias
        ``(N, BLOCK)``.
    """

    rows: np.ndarray
    bias: np.ndarray


def pair_table(weight: np.ndarray, bias: np.ndarray, unknown: float) -> PairTable:
    """Sums of every two adjacent taps for every pair of codes.

    Parameters
    ----------
    weight
        (F, 4, W) filters.
    bias
        (F,).
    unknown
        Value of each of the 4 one-hot channels at an unknown symbol (code 4).
    """
    filters, _, width = weight.shape
    pairs, blocks = (width + 1) // 2, -(-filters // BLOCK)
    padded = np.zeros((blocks * BLOCK, SYMBOLS, width), weight.dtype)
    padded[:filters] = weight
    taps = np.zeros((blocks, 2 * pairs, CODES, BLOCK), weight.dtype)
    own = padded.reshape(blocks, BLOCK, SYMBOLS, width).transpose(0, 3, 2, 1)
    taps[:, :width, :SYMBOLS] = own
    rows = _aligned((blocks, pairs, CODES, CODES, BLOCK), weight.dtype)
    with np.errstate(invalid="ignore"):  # of weights that are not finite
        taps[:, :width, SYMBOLS] = unknown * own.sum(axis=2)
        np.add(taps[:, 0::2, :, None, :], taps[:, 1::2, None, :, :], out=rows)
    biases = np.zeros(blocks * BLOCK, bias.dtype)
    biases[:filters] = bias
    return PairTable(rows.reshape(blocks, pairs * PAIRS, BLOCK), biases.reshape(blocks, BLOCK))


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array aligned to cache lines; otherwise each row would take a line more."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def pair_codes(codes: np.ndarray) -> np.ndarray:
    """(B, L) codes to the (B, L) index of the pair from each position; a 4 follows the end."""
    # In C order for any order of the codes, because `best_position` needs it.
    pairs = np.multiply(codes, np.uint8(CODES), order="C")
    pairs[:, :-1] += codes[:, 1:]
    pairs[:, -1] += np.uint8(SYMBOLS)
    return pairs
