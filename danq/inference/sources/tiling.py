"""Cut windows of DNA from sequences: one rule for FASTA, BED and tiled genomes.

A row is an interval of a sequence, 0-based half-open. Its window is centred on the row's
midpoint: it starts at ``(start + end) // 2 - window // 2``. Bases of a window beyond an end of
its sequence are unknown (code 4).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from danq.inference.engine.genome_windows import Positions
from danq.typing import CodeBatch, Codes, IntRow

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

log = logging.getLogger("danq")

FAR = 4096
"""Windows that are further apart than this many bases are read separately."""


class Rows(NamedTuple):
    """Rows of an output: ``(B,)`` sequence names and 0-based half-open intervals.

    ``labels`` are the names of the rows in the input, if the stream is `RowStream.labelled`.
    """

    names: list[str]
    start: IntRow
    end: IntRow
    labels: list[str | None] | None = None


Selection = Callable[[int], bool]
"""Whether the chunk of a number, from 0, is selected."""


def every_chunk(_: int) -> bool:
    """Select all chunks."""
    return True


def selected_rows(
    first: int, last: int, size: int, selected: Selection
) -> Iterator[tuple[int, int]]:
    """Parts of a range of rows that are in selected chunks, each within one chunk.

    Parameters
    ----------
    first, last
        First row, and the row after the last.
    size
        Rows of a chunk; the first chunk starts at row 0.
    selected
        Whether a chunk is selected.
    """
    while first < last:
        number = first // size
        end = min(last, (number + 1) * size)
        if selected(number):
            yield first, end
        first = end


class Chunk(NamedTuple):
    """Rows and the ``(B, L)`` codes of their windows, or where `RowStream.load` cuts them."""

    rows: Rows
    windows: CodeBatch | Positions


@dataclass
class WindowTally:
    """Counts of padded and unknown windows, for the messages at the end."""

    rows: int = 0
    padded: int = 0
    unknown: int = 0

    def count(self, codes: CodeBatch, padded: int) -> None:
        """Add a batch of windows, ``padded`` of which extend beyond an end."""
        self.add(len(codes), padded, int((codes == 4).all(axis=1).sum()))

    def add(self, rows: int, padded: int, unknown: int) -> None:
        """Add the counts of a batch."""
        self.rows += rows
        self.padded += padded
        self.unknown += unknown

    def report(self) -> None:
        """Log the counts that are not 0."""
        if self.padded:
            log.info(
                "windows that extend beyond an end of their sequence, padded with N: %s of %s",
                f"{self.padded:,}",
                f"{self.rows:,}",
            )
        if self.unknown:
            log.warning("windows without any known base: %s", f"{self.unknown:,}")


def tiles(start: int, end: int, step: int, size: int) -> Iterator[tuple[IntRow, IntRow]]:
    """Starts and ends of the tiles of a region, up to ``size`` tiles at a time.

    The last tile ends where the region ends.
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
        Returns the codes of an interval inside the sequence, 0-based half-open.
    length
        Bases of the sequence.
    starts
        ``(B,)`` first positions, ascending; windows may extend beyond both ends. Windows that
        are near each other are read together.
    window
        Bases of a window.

    Returns
    -------
    codes
        ``(B, window)`` uint8; 4 outside the sequence.
    padded
        Number of windows that extend beyond an end.
    """
    out = np.empty((len(starts), window), dtype=np.uint8)
    breaks = np.flatnonzero(np.diff(starts) > window + FAR) + 1
    for part in np.split(np.arange(len(starts)), breaks):
        first, last = int(starts[part[0]]), int(starts[part[-1]]) + window
        low, high = min(max(first, 0), length), max(min(last, length), 0)
        segment = np.full(last - first, 4, dtype=np.uint8)
        if low < high:
            segment[low - first : high - first] = read(low, high)
        views = np.lib.stride_tricks.sliding_window_view(segment, window)
        out[part[0] : part[-1] + 1] = views[starts[part] - first]
    return out, int(((starts < 0) | (starts + window > length)).sum())


class RowStream(ABC):
    """Rows to predict on, with their windows, read in chunks.

    Attributes
    ----------
    key
        Name of the column with sequence names: ``chrom`` or ``name``.
    window
        Bases of a window.
    contigs
        Lengths of the genome's contigs by name; None if the rows are not on a genome.
    total
        Number of rows; None if it is not known before the end.
    longest
        Bases of the longest row; None if it is not known before the end.
    labelled
        Whether rows have names in the input.
    """

    key: str
    window: int
    contigs: dict[str, int] | None = None
    total: int | None = None
    longest: int | None = None
    labelled: bool = False

    @abstractmethod
    def chunks(self, size: int, selected: Selection = every_chunk) -> Iterator[Chunk]:
        """Yield rows with their windows, in any thread.

        Parameters
        ----------
        size
            Rows of a chunk; only the last chunk of the stream is smaller.
        selected
            Whether a chunk is made. No window of another chunk is cut.

        Raises
        ------
        InputError
            As the readers of the files do.
        """

    def load(self, windows: CodeBatch | Positions) -> CodeBatch | UInt8[Tensor, "B L"]:
        """Codes of the windows of a chunk, in the thread in which the model runs."""
        assert isinstance(windows, np.ndarray)
        return windows


class Chunker:
    """Join small batches into chunks of one size; only the last chunk is smaller."""

    def __init__(self, size: int, window: int) -> None:
        self.size, self.window = size, window
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._bounds: list[tuple[IntRow, IntRow]] = []
        self._codes = np.empty((self.size, self.window), dtype=np.uint8)

    def add(self, rows: Rows, codes: CodeBatch) -> Iterator[Chunk]:
        """Add a batch and yield the chunks that it completes."""
        at = 0
        while at < len(codes):
            have = len(self._names)
            part = slice(at, at + self.size - have)
            names = rows.names[part]
            self._codes[have : have + len(names)] = codes[part]
            self._names += names
            self._bounds.append((rows.start[part], rows.end[part]))
            at += len(names)
            if len(self._names) == self.size:
                yield from self.flush()

    def flush(self) -> Iterator[Chunk]:
        """Yield the rows that are left, if any."""
        if not self._names:
            return
        start, end = (np.concatenate(part) for part in zip(*self._bounds, strict=True))
        codes = self._codes[: len(self._names)]
        rows = Rows(self._names, start, end)
        self._clear()
        yield Chunk(rows, codes)
