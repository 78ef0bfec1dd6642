"""Find pairs of a sequence and its reverse complement in a file, to store each pair once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import UInt64

from danq._jit import kernel
from danq.genome.two_bit_packing import UNPACKED
from danq.typing import BoolRow, Codes, IntRow, LabelBatch

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0x100000001B3)


class _HashTable(NamedTuple):
    """Open-addressing table of kept rows by their content.

    Attributes
    ----------
    words
        ``(L, 5)`` random word of each position and code.
    keys
        ``(n,)`` hash of each kept row.
    paired
        ``(n,)`` whether the reverse complement of a kept row was found.
    slots
        Kept row in each slot, or -1; a power of two in size.
    shift
        Bits that a hash is shifted to the right to get its slot.
    """

    words: UInt64[np.ndarray, "L 5"]
    keys: UInt64[np.ndarray, "n"]
    paired: BoolRow
    slots: np.ndarray
    shift: np.uint64


class PairFinder:
    """Finds rows whose reverse complement, with the same labels, came earlier.

    The first row of each pair is kept. Known bases and labels are compared exactly, unknown
    bases by a hash of 64 bits.

    Parameters
    ----------
    bases
        ``(n, S)`` uint8, room for all rows at two bits per base.
    labels
        ``(n, bytes)`` uint8, room for their labels.
    length
        Bases ``L`` of a sequence.

    Attributes
    ----------
    kept
        Rows kept so far; they are the first rows of ``bases`` and ``labels``.
    index
        ``(n,)`` int32: index of a kept row, or ``-1 - index`` of its kept partner.
    """

    def __init__(self, bases: Codes, labels: LabelBatch, length: int) -> None:
        rows = len(bases)
        self.bases, self.labels, self.length = bases, labels, length
        self.kept = self.seen = 0
        self.index = np.empty(rows, np.int32)
        bits = max(4, int(2 * rows).bit_length())
        self._table = _HashTable(
            words=np.random.default_rng(0).integers(0, 1 << 64, (length, 5), np.uint64),
            keys=np.empty(rows, np.uint64),
            paired=np.zeros(rows, np.bool_),
            slots=np.full(1 << bits, -1, np.int32),
            shift=np.uint64(64 - bits),
        )

    def add(self, count: int, row: IntRow, position: IntRow) -> None:
        """Take the next rows, which are stored after the kept ones.

        Parameters
        ----------
        count
            Number of rows.
        row, position
            Row and position of each N in order; the first of these rows is 0.
        """
        index = self.index[self.seen : self.seen + count]
        unknown = row, position
        self.kept = _match(self.bases, self.labels, self.kept, unknown, self._table, index)
        self.seen += count

    @property
    def complete(self) -> bool:
        """Whether every row so far has a partner."""
        return bool(self._table.paired[: self.kept].all())

    def restore(self) -> None:
        """Put every row back to its original index."""
        _restore(self.bases, self.labels, self.length, self.seen, self.index)
        self.kept = self.seen


@kernel
def _match(bases, labels, kept, unknown, table, index):
    """Take the rows that follow the ``kept`` ones; fill ``index``, return the rows kept now."""
    words, keys, paired, slots, shift = table
    row, position = unknown
    length = words.shape[0]
    codes = np.empty(4 * bases.shape[1], np.uint8)
    mask = slots.size - 1
    next_unknown = 0
    first = kept
    for number in range(index.size):
        source = first + number
        for byte in range(bases.shape[1]):
            value = bases[source, byte]
            for k in range(4):
                codes[4 * byte + k] = UNPACKED[value, k]
        while next_unknown < row.size and row[next_unknown] == number:
            codes[position[next_unknown]] = 4
            next_unknown += 1
        forward = np.uint64(0)
        reverse = np.uint64(0)
        for i in range(length):
            code = codes[i]
            forward ^= words[i, code]
            reverse ^= words[length - 1 - i, code if code == 4 else 3 - code]
        marks = np.uint64(0xCBF29CE484222325)
        for byte in range(labels.shape[1]):
            marks = (marks ^ np.uint64(labels[source, byte])) * _PRIME
        forward += marks
        reverse += marks
        slot = np.int64((reverse * _SPREAD) >> shift)
        partner = -1
        while slots[slot] >= 0:
            other = slots[slot]
            if (
                keys[other] == reverse
                and not paired[other]
                and _opposite(bases, codes, length, other)
                and _equal(labels, source, other)
            ):
                partner = other
                break
            slot = (slot + 1) & mask
        if partner >= 0:
            paired[partner] = True
            index[number] = -1 - partner
            continue
        slot = np.int64((forward * _SPREAD) >> shift)
        while slots[slot] >= 0:
            other = slots[slot]
            if paired[other] and keys[other] == forward:
                break
            slot = (slot + 1) & mask
        slots[slot] = kept
        keys[kept] = forward
        paired[kept] = False
        index[number] = kept
        if kept != source:
            bases[kept] = bases[source]
            labels[kept] = labels[source]
        kept += 1
    return kept


@kernel
def _opposite(bases, codes, length, other):
    """Whether row ``other`` is the reverse complement of ``codes`` at all known bases."""
    for i in range(length):
        code = codes[length - 1 - i]
        if code < 4 and UNPACKED[bases[other, i // 4], i % 4] != 3 - code:
            return False
    return True


@kernel
def _equal(labels, one, other):
    different = np.uint8(0)
    for byte in range(labels.shape[1]):
        different |= labels[one, byte] ^ labels[other, byte]
    return different == 0


@kernel
def _restore(bases, labels, length, rows, index):
    """Undo :func:`_match`, from the last row to the first: no row is overwritten too early."""
    held = np.empty(bases.shape[1], np.uint8)
    for row in range(rows - 1, -1, -1):
        if index[row] >= 0:
            source = index[row]
            if source != row:
                bases[row] = bases[source]
                labels[row] = labels[source]
            continue
        source = -1 - index[row]
        held[:] = 0
        for i in range(length):
            j = length - 1 - i
            code = 3 - UNPACKED[bases[source, j // 4], j % 4]
            held[i // 4] |= np.uint8(code << (2 * (i % 4)))
        bases[row] = held
        labels[row] = labels[source]
