"""Windows as pieces of contigs and of alleles, before they are written as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from danq._jit import kernel
from danq.genome.nucleotide_codes import N
from danq.genome.packed_genome import PackedGenome
from danq.genome.two_bit_packing import fill_n, read_interval
from danq.typing import BoolRow, CodeBatch, Codes, IntRow

OUTSIDE = -1
"""Source of a piece outside its contig, where codes are 4."""

FIRST_CODE = -2
"""Source of a piece that starts at the first code of the alleles; the next code has -3."""


@dataclass(frozen=True, eq=False)
class WindowPieces:
    """B windows of L bases, each of which is put together from pieces.

    Attributes
    ----------
    length
        Bases L of every window.
    first
        ``(B + 1,)`` index of each window's first piece; the last one is the number of pieces P.
    at
        ``(P,)`` index in the window of a piece's first base. A piece ends where the next one
        starts, or at the end of the window.
    source
        ``(P,)`` where a piece comes from: the global position ``4 * offset + position`` of its
        first base (as in `PackedGenome`), or `OUTSIDE`, or ``FIRST_CODE - i`` for ``codes[i:]``.
    codes
        Codes of alleles.
    """

    length: int
    first: IntRow
    at: IntRow
    source: IntRow
    codes: Codes

    def __len__(self) -> int:
        """Number of windows."""
        return self.first.size - 1

    def __getitem__(self, rows: IntRow | slice) -> WindowPieces:
        """Some of the windows."""
        rows = np.arange(len(self))[rows] if isinstance(rows, slice) else np.asarray(rows)
        counts = self.first[rows + 1] - self.first[rows]
        first = np.zeros(rows.size + 1, dtype=np.int64)
        np.cumsum(counts, out=first[1:])
        pieces = np.arange(first[-1]) + np.repeat(self.first[rows] - first[:-1], counts)
        return WindowPieces(self.length, first, self.at[pieces], self.source[pieces], self.codes)

    @staticmethod
    def concatenated(parts: Sequence[WindowPieces]) -> WindowPieces:
        """All windows of several of the same length."""
        firsts, sources = [np.zeros(1, dtype=np.int64)], []
        pieces = codes = 0
        for part in parts:
            firsts.append(part.first[1:] + pieces)
            moved = part.source.copy()
            moved[moved <= FIRST_CODE] -= codes
            sources.append(moved)
            pieces, codes = pieces + part.at.size, codes + part.codes.size
        return WindowPieces(
            parts[0].length,
            np.concatenate(firsts),
            np.concatenate([part.at for part in parts]),
            np.concatenate(sources),
            np.concatenate([part.codes for part in parts]),
        )

    @cached_property
    def start(self) -> IntRow:
        """``(P,)`` index of each piece's first base in the ``B L`` bases of all windows."""
        return self.at + np.repeat(np.arange(len(self)) * self.length, np.diff(self.first))

    @cached_property
    def sizes(self) -> IntRow:
        """``(P,)`` bases of each piece."""
        return np.diff(self.start, append=len(self) * self.length)

    def given(self) -> tuple[IntRow, Codes]:
        """Bases that are not read from a contig: their indices in all bases, and their codes."""
        own = np.flatnonzero(self.source < 0)
        sizes, source = self.sizes[own], self.source[own]
        along = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(FIRST_CODE - source, sizes) + along
        codes = np.full(at.size, N, dtype=np.uint8)
        inside = np.repeat(source != OUTSIDE, sizes)
        codes[inside] = self.codes[at[inside]]
        return np.repeat(self.start[own], sizes) + along, codes

    @cached_property
    def keys(self) -> np.ndarray:
        """``(B, 16)`` uint8 hash of each window's pieces; windows with equal keys are equal."""
        keys = np.empty((len(self), 2), dtype=np.uint64)
        _hash(self.first, self.at, self.sizes, self.source, self.codes, keys)
        return keys.view(np.uint8)

    def unknown(self, genome: PackedGenome) -> BoolRow:
        """``(B,)`` whether a piece of a contig overlaps a run of N."""
        found = np.zeros(len(self), dtype=np.bool_)
        if not genome.n_start.size or not self.at.size:
            return found
        run = np.searchsorted(genome.n_end, self.source, side="right")
        start = genome.n_start[np.minimum(run, genome.n_start.size - 1)]
        inside = (self.source >= 0) & (run < genome.n_start.size)
        inside &= start < self.source + self.sizes
        return np.logical_or.reduceat(inside, self.first[:-1])

    def written(self, genome: PackedGenome) -> CodeBatch:
        """``(B, L)`` codes."""
        out = np.empty((len(self), self.length), dtype=np.uint8)
        _write(genome.arrays, self.first, self.at, self.source, self.codes, out)
        return out


@kernel
def _write(genome, first, at, source, codes, out):
    """Fill ``out`` ``(B, L)`` with the codes of all pieces."""
    bases, _, _, n_start, n_end = genome
    everything = 4 * bases.size
    for row in range(out.shape[0]):
        last = first[row + 1] - 1
        for piece in range(first[row], first[row + 1]):
            stop = out.shape[1] if piece == last else at[piece + 1]
            target = out[row, at[piece] : stop]
            origin = source[piece]
            if origin >= 0:
                read_interval(bases, np.int64(0), everything, n_start, n_end, origin, target)
            elif origin == OUTSIDE:
                fill_n(target, np.int64(0), target.size)
            else:
                start = FIRST_CODE - origin
                for i in range(target.size):
                    target[i] = codes[start + i]


@kernel
def _mixed(state, value):
    """Next state of a hash: the finaliser of SplitMix64 on their sum."""
    state = (state + np.uint64(value)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@kernel
def _hash(first, at, sizes, source, codes, keys):
    """Fill ``keys`` ``(B, 2)`` from the sizes and sources of pieces, and the codes of alleles."""
    for row in range(keys.shape[0]):
        for half in range(2):
            state = np.uint64(0x243F6A8885A308D3 if half else 0x13198A2E03707344)
            for piece in range(first[row], first[row + 1]):
                origin = source[piece]
                state = _mixed(state, sizes[piece])
                if origin > FIRST_CODE:
                    state = _mixed(state, 2 + origin)
                    continue
                state = _mixed(state, 0)
                start = FIRST_CODE - origin
                for code in codes[start : start + sizes[piece]]:
                    state = _mixed(state, code)
            keys[row, half] = state
