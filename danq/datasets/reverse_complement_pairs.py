"""Sequences that a file holds on both strands, found by their content and kept once."""

from __future__ import annotations

import numpy as np

from danq._jit import kernel
from danq.genome.two_bit_packing import UNPACKED
from danq.typing import Codes, IntRow, LabelBatch

_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_PRIME = np.uint64(0x100000001B3)


class PairFinder:
    """Finds the rows whose reverse complement, with the same labels, came before.

    Of each pair the first row is kept. Bases and labels are compared one by one; that the same
    bases are unknown is known by a hash of 64 bits.

    Parameters
    ----------
    bases
        ``(n, S)`` uint8, room for all rows at two bits a base.
    labels
        ``(n, bytes)`` uint8, room for their labels.
    length
        Bases ``L`` of a sequence.

    Attributes
    ----------
    kept
        Rows kept so far; they lie at the front of ``bases`` and ``labels``.
    place
        ``(n,)`` int32: where a row was kept, or ``-1 - place`` of its partner.
    """

    def __init__(self, bases: Codes, labels: LabelBatch, length: int) -> None:
        rows = len(bases)
        self.bases, self.labels, self.length = bases, labels, length
        self.kept = self.seen = 0
        self.place = np.empty(rows, np.int32)
        self._keys = np.empty(rows, np.uint64)
        self._taken = np.zeros(rows, np.bool_)
        bits = max(4, int(2 * rows).bit_length())
        self._slots = np.full(1 << bits, -1, np.int32)
        self._shift = np.uint64(64 - bits)
        random = np.random.default_rng(0)
        self._words = random.integers(0, 1 << 64, (length, 5), np.uint64)

    def add(self, count: int, row: IntRow, position: IntRow) -> None:
        """Take the next rows, which lie behind those kept.

        Parameters
        ----------
        count
            Rows.
        row, position
            Their unknown bases in order; rows count from the first of these.
        """
        self.kept = _match(
            self.bases,
            self.labels,
            self.length,
            self.kept,
            self.seen,
            count,
            row,
            position,
            self._words,
            self._keys,
            self._taken,
            self._slots,
            self._shift,
            self.place,
        )
        self.seen += count

    @property
    def complete(self) -> bool:
        """Whether every row so far has a partner."""
        return bool(self._taken[: self.kept].all())

    def restore(self) -> None:
        """Put every row back to where it was."""
        _restore(self.bases, self.labels, self.length, self.seen, self.place)
        self.kept = self.seen


@kernel
def _match(
    bases, labels, length, kept, seen, count, row, position, words, keys, taken, slots, shift, place
):
    """Number of rows kept, after ``count`` more that lie from ``kept`` on."""
    codes = np.empty(4 * bases.shape[1], np.uint8)
    mask = slots.size - 1
    unknown = 0
    first = kept
    for number in range(count):
        source = first + number
        for byte in range(bases.shape[1]):
            value = bases[source, byte]
            for k in range(4):
                codes[4 * byte + k] = UNPACKED[value, k]
        while unknown < row.size and row[unknown] == number:
            codes[position[unknown]] = 4
            unknown += 1
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
                and not taken[other]
                and _opposite(bases, codes, length, other)
                and _equal(labels, source, other)
            ):
                partner = other
                break
            slot = (slot + 1) & mask
        if partner >= 0:
            taken[partner] = True
            place[seen + number] = -1 - partner
            continue
        slot = np.int64((forward * _SPREAD) >> shift)
        while slots[slot] >= 0:
            other = slots[slot]
            if taken[other] and keys[other] == forward:
                break
            slot = (slot + 1) & mask
        slots[slot] = kept
        keys[kept] = forward
        taken[kept] = False
        place[seen + number] = kept
        if kept != source:
            bases[kept] = bases[source]
            labels[kept] = labels[source]
        kept += 1
    return kept


@kernel
def _opposite(bases, codes, length, other):
    """Whether row ``other`` is the reverse complement of ``codes``, unknown bases apart."""
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
def _restore(bases, labels, length, rows, place):
    """From the last row to the first, so that nothing is written over that is still needed."""
    held = np.empty(bases.shape[1], np.uint8)
    for row in range(rows - 1, -1, -1):
        if place[row] >= 0:
            source = place[row]
            if source != row:
                bases[row] = bases[source]
                labels[row] = labels[source]
            continue
        source = -1 - place[row]
        held[:] = 0
        for i in range(length):
            j = length - 1 - i
            code = 3 - UNPACKED[bases[source, j // 4], j % 4]
            held[i // 4] |= np.uint8(code << (2 * (i % 4)))
        bases[row] = held
        labels[row] = labels[source]
