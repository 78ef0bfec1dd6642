"""Radix sort of scores, which all ranking metrics use."""

from __future__ import annotations

import numpy as np

from danq._jit import kernel

# Three digits of 11, 11 and 10 bits: their counters stay in the first-level cache.
_DIGIT = 11
_BUCKETS = 1 << _DIGIT


@kernel
def ordered_bits(bits):
    """Map the bits of a float32 to an integer in [0, 2**32) with the same order.

    Zero and minus zero map to one integer. The caller must exclude NaN.
    """
    x = np.int64(bits)
    if x == 0x80000000:
        x = np.int64(0)
    if x >> 31:
        return x ^ 0xFFFFFFFF
    return x | 0x80000000


@kernel
def is_nan(bits):
    """Whether the bits of a float32 are those of a NaN."""
    return (np.int64(bits) & 0x7FFFFFFF) > 0x7F800000


@kernel
def radix_sort(keys, scratch, shift):
    """Sort integers by 32 of their bits, from bit ``shift``; ascending and stable.

    Parameters
    ----------
    keys
        Integers to sort, one-dimensional; overwritten.
    scratch
        Array of the same length and dtype; overwritten.
    shift
        Lowest bit of the sort key.

    Returns
    -------
    array
        ``keys`` or ``scratch``: the array with the sorted integers.
    """
    counts = np.zeros((3, _BUCKETS), np.int64)
    for i in range(keys.size):
        x = np.int64(keys[i]) >> shift
        counts[0, x & 2047] += 1
        counts[1, (x >> 11) & 2047] += 1
        counts[2, (x >> 22) & 1023] += 1
    for digit in range(3):
        count = counts[digit]
        total = 0
        most = 0
        for b in range(_BUCKETS):
            c = count[b]
            most = max(most, c)
            count[b] = total
            total += c
        if most == keys.size:
            continue  # all integers have the same digit
        low = shift + digit * _DIGIT
        mask = 1023 if digit == 2 else 2047
        for i in range(keys.size):
            b = (np.int64(keys[i]) >> low) & mask
            scratch[count[b]] = keys[i]
            count[b] += 1
        keys, scratch = scratch, keys
    return keys
