"""Rows of an output to windows of DNA: one rule for FASTA, BED and tiled genomes.

A row is a stretch of a sequence, 0-based half-open. Its window is centred on the row's
midpoint: it starts at ``(start + end) // 2 - window // 2``. Where a window hangs over an
end of its sequence, the missing bases are unknown (code 4).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from danq.typing import CodeBatch, Codes, IntRow

log = logging.getLogger("danq")

FAR = 4096
"""Bases between two windows above which they are read apart."""


class Rows(NamedTuple):
    """Rows of an output: ``(B,)`` sequence names and 0-based half-open stretches.

    ``labels`` are what the input calls its rows, where the source is `Source.labelled`.
    """

    names: list[str]
    start: IntRow
    end: IntRow
    labels: list[str | None] | None = None


class Chunk(NamedTuple):
    """Rows and the ``(B, L)`` codes of their windows."""

    rows: Rows
    codes: CodeBatch


@dataclass
class WindowTally:
    """What happened to the windows on their way, for a notice at the end."""

    rows: int = 0
    padded: int = 0
    unknown: int = 0

    def count(self, codes: CodeBatch, padded: int) -> None:
        """Add a batch of windows, ``padded`` of which hang over an end."""
        self.rows += len(codes)
        self.padded += padded
        self.unknown += int((codes == 4).all(axis=1).sum())


def tiles(start: int, end: int, step: int, size: int) -> Iterator[tuple[IntRow, IntRow]]:
    """Starts and ends of the tiles of a stretch, up to ``size`` tiles at a time.

    The last tile ends where the stretch does.
    """
    for low in range(start, end, step * size):
        starts = np.arange(low, min(low + step * size, end), step, dtype=np.int64)
        yield starts, np.minimum(starts + step, end)


def window_starts(start: IntRow, end: IntRow, window: int) -> IntRow:
    """First position of the window that is centred on each row; may be negative."""
    return (start + end) // 2 - window // 2


def cut(
    read: Callable[[int, int], Codes], length: int, starts: IntRow, window: int
) -> tuple[CodeBatch, int]:
    """Read windows of one sequence.

    Parameters
    ----------
    read
        Gives the codes of a stretch inside the sequence, 0-based half-open.
    length
        Bases of the sequence.
    starts
        ``(B,)`` first positions, ascending; windows may hang over both ends. Windows that lie
        near each other are read at once.
    window
        Bases of a window.

    Returns
    -------
    codes
        ``(B, window)`` uint8; 4 outside the sequence.
    padded
        How many windows hang over an end.
    """
    out = np.empty((len(starts), window), dtype=np.uint8)
    breaks = np.flatnonzero(np.diff(starts) > window + FAR) + 1
    for part in np.split(np.arange(len(starts)), breaks):
        first, last = int(starts[part[0]]), int(starts[part[-1]]) + window
        low, high = min(max(first, 0), length), max(min(last, length), 0)
        stretch = np.full(last - first, 4, dtype=np.uint8)
        if low < high:
            stretch[low - first : high - first] = read(low, high)
        views = np.lib.stride_tricks.sliding_window_view(stretch, window)
        out[part[0] : part[-1] + 1] = views[starts[part] - first]
    return out, int(((starts < 0) | (starts + window > length)).sum())


class Source(ABC):
    """Rows to predict on and their windows, streamed.

    Attributes
    ----------
    key
        Heading of the column with sequence names: ``chrom`` or ``name``.
    window
        Bases of a window.
    contigs
        Lengths of the genome's contigs by name; None where the input is loose records.
    total
        Number of rows; None where only the end of the file tells.
    labelled
        Whether rows have names of their own.
    """

    key: str
    window: int
    contigs: dict[str, int] | None = None
    total: int | None = None
    labelled: bool = False

    @abstractmethod
    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield rows with their windows, up to ``size`` at a time.

        Raises
        ------
        InputError
            As the readers of the files do.
        """

    def report(self, tally: WindowTally) -> None:
        if tally.padded:
            log.info(
                "windows that hang over an end of their sequence, padded with N: %s of %s",
                f"{tally.padded:,}",
                f"{tally.rows:,}",
            )
        if tally.unknown:
            log.warning("windows without any known base: %s", f"{tally.unknown:,}")


class Gather:
    """Put small pieces together to chunks of one size; only the last is smaller."""

    def __init__(self, size: int, window: int) -> None:
        self.size, self.window = size, window
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._bounds: list[tuple[IntRow, IntRow]] = []
        self._codes = np.empty((self.size, self.window), dtype=np.uint8)

    def add(self, rows: Rows, codes: CodeBatch) -> Iterator[Chunk]:
        """Take a piece and give the chunks that it fills."""
        at = 0
        while at < len(codes):
            have = len(self._names)
            take = slice(at, at + self.size - have)
            names = rows.names[take]
            self._codes[have : have + len(names)] = codes[take]
            self._names += names
            self._bounds.append((rows.start[take], rows.end[take]))
            at += len(names)
            if len(self._names) == self.size:
                yield from self.rest()

    def rest(self) -> Iterator[Chunk]:
        """Give what is left."""
        if not self._names:
            return
        start, end = (np.concatenate(part) for part in zip(*self._bounds, strict=True))
        codes = self._codes[: len(self._names)]
        rows = Rows(self._names, start, end)
        self._clear()
        yield Chunk(rows, codes)
