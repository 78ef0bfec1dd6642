"""A genome in memory at two bits per base, and its windows as codes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from danq.errors import InputError
from danq.genome.regions import check_interval
from danq.genome.two_bit_packing import PackedArrays, pack, read_windows
from danq.progress import counted
from danq.typing import BoolRow, Codes, IntRow


@dataclass(frozen=True, eq=False)
class PackedGenome:
    """Every contig of a genome at two bits per base, plus the runs of N.

    Attributes
    ----------
    names
        Contig names, in the order of their file.
    lengths
        ``(C,)`` bases of each contig.
    bases
        Base ``i`` of a contig is stored in bits ``2 * (i % 4)`` and ``2 * (i % 4) + 1`` of byte
        ``offset + i // 4``; each contig starts at a new byte. A is 0, C 1, G 2, T 3; N is
        stored as 0 and is inside a run.
    offsets
        ``(C,)`` byte at which each contig starts.
    n_start, n_end
        ``(R,)`` runs of N, 0-based half-open, sorted, in global coordinates:
        ``4 * offset + position``. A run never extends from one contig into the next.

    Raises
    ------
    InputError
        When the arrays contradict each other, so that reading a window could leave the array of
        bases.
    """

    names: tuple[str, ...]
    lengths: IntRow
    bases: Codes
    offsets: IntRow
    n_start: IntRow
    n_end: IntRow

    def __post_init__(self) -> None:
        for name in ("lengths", "offsets", "n_start", "n_end"):
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != np.int64:
                raise InputError(f"{name} of a genome is {array.dtype} {array.shape}, not int64")
        if self.bases.ndim != 1 or self.bases.dtype != np.uint8:
            raise InputError(f"bases are {self.bases.dtype} {self.bases.shape}, not (n,) uint8")
        if not len(self.names) == self.lengths.size == self.offsets.size:
            raise InputError("the numbers of names, lengths and offsets of contigs differ")
        if self.n_start.size != self.n_end.size:
            raise InputError("the numbers of starts and ends of runs of N differ")
        self._check_contigs()
        self._check_runs()

    def _check_contigs(self) -> None:
        size = self.bases.size
        # Limits first, so that sums cannot overflow.
        fits = (self.lengths >= 0) & (self.lengths <= 4 * size)
        fits &= (self.offsets >= 0) & (self.offsets <= size)
        ends = np.where(fits, self.offsets + (self.lengths + 3) // 4, size + 1)
        bad = np.flatnonzero(ends > np.append(self.offsets[1:], size))
        if bad.size:
            raise InputError(
                f"{self.lengths[bad[0]]:,} bases from byte {self.offsets[bad[0]]:,} overlap the "
                f"next contig or are outside the {size:,} bytes of the genome",
                record=self.names[bad[0]],
            )

    def _check_runs(self) -> None:
        if not self.n_start.size:
            return
        if not self.lengths.size:
            raise InputError("there are runs of N, but no contigs")
        contig = np.searchsorted(4 * self.offsets, self.n_start, side="right") - 1
        ends = np.where(contig >= 0, 4 * self.offsets[contig] + self.lengths[contig], -1)
        bad = (self.n_start >= self.n_end) | (self.n_end > ends)
        bad[1:] |= self.n_start[1:] < self.n_end[:-1]
        if bad.any():
            at = int(bad.argmax())
            raise InputError(
                f"the run of N from {self.n_start[at]:,} to {self.n_end[at]:,} is empty, not in "
                "order, or not inside a contig"
            )

    @classmethod
    def from_contigs(cls, contigs: Iterable[tuple[str, Codes]]) -> PackedGenome:
        """Pack contigs in order, with one of them unpacked at a time.

        Parameters
        ----------
        contigs
            Pairs of a name and its ``(L,)`` uint8 codes (A 0, C 1, G 2, T 3, N 4).

        Raises
        ------
        InputError
            When a name repeats, or a code is above 4.
        """
        buffer = bytearray()
        names: dict[str, int] = {}
        offsets: list[int] = []
        runs: list[tuple[IntRow, IntRow]] = []
        for name, codes in counted(contigs, "reading the genome", "contigs"):
            if name in names:
                raise InputError("an earlier contig has the same name", record=name)
            offset = len(buffer)
            packed, start, end = pack(codes, record=name)
            buffer += packed.data
            names[name] = codes.size
            offsets.append(offset)
            runs.append((start + 4 * offset, end + 4 * offset))
        empty = np.zeros(0, dtype=np.int64)
        return cls(
            names=tuple(names),
            lengths=np.array(list(names.values()), dtype=np.int64),
            bases=np.frombuffer(buffer, dtype=np.uint8),
            offsets=np.array(offsets, dtype=np.int64),
            n_start=np.concatenate([empty, *(start for start, _ in runs)]),
            n_end=np.concatenate([empty, *(end for _, end in runs)]),
        )

    @cached_property
    def contigs(self) -> dict[str, int]:
        """Length of each contig in bases, by name, in the order of the file."""
        return dict(zip(self.names, self.lengths.tolist(), strict=True))

    @cached_property
    def arrays(self) -> PackedArrays:
        """The arrays, as the kernels take them."""
        return PackedArrays(self.bases, self.offsets, self.lengths, self.n_start, self.n_end)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each contig (its index in ``names``), by name."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def sha256(self) -> str:
        """SHA-256 in hexadecimal over names, lengths, bases and runs."""
        sha = hashlib.sha256("\n".join(self.names).encode())
        for array, dtype in (
            (self.lengths, "<i8"),
            (self.bases, "u1"),
            (self.n_start, "<i8"),
            (self.n_end, "<i8"),
        ):
            sha.update(b"\0" + str(array.size).encode() + b"\0")
            sha.update(np.ascontiguousarray(array, dtype=dtype).data)
        return sha.hexdigest()

    def windows(
        self,
        contig: IntRow,
        start: IntRow,
        length: int,
        reverse: BoolRow | None = None,
        out: Codes | None = None,
    ) -> Codes:
        """Codes of windows of one length.

        Parameters
        ----------
        contig
            ``(B,)`` contig numbers, indices in ``names``.
        start
            ``(B,)`` 0-based first position of each window on its contig; a window may
            extend past either end of the contig or be outside it.
        length
            Bases ``L`` of every window.
        reverse
            ``(B,)`` True where the window is reverse-complemented. None returns the forward
            strand of all windows.
        out
            ``(B, L)`` uint8, C-contiguous, to write to; None makes a new array.

        Returns
        -------
        Codes
            ``(B, L)`` uint8; 4 where a base is N or outside its contig.

        Raises
        ------
        InputError
            When a contig number is out of range, or an array has another shape.
        """
        rows, starts = self._rows(contig, start)
        if length < 0:
            raise InputError(f"a window of {length} bases is below 0")
        if reverse is None:
            flips = np.zeros(rows.size, dtype=np.bool_)
        else:
            flips = np.ascontiguousarray(reverse, dtype=np.bool_)
            if flips.shape != rows.shape:
                raise InputError(f"reverse has shape {flips.shape}, contig has {rows.shape}")
        if out is None:
            out = np.empty((rows.size, length), dtype=np.uint8)
        elif (
            out.shape != (rows.size, length) or out.dtype != np.uint8 or not out.flags.c_contiguous
        ):
            raise InputError(
                f"out is {out.dtype} of shape {out.shape}, "
                f"not C-contiguous uint8 of shape {(rows.size, length)}"
            )
        read_windows(self.arrays, rows, starts, flips, out)
        return out

    def unknown(self, contig: IntRow, start: IntRow, length: int) -> IntRow:
        """Count bases of windows that are N or outside their contig.

        Parameters
        ----------
        contig, start, length
            As in :meth:`windows`.

        Returns
        -------
        IntRow
            ``(B,)`` int64, from 0 to ``length``.

        Raises
        ------
        InputError
            When a contig number is out of range.
        """
        rows, starts = self._rows(contig, start)
        low = np.clip(starts, 0, self.lengths[rows])
        high = np.clip(starts + length, 0, self.lengths[rows])
        base = 4 * self.offsets[rows]
        return length - (high - low) + self._before(base + high) - self._before(base + low)

    def codes(self, name: str, start: int = 0, end: int | None = None) -> Codes:
        """Codes of an interval of a contig, 0-based half-open.

        Parameters
        ----------
        name
            Contig name.
        start, end
            Interval; an ``end`` of None is the contig's end.

        Returns
        -------
        Codes
            ``(end - start,)`` uint8.

        Raises
        ------
        InputError
            When the genome has no such contig or the interval is not inside it.
        """
        check_interval(self.contigs, name, start, end)
        stop = self.contigs[name] if end is None else end
        number = np.array([self.numbers[name]])
        return self.windows(number, np.array([start]), stop - start)[0]

    def _rows(self, contig: IntRow, start: IntRow) -> tuple[IntRow, IntRow]:
        rows = np.ascontiguousarray(contig, dtype=np.int64)
        starts = np.ascontiguousarray(start, dtype=np.int64)
        if rows.ndim != 1 or rows.shape != starts.shape:
            raise InputError(f"contig has shape {rows.shape}, start has {starts.shape}")
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.names)):
            bad = rows[(rows < 0) | (rows >= len(self.names))][0]
            raise InputError(f"contig number {bad} is outside 0 to {len(self.names) - 1}")
        return rows, starts

    @cached_property
    def _run_total(self) -> IntRow:
        return np.concatenate([[0], np.cumsum(self.n_end - self.n_start)])

    def _before(self, position: IntRow) -> IntRow:
        """Number of N below each global position."""
        if self.n_start.size == 0:
            return np.zeros_like(position)
        run = np.searchsorted(self.n_start, position, side="right")
        last = np.maximum(run - 1, 0)
        overhang = np.where(run > 0, np.maximum(self.n_end[last] - position, 0), 0)
        return self._run_total[run] - overhang
