"""What danq predicts on: a tiled genome, the records of a BED file or of a FASTA."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.bed import read_bed
from danq.genome.contig_names import match_contigs, read_chrom_map
from danq.genome.fasta import Genome, read_fasta
from danq.inference.sources.tiling import (
    Chunk,
    Gather,
    Rows,
    Source,
    WindowTally,
    cut,
    tiles,
    window_starts,
)
from danq.typing import Codes

log = logging.getLogger("danq")


class GenomeTiles(Source):
    """A genome, or a region of it, cut into tiles of ``step`` bases.

    Rows come in the order of the FASTA; the last tile of a contig or region may be shorter.

    Parameters
    ----------
    genome
        Open genome.
    window
        Bases of a window.
    step
        Bases of a tile.
    region
        Contig, start and end (0-based half-open); an end of None is the contig's end, and
        None for everything.

    Raises
    ------
    InputError
        When ``step`` is below 1, or the genome has no such contig or region.
    """

    key = "chrom"

    def __init__(
        self,
        genome: Genome,
        window: int,
        step: int,
        region: tuple[str, int, int | None] | None = None,
    ) -> None:
        if step < 1:
            raise InputError(f"a tile of {step} bases is below 1")
        # A longer tile is cut at the end of its contig all the same.
        step = min(step, max(genome.contigs.values()))
        self.genome, self.window, self.step = genome, window, step
        self.contigs = self.lengths = dict(genome.contigs)
        self.stretches = [(name, 0, length) for name, length in self.lengths.items()]
        if region is not None:
            self.stretches = [self._inside(*region)]
        self.total = sum(-(-(end - start) // step) for _, start, end in self.stretches)

    def _inside(self, name: str, start: int, end: int | None) -> tuple[str, int, int]:
        found = match_contigs([name], self.genome.contigs, source="the region")[name]
        if found is None:
            raise InputError(f"no contig '{name}' in the genome", file=self.genome.path)
        length = self.genome.contigs[found]
        stop = length if end is None else end
        if not 0 <= start < stop <= length:
            raise InputError(
                f"region {name}:{start + 1}-{stop} (1-based, closed) is not inside the contig, "
                f"which has {length:,} bases",
                file=self.genome.path,
                remedy=f"Choose a region within {found}:1-{length}",
            )
        return found, start, stop

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally = WindowTally()
        gather = Gather(size, self.window)
        for name, low, high in self.stretches:
            length = self.genome.contigs[name]

            def read(start: int, end: int, name: str = name) -> Codes:
                return self.genome.codes(name, start, end)

            for start, end in tiles(low, high, self.step, size):
                codes, padded = cut(
                    read, length, window_starts(start, end, self.window), self.window
                )
                tally.count(codes, padded)
                yield from gather.add(Rows([name] * len(start), start, end), codes)
        yield from gather.rest()
        self.report(tally)


class BedRows(Source):
    """One row a record of a BED file, on a genome; the record's name, if any, is the row's.

    Parameters
    ----------
    path
        BED file, as :func:`danq.genome.bed.read_bed` takes it.
    genome
        Open genome.
    window
        Bases of a window.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    ordered
        Sort the rows by contig and place, name contigs as the genome does and refuse rows
        that overlap, as bigWig wants it. Otherwise rows keep the file's order and names.

    Raises
    ------
    InputError
        As the readers of the files do; when no record lies on a contig of the genome, one
        reaches beyond its contig's end, or rows overlap that must not.
    """

    key = "chrom"

    def __init__(
        self,
        path: str | Path,
        genome: Genome,
        window: int,
        *,
        chrom_map: str | Path | None = None,
        ordered: bool = False,
    ) -> None:
        self.genome, self.window, self.path = genome, window, path
        self.contigs = self.lengths = dict(genome.contigs)
        table = read_bed(path)
        # Peak callers that have no names to give write dots.
        self.labelled = "name" in table.columns and bool((table["name"] != ".").any())
        table = table.select("chrom", "start", "end", *(["name"] if self.labelled else []))
        bridge = match_contigs(
            table["chrom"].unique(maintain_order=True).to_list(),
            genome.contigs,
            source=str(path),
            chrom_map=None if chrom_map is None else read_chrom_map(chrom_map),
        )
        known = {name: found for name, found in bridge.items() if found is not None}
        table = table.filter(pl.col("chrom").is_in(list(known))).with_columns(
            contig=pl.col("chrom").replace_strict(known, return_dtype=pl.String)
        )
        self._check_ends(table)
        if ordered:
            table = table.sort("contig", "start").with_columns(chrom="contig")
            self._check_overlap(table)
        self.table = table
        self.total = table.height

    def _check_ends(self, table: pl.DataFrame) -> None:
        length = pl.col("contig").replace_strict(self.lengths, return_dtype=pl.Int64)
        beyond = table.filter(pl.col("end") > length)
        if beyond.height:
            chrom, start, end, contig = beyond.select("chrom", "start", "end", "contig").row(0)
            raise InputError(
                f"{beyond.height:,} records end beyond their contig; the first is "
                f"{chrom}:{start}-{end} (0-based half-open), and {contig} has "
                f"{self.lengths[contig]:,} bases",
                file=self.path,
                remedy="Check that the file and the genome are of the same assembly",
            )

    def _check_overlap(self, table: pl.DataFrame) -> None:
        before = pl.col("end").shift(1).over("contig")
        overlap = table.filter(pl.col("start") < before)
        if overlap.height:
            chrom, start, end = overlap.select("chrom", "start", "end").row(0)
            raise InputError(
                f"{overlap.height:,} records overlap the one before; the first is "
                f"{chrom}:{start}-{end} (0-based half-open)",
                file=self.path,
                remedy="bigWig holds one value a base: merge the records, or choose another "
                "kind of output",
            )

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

                codes[rows], over = cut(read, self.lengths[name], firsts[rows], self.window)
                padded += over
            tally.count(codes, padded)
            labels = part["name"].to_list() if self.labelled else None
            yield Chunk(Rows(part["chrom"].to_list(), start, end, labels), codes)
        self.report(tally)


class FastaRecords(Source):
    """Records of a FASTA: long ones tiled, others whole.

    A record longer than the window gives one row for each ``step`` bases (the last may be
    shorter); any other gives one row that spans it. One record is in memory at a time.

    Parameters
    ----------
    path
        FASTA file, plain or compressed.
    window
        Bases of a window.
    step
        Bases of a tile.
    """

    key = "name"

    def __init__(self, path: str | Path, window: int, step: int) -> None:
        self.path, self.window, self.step = path, window, step

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally, gather = WindowTally(), Gather(size, self.window)
        tiled = rows = short = 0
        for name, record in read_fasta(self.path):
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
                yield from gather.add(Rows([name] * len(start), start, end), codes)
        yield from gather.rest()
        window = f"the window of {self.window:,} bases"
        if tiled:
            log.info(
                f"records longer than {window}: {tiled:,}, tiled every {self.step:,} bases "
                f"to {rows:,} rows"
            )
        if short:
            log.info(f"records shorter than {window}, centred and padded with N: {short:,}")
        self.report(tally)
