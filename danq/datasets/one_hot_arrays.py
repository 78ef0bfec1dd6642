"""Find the arrays of one-hot sequences and labels in a file, and pack their rows in blocks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from danq.datasets.array_files import Array
from danq.datasets.pack_one_hot import first_bad_base, not_one_hot, pack_labels, pack_slab
from danq.errors import InputError
from danq.typing import Codes, IntRow, LabelBatch

ROWS = 1 << 14
"""Rows of a block, rounded to the chunks of the file."""

MOST_ROWS = 1 << 18
SLAB = 1 << 26
"""Bytes read at once, rounded to the chunks of the file."""

CHANNELS = "ACGT"
DEEPSEA_CHANNELS = "AGCT"
_DEEPSEA = re.compile(r"(train|valid|test)x?data")

Watch = Callable[[int], None]


@dataclass(frozen=True)
class Sequences:
    """An array of one-hot sequences.

    Attributes
    ----------
    array
        ``(L, 4, n)`` if rows are the last axis, else ``(n, 4, L)`` or ``(n, L, 4)``.
    rows_last, channels_last
        Whether rows or channels are the last axis.
    order
        Order of the channels, such as ``"AGCT"``.
    """

    array: Array
    rows_last: bool
    channels_last: bool
    order: str

    @property
    def rows(self) -> int:
        """Number of sequences."""
        return self.array.shape[-1 if self.rows_last else 0]

    @property
    def length(self) -> int:
        """Bases ``L`` of every sequence."""
        return self.array.shape[0 if self.rows_last else 1 if self.channels_last else 2]

    @property
    def slot(self) -> int:
        """Number of bytes of a packed sequence."""
        return (self.length + 3) // 4

    def pack(
        self, first: int, last: int, bases: Codes, watch: Watch | None = None
    ) -> tuple[IntRow, IntRow]:
        """Read rows ``first`` to ``last`` and pack them.

        Parameters
        ----------
        first, last
            A block of `blocks`; blocks are read in order.
        bases
            ``(last - first, slot)`` uint8 to write to.
        watch
            Called with the bytes of each slab that was read.

        Returns
        -------
        row, position
            Row and position of each N, in order; row ``first`` is 0.

        Raises
        ------
        InputError
            When a base is not one-hot, or the file is damaged.
        """
        found: list[tuple[IntRow, IntRow]] = []
        for at, slab in slabs(self.array, self.rows_last, first, last, 4):
            turned = slab.transpose(0, 2, 1) if self.channels_last else slab
            unknown = pack_slab(turned, self.rows_last, self.order, at, bases)
            if unknown is None:
                row, position, values = first_bad_base(turned, self.rows_last)
                raise not_one_hot(self.array, first + row, at + position, values)
            found.append(unknown)
            if watch is not None:
                watch(slab.nbytes)
        row, position = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.lexsort((position, row))
        return row[order], position[order]


@dataclass(frozen=True)
class Labels:
    """An array of labels: ``(K, n)`` if rows are the last axis, else ``(n, K)``."""

    array: Array
    rows_last: bool

    @property
    def rows(self) -> int:
        """Number of windows."""
        return self.array.shape[-1 if self.rows_last else 0]

    @property
    def tracks(self) -> int:
        """Number of tracks ``K``."""
        return self.array.shape[0 if self.rows_last else 1]

    def pack(self, first: int, last: int, packed: LabelBatch, watch: Watch | None = None) -> None:
        """Read rows ``first`` to ``last`` into ``(last - first, ceil(K / 8))`` uint8.

        Raises
        ------
        InputError
            When a label is neither 0 nor 1, or the file is damaged.
        """
        for at, slab in slabs(self.array, self.rows_last, first, last, 8):
            if not pack_labels(slab, self.rows_last, at, packed):
                bad = np.argwhere(
                    ((slab != 0) & (slab != 1)).T if self.rows_last else (slab != 0) & (slab != 1)
                )[0]
                value = slab[tuple(bad[::-1])] if self.rows_last else slab[tuple(bad)]
                raise InputError(
                    f"label {value:g} in '{self.array.name}', of sequence {first + bad[0] + 1:,} "
                    f"and track {at + bad[1] + 1:,}, is neither 0 nor 1",
                    file=self.array.path,
                )
            if watch is not None:
                watch(slab.nbytes)


def slabs(
    array: Array, rows_last: bool, first: int, last: int, multiple: int
) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of a block in slabs of about `SLAB` bytes, and the start of each slab.

    If rows are the last axis, a slab holds all rows of the block and a range of the slowest axis
    that starts at a multiple of ``multiple``. Otherwise it is the whole block.
    """
    if not rows_last:
        yield 0, array.read(slice(first, last))
        return
    part = slice(first, last) if array.random_access else None
    line = math.prod(array.shape[1:-1]) * (last - first) * array.itemsize
    least = math.lcm(multiple, array.chunk[0])
    step = max(1, SLAB // max(1, line) // least) * least
    for at in range(0, array.shape[0], step):
        yield at, array.read(slice(at, min(at + step, array.shape[0])), part)


def blocks(*parts: Sequences | Labels) -> Iterator[tuple[int, int]]:
    """Ranges of rows to read at once: first row, and the row after the last."""
    rows = parts[0].rows
    step = ROWS
    if any(part.rows_last and not part.array.random_access for part in parts):
        step = max(1, rows)
    else:
        chunks = [part.array.chunk[-1 if part.rows_last else 0] for part in parts]
        least = math.lcm(*chunks)
        least = max(chunks) if least > MOST_ROWS else least
        wide = max(part.array.itemsize * math.prod(part.array.shape) // rows for part in parts)
        usual = ROWS if parts[0].rows_last else min(ROWS, max(1, SLAB // wide))
        step = max(1, usual // least) * least
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


def find_pairs(
    arrays: Mapping[str, Array], path: Path, channels: str | None
) -> list[tuple[str | None, Sequences, Labels]]:
    """Find the sequences and labels in a file, and their split if the names define it.

    Parameters
    ----------
    arrays
        Arrays of the file.
    path
        The file.
    channels
        Order of the channels; None means DeepSEA's for arrays with its names.

    Raises
    ------
    InputError
        When there is no pair or more than one, the shapes do not match, or the order of the
        channels is not known.
    """
    found: list[tuple[str | None, Sequences, Labels]] = []
    for split in ("train", "valid", "test"):
        x, y = arrays.get(f"{split}xdata"), arrays.get(f"{split}data")
        if x is not None and y is not None:
            found.append((split, *_pair(x, y, channels)))
    if found:
        return found
    xs = [array for array in arrays.values() if len(array.shape) == 3]
    ys = [array for array in arrays.values() if len(array.shape) == 2]
    if len(xs) != 1 or len(ys) != 1 or any(map(_DEEPSEA.fullmatch, (xs[0].name, ys[0].name))):
        raise InputError(
            f"has no pair of sequences and labels: {listed(arrays)}",
            file=path,
            remedy="Use the names of DeepSEA, trainxdata and traindata (valid, test), or one array "
            "with three axes and one with two",
        )
    return [(None, *_pair(xs[0], ys[0], channels))]


def find_sequences(
    arrays: Mapping[str, Array], path: Path, window: int, channels: str | None
) -> Sequences:
    """The sequences of a file that are ``window`` bases long; labels need not be there.

    Raises
    ------
    InputError
        When there are none or several, or the order of the channels is not known.
    """
    named = [
        arrays[f"{split}xdata"] for split in ("test", "valid", "train") if f"{split}xdata" in arrays
    ]
    xs = named or [array for array in arrays.values() if len(array.shape) == 3]
    if len(xs) != 1:
        raise InputError(
            f"not one array of sequences but {len(xs)}: {listed(arrays)}",
            file=path,
            remedy="Give a file with one, such as testxdata (n, 4, L)",
        )
    shape = xs[0].shape
    last = len(shape) == 3 and shape[1] == 4 and shape[0] == window
    if last and shape[2] == window:
        last = xs[0].matlab
    found = _sequences(xs[0], last, channels)
    if found.length != window:
        raise InputError(
            f"'{xs[0].name}' has shape {shape}, no sequences of the model's {window:,} bases",
            file=path,
        )
    if not found.rows:
        raise InputError(f"'{xs[0].name}' has no sequences", file=path, remedy="Check the array")
    return found


def _pair(x: Array, y: Array, channels: str | None) -> tuple[Sequences, Labels]:
    if len(x.shape) != 3 or len(y.shape) != 2:
        raise _misfit(x, y, "sequences have three axes and labels two")
    likely = [(False, False), (True, True), (True, False), (False, True)]
    if x.matlab:
        likely = [(True, True), *likely]
    pairs = [
        (_sequences(x, x_last, channels), Labels(y, y_last))
        for x_last, y_last in likely
        if x.shape[1] == 4 or not x_last
    ]
    sequences, labels = next((pair for pair in pairs if pair[0].rows == pair[1].rows), pairs[0])
    if sequences.rows != labels.rows:
        raise _misfit(x, y, "their numbers of rows differ")
    if not sequences.rows or not sequences.length or not labels.tracks:
        raise _misfit(x, y, "they are empty")
    return sequences, labels


def _sequences(x: Array, rows_last: bool, channels: str | None) -> Sequences:
    if len(x.shape) != 3 or 4 not in x.shape[1:]:
        raise InputError(
            f"'{x.name}' has shape {x.shape}, without an axis of four channels",
            file=x.path,
            remedy="Sequences are (n, 4, L), (n, L, 4), or (L, 4, n) for MATLAB",
        )
    if channels is None:
        if _DEEPSEA.fullmatch(x.name) is None:
            raise InputError(
                f"the order of the channels of '{x.name}' is not known",
                file=x.path,
                remedy="Give it as channels, such as ACGT",
            )
        channels = DEEPSEA_CHANNELS
    return Sequences(x, rows_last, x.shape[1] != 4, channels)


def _misfit(x: Array, y: Array, problem: str) -> InputError:
    return InputError(
        f"{x} and {y} do not match: {problem}",
        file=x.path,
        remedy="Give sequences, and the labels of the same sequences",
    )


def listed(arrays: Mapping[str, Array]) -> str:
    """Names and shapes of arrays for an error."""
    few = ", ".join(str(array) for array in list(arrays.values())[:8])
    return f"the file has {few or 'no numeric arrays'}"


def check_channels(channels: str | None) -> str | None:
    """The order of channels in upper case.

    Raises
    ------
    InputError
        When it is not a permutation of A, C, G and T.
    """
    if channels is None:
        return None
    if sorted(channels.upper()) != list(CHANNELS):
        raise InputError(
            f"'{channels}' is not an order of channels", remedy="Use each of A, C, G, T once"
        )
    return channels.upper()
