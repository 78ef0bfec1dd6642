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
from danq.inference.engine.overlapping_windows import OverlappingWindows
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


Windows = CodeBatch | OverlappingWindows | Positions
"""Windows of a chunk: ``(B, L)`` codes, or what they are cut from."""


class Chunk(NamedTuple):
    """Rows and their windows: codes, segments, or positions that `RowStream.load` cuts."""

    rows: Rows
    windows: Windows


@dataclass
class WindowTally:
    """Counts of padded and unknown windows, for the messages at the end."""

    rows: int = 0
    padded: int = 0
    unknown: int = 0

    def count(self, windows: CodeBatch | OverlappingWindows, padded: int) -> None:
        """Add a batch of windows, ``padded`` of which extend beyond an end."""
        if isinstance(windows, OverlappingWindows):
            unknown = windows.unknown()
        else:
            unknown = int((windows == 4).all(axis=1).sum())
        self.add(len(windows), padded, unknown)

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


def overlapping(
    read: Callable[[int, int], Codes], length: int, starts: IntRow, window: int
) -> OverlappingWindows:
    """Read windows of one sequence.

    Parameters
    ----------
    read
        Returns the codes of an interval inside the sequence, 0-based half-open.
    length
        Bases of the sequence.
    starts
        ``(B,)`` first positions, ascending; windows may extend beyond both ends, where their codes
        are 4. Windows that are near each other are read together.
    window
        Bases of a window.
    """
    breaks = np.flatnonzero(np.diff(starts) > window + FAR) + 1
    segments, first, size = [], np.empty(len(starts), np.int64), 0
    for part in np.split(np.arange(len(starts)), breaks):
        begin, end = int(starts[part[0]]), int(starts[part[-1]]) + window
        low, high = min(max(begin, 0), length), max(min(end, length), 0)
        segment = np.full(end - begin, 4, dtype=np.uint8)
        if low < high:
            segment[low - begin : high - begin] = read(low, high)
        first[part] = starts[part] - begin + size
        segments.append(segment)
        size += len(segment)
    codes = segments[0] if len(segments) == 1 else np.concatenate(segments)
    return OverlappingWindows(codes, first, window)


def beyond(starts: IntRow, window: int, length: int | IntRow) -> int:
    """Number of windows that extend beyond an end of a sequence of ``length`` bases."""
    return int(((starts < 0) | (starts + window > length)).sum())


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

    def load(self, windows: Windows) -> CodeBatch | OverlappingWindows | UInt8[Tensor, "B L"]:
        """Windows of a chunk for a model, in the thread in which it runs."""
        assert not isinstance(windows, Positions)
        return windows


class Chunker:
    """Join small batches into chunks of one size; only the last chunk is smaller."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._clear()

    def _clear(self) -> None:
        self._names: list[str] = []
        self._bounds: list[tuple[IntRow, IntRow]] = []
        self._windows: list[OverlappingWindows] = []

    def add(self, rows: Rows, windows: OverlappingWindows) -> Iterator[Chunk]:
        """Add a batch and yield the chunks that it completes."""
        at = 0
        while at < len(windows):
            part = slice(at, at + self.size - len(self._names))
            names = rows.names[part]
            self._windows.append(windows.rows(part))
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
        rows, windows = Rows(self._names, start, end), OverlappingWindows.joined(self._windows)
        self._clear()
        yield Chunk(rows, windows.cut_if_distant())
