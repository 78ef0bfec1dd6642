"""Streams of rows with their windows: tiles of a genome, regions, records, one-hot arrays."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import polars as pl

from danq.datasets.one_hot_arrays import Sequences as OneHotSequences
from danq.datasets.one_hot_arrays import blocks
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.two_bit_packing import UNPACKED
from danq.inference.sources.tiling import (
    Chunk,
    Chunker,
    Rows,
    RowStream,
    WindowTally,
    cut,
    tiles,
    window_starts,
)
from danq.typing import Codes

log = logging.getLogger("danq")


class GenomeTiles(RowStream):
    """Regions of a genome, cut into tiles of ``step`` bases.

    Rows come in the order of the regions; the last tile of a region may be shorter.

    Parameters
    ----------
    genome
        Open genome.
    window
        Bases of a window.
    step
        Bases of a tile.
    regions
        Contig, start and end (0-based half-open) of each region; None for all contigs in the
        order of the FASTA.

    Raises
    ------
    InputError
        When ``step`` is below 1.
    """

    key = "chrom"

    def __init__(
        self,
        genome: Genome,
        window: int,
        step: int,
        regions: Sequence[tuple[str, int, int]] | None = None,
    ) -> None:
        if step < 1:
            raise InputError(f"a tile of {step} bases is below 1")
        # A tile longer than every contig would end at the end of its contig anyway.
        step = min(step, max(genome.contigs.values()))
        self.genome, self.window, self.step = genome, window, step
        self.contigs = dict(genome.contigs)
        if regions is None:
            regions = [(name, 0, length) for name, length in self.contigs.items()]
        self.regions = regions
        self.total = sum(-(-(end - start) // step) for _, start, end in regions)

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally = WindowTally()
        chunker = Chunker(size, self.window)
        for name, low, high in self.regions:
            length = self.genome.contigs[name]

            def read(start: int, end: int, name: str = name) -> Codes:
                return self.genome.codes(name, start, end)

            for start, end in tiles(low, high, self.step, size):
                codes, padded = cut(
                    read, length, window_starts(start, end, self.window), self.window
                )
                tally.count(codes, padded)
                yield from chunker.add(Rows([name] * len(start), start, end), codes)
        yield from chunker.flush()
        tally.report()


class RegionRows(RowStream):
    """One row per region of a genome; the region's name, if it has one, is the row's.

    Parameters
    ----------
    table
        Regions, as `danq.inference.sources.region_table.region_table` returns them.
    genome
        Open genome.
    window
        Bases of a window.
    """

    key = "chrom"

    def __init__(self, table: pl.DataFrame, genome: Genome, window: int) -> None:
        self.table, self.genome, self.window = table, genome, window
        self.contigs = dict(genome.contigs)
        self.labelled = "name" in table.columns
        self.total = table.height

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally = WindowTally()
        for at in range(0, self.table.height, size):
            part = self.table[at : at + size]
            start, end = part["start"].to_numpy(), part["end"].to_numpy()
            codes = np.empty((part.height, self.window), dtype=np.uint8)
            firsts = window_starts(start, end, self.window)
            contigs = part["contig"].to_numpy()
            padded = 0
            for name in part["contig"].unique(maintain_order=True):
                rows = np.flatnonzero(contigs == name)
                rows = rows[np.argsort(firsts[rows], kind="stable")]

                def read(low: int, high: int, name: str = name) -> Codes:
                    return self.genome.codes(name, low, high)

                length = self.genome.contigs[name]
                codes[rows], over = cut(read, length, firsts[rows], self.window)
                padded += over
            tally.count(codes, padded)
            labels = part["name"].to_list() if self.labelled else None
            yield Chunk(Rows(part["chrom"].to_list(), start, end, labels), codes)
        tally.report()
        wide = self.table.filter(pl.col("end") - pl.col("start") > self.window).height
        if wide:
            log.info(
                "regions longer than the window of %s bases: %s; their values are those of the "
                "window at the middle of the region",
                f"{self.window:,}",
                f"{wide:,}",
            )


class RecordRows(RowStream):
    """Standalone sequences: long ones tiled, others whole.

    A record longer than the window gives one row for each ``step`` bases (the last may be
    shorter); any other gives one row that spans it. One record is in memory at a time.

    Parameters
    ----------
    records
        Returns the name and the codes of each record.
    window
        Bases of a window.
    step
        Bases of a tile.
    total
        Number of rows, if it is known.
    """

    key = "name"

    def __init__(
        self,
        records: Callable[[], Iterable[tuple[str, Codes]]],
        window: int,
        step: int,
        total: int | None = None,
    ) -> None:
        self.records, self.window, self.step, self.total = records, window, step, total

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally, chunker = WindowTally(), Chunker(size, self.window)
        tiled = rows = short = 0
        for name, record in self.records():
            length = record.size
            long = length > self.window
            step = self.step if long else length
            tiled += long
            rows += -(-length // step) if long else 0
            short += length < self.window

            def read(low: int, high: int, record: Codes = record) -> Codes:
                return record[low:high]

            for start, end in tiles(0, length, step, size):
                firsts = window_starts(start, end, self.window)
                codes, padded = cut(read, length, firsts, self.window)
                tally.count(codes, padded if long else 0)
                yield from chunker.add(Rows([name] * len(start), start, end), codes)
        yield from chunker.flush()
        window = f"the window of {self.window:,} bases"
        if tiled:
            log.info(
                f"records longer than {window}: {tiled:,}, tiled every {self.step:,} bases "
                f"to {rows:,} rows"
            )
        if short:
            log.info(f"records shorter than {window}, centred and padded with N: {short:,}")
        tally.report()


class OneHotRows(RowStream):
    """Sequences of a one-hot array in a file, named by their number from 1.

    Parameters
    ----------
    sequences
        The array; its file must stay open.
    """

    key = "name"

    def __init__(self, sequences: OneHotSequences) -> None:
        self.sequences = sequences
        self.window, self.total = sequences.length, sequences.rows

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally = WindowTally()
        for first, last in blocks(self.sequences):
            bases = np.empty((last - first, self.sequences.slot), np.uint8)
            row, position = self.sequences.pack(first, last, bases)
            for low in range(0, last - first, size):
                part = bases[low : low + size]
                codes = UNPACKED[part].reshape(len(part), -1)[:, : self.window]
                here = slice(*np.searchsorted(row, [low, low + len(part)]))
                codes[row[here] - low, position[here]] = 4
                tally.count(codes, 0)
                start = np.zeros(len(part), np.int64)
                names = [str(first + low + number) for number in range(1, len(part) + 1)]
                yield Chunk(Rows(names, start, start + self.window), codes)
        tally.report()
