"""Bases to mutate, and the window in which each of them is scored.

A sequence no longer than the model's window is scored in one window centred on it. A longer one is
split into tiles of the model's bin, as `danq.predict` does, and each base is scored in the window
centred on its tile: the prediction is for the bin that holds the base. A tiled genome is split into
tiles also where a contig or region is no longer than the window.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import N
from danq.inference.sources import Records, Regions, Source, Tiles
from danq.inference.sources.region_table import find_regions
from danq.inference.sources.tiling import overlapping, window_starts
from danq.typing import Codes

log = logging.getLogger("danq")


@dataclass(frozen=True)
class Target:
    """A sequence or region in which every base is mutated, one at a time.

    Attributes
    ----------
    name
        Contig or record.
    start, end
        0-based, half-open, inside the contig or record.
    length
        Bases of the contig or record.
    read
        Returns the codes of an interval of the contig or record, 0-based, half-open.
    tile
        Bases of a tile of a tiled genome; None: the model's bin, if the target is longer than the
        window.
    """

    name: str
    start: int
    end: int
    length: int
    read: Callable[[int, int], Codes]
    tile: int | None = None

    @property
    def size(self) -> int:
        """Bases to mutate."""
        return self.end - self.start

    @property
    def text(self) -> str:
        """The region in samtools notation, 1-based and closed."""
        return f"{self.name}:{self.start + 1}-{self.end}"


@dataclass(frozen=True)
class TargetWindow:
    """One window, and the bases in it that are mutated.

    Attributes
    ----------
    target
        The target that the bases belong to.
    codes
        ``(L,)`` codes of the window; N outside the contig or record.
    first
        Position of the window's first base on the contig or record; may be negative.
    low, high
        Bases to mutate, relative to the window's first base, half-open.
    """

    target: Target
    codes: Codes
    first: int
    low: int
    high: int

    @property
    def known(self) -> bool:
        """Whether a base to mutate is known."""
        return bool((self.codes[self.low : self.high] != N).any())


class Span(NamedTuple):
    """Bases of a target that are scored in one window: 0-based, half-open."""

    target: Target
    start: int
    end: int

    @property
    def bases(self) -> int:
        """Bases to mutate."""
        return self.end - self.start


def target_spans(target: Target, window: int, step: int) -> Iterator[Span]:
    """The bases of a target that are scored together, in order.

    Parameters
    ----------
    target
        Bases to mutate.
    window
        Window length of the model in bases.
    step
        Tile size for a target longer than the window: the model's bin.
    """
    width = target.tile or (target.size if target.size <= window else step)
    for start in range(target.start, target.end, width):
        yield Span(target, start, min(start + width, target.end))


def read_windows(spans: Sequence[Span], window: int) -> list[TargetWindow]:
    """The windows that are centred on some bases; neighbours are read together."""
    found = []
    for _, group in groupby(spans, lambda span: id(span.target)):
        some = list(group)
        target = some[0].target
        start, end = (np.array(part) for part in zip(*((s, e) for _, s, e in some), strict=True))
        firsts = window_starts(start, end, window)
        codes = overlapping(target.read, target.length, firsts, window).cut()
        found += [
            TargetWindow(target, own, first, span.start - first, span.end - first)
            for span, own, first in zip(some, codes, firsts.tolist(), strict=True)
        ]
    return found


@contextmanager
def open_targets(source: Source, window: int, step: int) -> Iterator[list[Target]]:
    """The targets of a source; bases of a genome are read on demand.

    Parameters
    ----------
    source
        Sequences, regions or a tiled genome.
    window, step
        Window and bin of the model in bases.

    Raises
    ------
    InputError
        When the source is something else; when tiles are empty or longer than the window; or as
        the readers of the files.
    """
    if isinstance(source, Records):
        yield [_whole(codes, name) for name, codes in source.records()]
    elif isinstance(source, Regions):
        with Genome(source.genome) as genome:
            table = source.table(genome)
            columns = (table[name].to_list() for name in ("contig", "start", "end"))
            regions = [_on_genome(genome, *region) for region in zip(*columns, strict=True)]
            _report_overlaps(regions)
            yield regions
    elif isinstance(source, Tiles):
        tile = tile_size(source, window, step)
        with Genome(source.genome) as genome:
            contigs = [(name, 0, length) for name, length in genome.contigs.items()]
            if source.region is not None:
                contigs = find_regions([source.region], genome)
            yield [_on_genome(genome, *one, tile) for one in contigs]
    else:
        raise InputError(
            f"{type(source).__name__} cannot be mutated",
            remedy="Use sequences, a FASTA file, or Regions or Tiles of a genome",
        )


def tile_size(source: Source, window: int, step: int) -> int:
    """Bases of a tile of a sequence longer than the window.

    Raises
    ------
    InputError
        When the tiles of a tiled genome are empty or longer than the window.
    """
    if not isinstance(source, Tiles) or source.size is None:
        return step
    if not 1 <= source.size <= window:
        raise InputError(
            f"tiles have {source.size:,} bases, and each is mutated in one window of {window:,}",
            remedy=f"Choose a tile size from 1 to {window:,}; the model's bin has {step:,}",
        )
    return source.size


def _report_overlaps(regions: list[Target]) -> None:
    """Count regions that begin in another one."""
    count, name, end = 0, "", 0
    for one in sorted(regions, key=lambda target: (target.name, target.start)):
        count += one.name == name and one.start < end
        end = max(end, one.end) if one.name == name else one.end
        name = one.name
    if count:
        log.info(
            f"{count:,} of {len(regions):,} regions overlap another one; the bases that they share "
            "are written once for each region"
        )


def _whole(codes: Codes, name: str) -> Target:
    return Target(name, 0, len(codes), len(codes), lambda low, high: codes[low:high])


def _on_genome(genome: Genome, name: str, start: int, end: int, tile: int | None = None) -> Target:
    def read(low: int, high: int) -> Codes:
        return genome.codes(name, low, high)

    return Target(name, start, end, genome.contigs[name], read, tile)


@dataclass
class SequenceTally:
    """Counts of sequences and bases, for the notices at the end of a run."""

    sequences: int = 0
    bases: int = 0
    unknown: int = 0
    tiled: int = 0
    padded: int = 0
    blank: int = 0
    first_blank: str = ""
    _known: int = 0

    def count(self, one: TargetWindow) -> None:
        """Add a window."""
        window = len(one.codes)
        first = one.first + one.low == one.target.start
        self.sequences += first
        self.tiled += first and one.target.size > window
        bases = one.high - one.low
        unknown = int((one.codes[one.low : one.high] == N).sum())
        self.bases += bases
        self.unknown += unknown
        self._known = (0 if first else self._known) + bases - unknown
        if one.first + one.high == one.target.end and not self._known:
            self.first_blank = self.first_blank or one.target.text
            self.blank += 1
        self.padded += one.first < 0 or one.first + window > one.target.length

    def report(self, window: int, step: int) -> None:
        """Log what differs from the usual case."""
        if self.tiled:
            log.info(
                f"sequences longer than the window of {window:,} bases: {self.tiled:,}; each base "
                f"is scored in the window centred on its {step}-base tile"
            )
        if self.padded:
            log.info(
                f"windows that extend past an end of their sequence, padded with N: {self.padded:,}"
            )
        if 0 < self.blank < self.sequences:
            log.warning(
                f"{self.blank:,} of {self.sequences:,} sequences consist of N and have no effects; "
                f"the first is {self.first_blank}"
            )
        if self.unknown == self.bases:
            log.warning("every base is N, so there is nothing to mutate")
        elif self.unknown:
            log.info(f"bases N, without effects: {self.unknown:,} of {self.bases:,}")
