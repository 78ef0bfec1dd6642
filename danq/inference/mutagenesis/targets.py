"""Which bases are to be changed, and in which window each of them is judged.

A sequence no longer than the model's window is judged in one window, centred on it. A longer one
is cut into tiles of the model's bin, as `danq.predict` cuts it, and each base is judged in the
window that is centred on its tile: the prediction speaks of the bin that holds the base.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import N
from danq.inference.sources import Records, Regions, source_from_options
from danq.inference.sources.tiling import cut, tiles, window_starts
from danq.typing import Codes, Location

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Stretch:
    """Bases that are to be changed, each for itself.

    Attributes
    ----------
    name
        Contig or record.
    start, end
        0-based half-open, inside the contig or record.
    length
        Bases of the contig or record.
    read
        Codes of a part of the contig or record, 0-based half-open.
    """

    name: str
    start: int
    end: int
    length: int
    read: Callable[[int, int], Codes]

    @property
    def size(self) -> int:
        """Bases to change."""
        return self.end - self.start

    @property
    def words(self) -> str:
        """The stretch as a person writes it: 1-based, closed."""
        return f"{self.name}:{self.start + 1}-{self.end}"


@dataclass(frozen=True)
class JudgedWindow:
    """One window and the bases in it that are to be changed.

    Attributes
    ----------
    stretch
        Where it lies.
    codes
        ``(L,)`` codes of the window; 4 outside the contig or record.
    first
        Position of the window's first base on the contig or record; may be negative.
    low, high
        Bases to change, counted from the window's first one, half-open.
    """

    stretch: Stretch
    codes: Codes
    first: int
    low: int
    high: int


def judged_windows(stretch: Stretch, window: int, step: int) -> Iterator[JudgedWindow]:
    """Windows in which the bases of a stretch are judged, in order.

    Parameters
    ----------
    stretch
        Bases to change.
    window
        Bases of the model's window.
    step
        Bases of a tile, where the stretch is longer than the window: the model's bin.
    """
    width = stretch.size if stretch.size <= window else step
    for start, end in tiles(stretch.start, stretch.end, width, 64):
        firsts = window_starts(start, end, window)
        codes, _ = cut(stretch.read, stretch.length, firsts, window)
        for row, first in enumerate(firsts.tolist()):
            yield JudgedWindow(
                stretch, codes[row], first, int(start[row]) - first, int(end[row]) - first
            )


def stretch_of(codes: Codes, name: str = "sequence") -> Stretch:
    """The whole of a sequence by itself; around it everything is unknown."""
    return Stretch(name, 0, len(codes), len(codes), lambda low, high: codes[low:high])


@dataclass(frozen=True)
class Selection:
    """What to change.

    Attributes
    ----------
    input
        FASTA, whose records are changed whole, or BED, whose rows are regions of ``genome``.
    region
        In place of ``input``: ``chr:start-end`` (1-based, closed) of ``genome``, or ``chr``.
    genome
        FASTA of the genome.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    """

    input: Location | None = None
    region: str | None = None
    genome: Location | None = None
    chrom_map: Location | None = None

    @property
    def key(self) -> str:
        """Heading of the column with sequence names."""
        return "chrom" if self.genome is not None else "name"

    def provenance(self) -> dict[str, str]:
        """The selection in words, for the head of an output."""
        parts = {
            "input": self.input,
            "region": self.region,
            "genome": self.genome,
            "chrom map": self.chrom_map,
        }
        return {name: str(value) for name, value in parts.items() if value is not None}


@contextmanager
def open_stretches(selection: Selection, window: int) -> Iterator[list[Stretch]]:
    """Stretches that are selected; bases of a genome are read when they are wanted.

    Raises
    ------
    InputError
        When the parts of the selection do not go together, a region or BED row leaves its
        contig, or as the readers of the files do.
    """
    source = source_from_options(
        selection.input, selection.genome, region=selection.region, chrom_map=selection.chrom_map
    )
    if isinstance(source, Records):
        yield [stretch_of(codes, name) for name, codes in source.records()]
        return
    if not isinstance(source, Regions):
        raise InputError("one-hot arrays cannot be changed", file=selection.input)
    with Genome(source.genome) as genome:
        table = source.table(genome)
        columns = (table[name].to_list() for name in ("contig", "start", "end"))
        yield [_on(genome, *place) for place in zip(*columns, strict=True)]


def _on(genome: Genome, name: str, start: int, end: int) -> Stretch:
    def read(low: int, high: int) -> Codes:
        return genome.codes(name, low, high)

    return Stretch(name, start, end, genome.contigs[name], read)


@dataclass
class SequenceTally:
    """What happened to the sequences on their way, for notices at the end."""

    sequences: int = 0
    bases: int = 0
    unknown: int = 0
    tiled: int = 0
    padded: int = 0

    def count(self, judged: JudgedWindow) -> None:
        """Add a window."""
        window = len(judged.codes)
        first = judged.first + judged.low == judged.stretch.start
        self.sequences += first
        self.tiled += first and judged.stretch.size > window
        self.bases += judged.high - judged.low
        self.unknown += int((judged.codes[judged.low : judged.high] == N).sum())
        self.padded += judged.first < 0 or judged.first + window > judged.stretch.length

    def report(self, window: int, step: int) -> None:
        """Say what was not the usual."""
        if self.tiled:
            log.info(
                f"sequences longer than the window of {window:,} bases: {self.tiled:,}; each base "
                f"is changed in the window around the {step}-base tile that holds it"
            )
        if self.padded:
            log.info(f"windows that hang over an end of their sequence, padded: {self.padded:,}")
        if self.unknown == self.bases:
            log.warning("no base is known, so there was nothing to change")
        elif self.unknown:
            log.info(f"unknown bases, without effects: {self.unknown:,} of {self.bases:,}")
