"""Streams of rows with their windows: tiles of a genome, regions, records, one-hot arrays."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from danq.datasets.one_hot_arrays import Sequences as OneHotSequences
from danq.datasets.one_hot_arrays import blocks
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.genome.two_bit_packing import UNPACKED
from danq.inference.engine.genome_windows import GenomeWindows, Positions, cut_on_device
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.sources.tiling import (
    Chunk,
    Chunker,
    Rows,
    RowStream,
    Selection,
    Windows,
    WindowTally,
    beyond,
    every_chunk,
    overlapping,
    selected_rows,
    tiles,
    window_starts,
)
from danq.typing import CodeBatch, Codes, IntRow

if TYPE_CHECKING:
    from jaxtyping import UInt8
    from torch import Tensor

log = logging.getLogger("danq")

CPU = torch.device("cpu")


class GenomeRows(RowStream):
    """Rows on a genome.

    Where the windows have more bases than their contigs, they are cut on the GPU.

    Parameters
    ----------
    genome
        Open genome.
    window
        Bases of a window.
    device
        Where the model runs.
    """

    key = "chrom"
    total: int

    def __init__(self, genome: Genome, window: int, device: torch.device) -> None:
        self.genome, self.window, self.device = genome, window, device
        self.contigs: dict[str, int] = dict(genome.contigs)
        self._packed: GenomeWindows | None = None

    @abstractmethod
    def used(self) -> list[str]:
        """Names of the contigs with rows, each once."""

    @abstractmethod
    def rows(self, first: int, last: int) -> tuple[Rows, IntRow]:
        """Rows ``first`` to ``last``, half-open, with the indices in `used` of their contigs."""

    def chunks(self, size: int, selected: Selection = every_chunk) -> Iterator[Chunk]:
        tally = WindowTally()
        names = self.used()
        lengths = np.array([self.contigs[name] for name in names], np.int64)
        if cut_on_device(self.device, self.total * self.window, int(lengths.sum())):
            genome = PackedGenome.from_contigs((name, self.genome.codes(name)) for name in names)
            self._packed = GenomeWindows(genome, self.device, self.window, self.total)
        for low, high in selected_rows(0, self.total, size, selected):
            rows, contig = self.rows(low, high)
            first = window_starts(rows.start, rows.end, self.window)
            padded = beyond(first, self.window, lengths[contig])
            if self._packed is None:
                windows = self._read(names, contig, first)
                tally.count(windows, padded)
                yield Chunk(rows, windows.cut_if_distant())
            else:
                unknown = self._packed.genome.unknown(contig, first, self.window)
                tally.add(len(first), padded, int((unknown == self.window).sum()))
                yield Chunk(rows, Positions(contig, first, np.flatnonzero(unknown)))
        tally.report()

    def load(self, windows: Windows) -> CodeBatch | OverlappingWindows | UInt8[Tensor, "B L"]:
        if self._packed is None:
            return super().load(windows)
        assert not isinstance(windows, OverlappingWindows)
        return self._packed.load(windows)

    def _read(self, names: list[str], contig: IntRow, first: IntRow) -> OverlappingWindows:
        parts, order = [], []
        for number in dict.fromkeys(contig.tolist()):
            rows = np.flatnonzero(contig == number)
            rows = rows[np.argsort(first[rows], kind="stable")]
            name = names[number]

            def read(low: int, high: int, name: str = name) -> Codes:
                return self.genome.codes(name, low, high)

            parts.append(overlapping(read, self.contigs[name], first[rows], self.window))
            order.append(rows)
        windows = OverlappingWindows.joined(parts)
        inside = np.empty(len(first), np.int64)
        inside[np.concatenate(order)] = windows.first
        return OverlappingWindows(windows.codes, inside, self.window)


class GenomeTiles(GenomeRows):
    """Regions of a genome, cut into tiles of ``step`` bases.

    Rows come in the order of the regions; the last tile of a region may be shorter.

    Parameters
    ----------
    genome, window, device
        As for `GenomeRows`.
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

    def __init__(
        self,
        genome: Genome,
        window: int,
        step: int,
        regions: Sequence[tuple[str, int, int]] | None = None,
        device: torch.device = CPU,
    ) -> None:
        super().__init__(genome, window, device)
        if step < 1:
            raise InputError(f"a tile of {step} bases is below 1")
        # A tile longer than every contig would end at the end of its contig anyway.
        self.step = min(step, max(self.contigs.values()))
        if regions is None:
            regions = [(name, 0, length) for name, length in self.contigs.items()]
        self.regions = regions
        low, high = (np.array([region[part] for region in regions], np.int64) for part in (1, 2))
        self._low, self._high = low, high
        self._names = self.used()
        numbers = {name: number for number, name in enumerate(self._names)}
        self._contig = np.array([numbers[name] for name, _, _ in regions], np.int64)
        self._rows_before = np.concatenate([[0], np.cumsum(-((low - high) // self.step))])
        self.total = int(self._rows_before[-1])
        self.longest = min(self.step, int((high - low).max(initial=0)))

    def used(self) -> list[str]:
        return list(dict.fromkeys(name for name, _, _ in self.regions))

    def rows(self, first: int, last: int) -> tuple[Rows, IntRow]:
        row = np.arange(first, last)
        region = np.searchsorted(self._rows_before, row, side="right") - 1
        start = self._low[region] + (row - self._rows_before[region]) * self.step
        end = np.minimum(start + self.step, self._high[region])
        own = self._contig[region]
        return Rows([self._names[number] for number in own.tolist()], start, end), own


class RegionRows(GenomeRows):
    """One row per region of a genome; the region's name, if it has one, is the row's.

    Parameters
    ----------
    table
        Regions, as `danq.inference.sources.region_table.region_table` returns them.
    genome, window, device
        As for `GenomeRows`.
    """

    def __init__(
        self, table: pl.DataFrame, genome: Genome, window: int, device: torch.device = CPU
    ) -> None:
        super().__init__(genome, window, device)
        self.table = table
        self.labelled = "name" in table.columns
        self.total = table.height
        bases = (table["end"] - table["start"]).to_numpy()
        self.longest = int(bases.max(initial=0))
        self._wide = int((bases > window).sum())
        numbers = {name: number for number, name in enumerate(self.used())}
        self._contig = np.array([numbers[name] for name in table["contig"].to_list()], np.int64)

    def used(self) -> list[str]:
        return self.table["contig"].unique(maintain_order=True).to_list()

    def rows(self, first: int, last: int) -> tuple[Rows, IntRow]:
        part = self.table[first:last]
        start, end = part["start"].to_numpy(), part["end"].to_numpy()
        labels = part["name"].to_list() if self.labelled else None
        return Rows(part["chrom"].to_list(), start, end, labels), self._contig[first:last]

    def chunks(self, size: int, selected: Selection = every_chunk) -> Iterator[Chunk]:
        yield from super().chunks(size, selected)
        if self._wide:
            log.info(
                "regions longer than the window of %s bases: %s; their values are those of the "
                "window at the middle of the region",
                f"{self.window:,}",
                f"{self._wide:,}",
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

    def chunks(self, size: int, selected: Selection = every_chunk) -> Iterator[Chunk]:
        tally, chunker = WindowTally(), Chunker(size)
        tiled = rows = short = done = 0
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
                for low, high in selected_rows(done, done + len(start), size, selected):
                    part = slice(low - done, high - done)
                    some = Rows([name] * (high - low), start[part], end[part])
                    firsts = window_starts(some.start, some.end, self.window)
                    windows = overlapping(read, length, firsts, self.window)
                    tally.count(windows, beyond(firsts, self.window, length) if long else 0)
                    yield from chunker.add(some, windows)
                done += len(start)
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
        self.longest = sequences.length

    def chunks(self, size: int, selected: Selection = every_chunk) -> Iterator[Chunk]:
        tally, chunker = WindowTally(), Chunker(size)
        for first, last in blocks(self.sequences):
            parts = list(selected_rows(first, last, size, selected))
            if not parts:
                continue
            bases = np.empty((last - first, self.sequences.slot), np.uint8)
            row, position = self.sequences.pack(first, last, bases)
            for low, high in parts:
                part = bases[low - first : high - first]
                codes = UNPACKED[part].reshape(len(part), -1)[:, : self.window]
                here = slice(*np.searchsorted(row, [low - first, high - first]))
                codes[row[here] - (low - first), position[here]] = 4
                tally.count(codes, 0)
                start = np.zeros(len(part), np.int64)
                names = [str(number) for number in range(low + 1, high + 1)]
                each = np.arange(len(part)) * self.window
                windows = OverlappingWindows(codes.reshape(-1), each, self.window)
                yield from chunker.add(Rows(names, start, start + self.window), windows)
        yield from chunker.flush()
        tally.report()
