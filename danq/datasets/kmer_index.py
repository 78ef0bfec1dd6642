"""A hash table of canonical k-mers of a packed genome, and which of them other intervals contain.

A k-mer and its reverse complement are one canonical k-mer: the smaller of their 42-bit numbers.
Intervals here are of k-mer starts: half-open, in global coordinates
(:class:`danq.genome.packed_genome.PackedGenome`), and without k-mers that contain N.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt64

from danq._jit import inlined_kernel, kernel
from danq.typing import Codes, IntRow

Intervals = tuple[IntRow, IntRow]
"""Starts and ends of intervals of k-mer starts, sorted; none overlaps another."""

K = 21
"""Bases of a k-mer; odd, so that no k-mer is its own reverse complement."""

BATCH = 1024
"""k-mers that are hashed before the first of them is looked up. Look-ups in a separate loop
overlap in time, which makes them several times faster."""

HASH_BITS = 62

_U = np.uint64
_ONE = _U(1)
_KMER = _U((1 << 2 * K) - 1)
_WORD = _U((1 << 48) - 1)
_SEEN = _U(1 << 63)
_HASH = _U((1 << HASH_BITS) - 1)
_FIRST_FACTOR, _SECOND_FACTOR = _U(0x9E3779B97F4A7C15), _U(0xD6E8FEB86659FD93)
_HALF, _PART_SHIFT, _BIT = _U(HASH_BITS // 2), _U(16), _U(7)

_PAIRS = (np.arange(256)[:, None] >> np.array([0, 2, 4, 6])) & 3
REVERSED = ((3 - _PAIRS) << np.array([6, 4, 2, 0])).sum(axis=1).astype(np.uint8)
"""``(256,)`` uint8: reverse complement of the four bases of each packed byte."""


class KmerIndex(NamedTuple):
    """Canonical k-mers of one part of the hash range, in an open-addressing table.

    Attributes
    ----------
    table
        ``(slots,)`` hash of a k-mer, or 0; the highest bit is set when the k-mer was seen. No two
        k-mers have the same hash.
    present
        ``(slots,)`` one byte of a bitmap per slot, in which a k-mer sets two bits. Most k-mers that
        are not in the table have a bit of 0 there, and are not looked up.
    shift
        Bits that a hash is shifted to the right to get its slot.
    parts, part
        Mask of the hash bits that select the part, and their value.
    """

    table: UInt64[np.ndarray, "slots"]
    present: Codes
    shift: np.uint64
    parts: np.uint64
    part: np.uint64

    @classmethod
    def empty(cls, kmers: int, parts: int, part: int) -> KmerIndex:
        """Make a table with room for one part of some k-mers.

        Parameters
        ----------
        kmers
            Largest number of different k-mers of all parts together.
        parts
            Number of parts, a power of two. Hashes distribute the k-mers evenly.
        part
            Part that the table holds, from 0.
        """
        bits = int(1.5 * kmers / parts + BATCH).bit_length()
        return cls(
            table=np.zeros(1 << bits, np.uint64),
            present=np.zeros(1 << bits, np.uint8),
            shift=_U(HASH_BITS - bits),
            parts=_U(parts - 1),
            part=_U(part),
        )


class _Scratch(NamedTuple):
    """Arrays of :func:`_hash_batch`.

    Attributes
    ----------
    forward, reverse
        ``(n,)`` the 24 bases from each packed byte on, and their reverse complement.
    grid
        ``(4, n)`` hashes of the k-mers that start at the four bases of each byte.
    hashes, offsets
        ``(BATCH,)`` the k-mers that are kept.
    """

    forward: UInt64[np.ndarray, "n"]
    reverse: UInt64[np.ndarray, "n"]
    grid: UInt64[np.ndarray, "4 n"]
    hashes: UInt64[np.ndarray, "batch"]
    offsets: np.ndarray


@kernel
def _scratch():
    size = BATCH // 4 + 1
    return _Scratch(
        np.empty(size, np.uint64),
        np.empty(size, np.uint64),
        np.empty((4, size), np.uint64),
        np.empty(BATCH, np.uint64),
        np.empty(BATCH, np.int32),
    )


@inlined_kernel
def _bits(hashed, shift):
    """The two bits, which may be equal, of a hash in its byte of the bitmap."""
    one, other = hashed >> (shift - _U(3)), hashed >> (shift - _U(6))
    return np.uint8((_ONE << (one & _BIT)) | (_ONE << (other & _BIT)))


@kernel
def _hash_batch(bases, low, high, index, scratch):
    """Hash the k-mers that start in ``low`` to ``high``, and keep those of the index's part.

    Writes their hashes and their offsets from ``low`` to the front of ``scratch.hashes`` and
    ``scratch.offsets``, and returns their number. Each step of the hash is a bijection, so
    different k-mers have different hashes, and none is 0.
    """
    forward, reverse, grid = scratch.forward, scratch.reverse, scratch.grid
    first, phase, total = low >> 2, low & 3, high - low
    size = (phase + total + 3) >> 2
    one = other = _U(0)
    for byte in range(first, first + 5):
        one = (one >> _U(8)) | (_U(bases[byte]) << _U(40))
        other = (other << _U(8)) | _U(REVERSED[bases[byte]])
    for column in range(size):
        byte = bases[first + 5 + column]
        one = (one >> _U(8)) | (_U(byte) << _U(40))
        other = ((other << _U(8)) | _U(REVERSED[byte])) & _WORD
        forward[column], reverse[column] = one, other
    # Plain loops over whole rows, which the compiler vectorises.
    for row in range(4):
        left, right = _U(2 * row), _U(6 - 2 * row)
        for column in range(size):
            one, other = (forward[column] >> left) & _KMER, (reverse[column] >> right) & _KMER
            mixed = ((min(one, other) + _ONE) * _FIRST_FACTOR) & _HASH
            grid[row, column] = ((mixed ^ (mixed >> _HALF)) * _SECOND_FACTOR) & _HASH
    kept = 0
    for offset in range(total):
        number = phase + offset
        hashed = grid[number & 3, number >> 2]
        # Always written and counted if kept: no branch to predict.
        scratch.hashes[kept] = hashed
        scratch.offsets[kept] = offset
        kept += (hashed >> _PART_SHIFT) & index.parts == index.part
    return kept


@kernel
def insert(bases, low, high, index):
    """Put the k-mers of intervals into the table; only one thread may do so."""
    table, present, shift = index.table, index.present, index.shift
    last = table.size - 1
    scratch = _scratch()
    hashes = scratch.hashes
    for number in range(low.size):
        for first in range(low[number], high[number], BATCH):
            end = min(first + BATCH, high[number])
            for i in range(_hash_batch(bases, first, end, index, scratch)):
                hashed = hashes[i]
                slot = np.int64(hashed >> shift)
                present[slot] |= _bits(hashed, shift)
                while table[slot] != 0 and table[slot] != hashed:
                    slot = (slot + 1) & last
                table[slot] = hashed


@kernel
def mark(bases, low, high, index):
    """Mark the k-mers of the table that intervals contain.

    Several threads may do so: they write the same values.
    """
    table, present, shift = index.table, index.present, index.shift
    last = table.size - 1
    scratch = _scratch()
    hashes = scratch.hashes
    for number in range(low.size):
        for first in range(low[number], high[number], BATCH):
            end = min(first + BATCH, high[number])
            kept = _hash_batch(bases, first, end, index, scratch)
            likely = 0
            for i in range(kept):
                hashed = hashes[i]
                bits = _bits(hashed, shift)
                hashes[likely] = hashed
                likely += present[np.int64(hashed >> shift)] & bits == bits
            for i in range(likely):
                slot = np.int64(hashes[i] >> shift)
                while table[slot] != 0:
                    if table[slot] & _HASH == hashes[i]:
                        if table[slot] == hashes[i]:
                            table[slot] = hashes[i] | _SEEN
                        break
                    slot = (slot + 1) & last


@kernel
def count(bases, low, high, index, positions, running):
    """List the k-mers of intervals that belong to the index's part, and count those seen.

    Parameters
    ----------
    bases
        Packed bases.
    low, high
        ``(n,)`` intervals, with ``P`` k-mers in total.
    index
        The table.
    positions
        ``(P,)`` int64 that is written: start of each k-mer of the part.
    running
        ``(P + 1,)`` int32 that is written: number of the first ``i`` of them that were seen.

    Returns
    -------
    int
        Number of k-mers of the part.
    """
    table, present, shift = index.table, index.present, index.shift
    last = table.size - 1
    scratch = _scratch()
    hashes, offsets = scratch.hashes, scratch.offsets
    row = 0
    running[0] = 0
    for number in range(low.size):
        for first in range(low[number], high[number], BATCH):
            end = min(first + BATCH, high[number])
            for i in range(_hash_batch(bases, first, end, index, scratch)):
                seen = 0
                slot = np.int64(hashes[i] >> shift)
                bits = _bits(hashes[i], shift)
                if present[slot] & bits == bits:
                    while table[slot] != 0:
                        if table[slot] & _HASH == hashes[i]:
                            seen = 1 if table[slot] != hashes[i] else 0
                            break
                        slot = (slot + 1) & last
                positions[row] = first + offsets[i]
                running[row + 1] = running[row] + seen
                row += 1
    return row


def plain_kmers(codes: Codes) -> list[int | None]:
    """Plain twin of the kernels' canonical k-mers: one number per start, None with an N."""
    kmers: list[int | None] = []
    for start in range(len(codes) - K + 1):
        letters = [int(code) for code in codes[start : start + K]]
        if max(letters) > 3:
            kmers.append(None)
            continue
        strands = letters, [3 - code for code in reversed(letters)]
        kmers.append(min(sum(c << 2 * (K - 1 - i) for i, c in enumerate(s)) for s in strands))
    return kmers
