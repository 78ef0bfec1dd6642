"""The kinds of input to predict on, each as a type that states what it needs."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from danq.datasets.array_files import open_arrays
from danq.datasets.one_hot_arrays import check_channels, find_sequences
from danq.errors import InputError, few
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome, read_fasta
from danq.inference.sources.region_table import find_regions, region_table
from danq.inference.sources.row_streams import CPU, GenomeTiles, OneHotRows, RecordRows, RegionRows
from danq.inference.sources.tiling import RowStream
from danq.provenance import Inputs, Setting, sha256_of
from danq.typing import Codes, Location


class Source(ABC):
    """Input to predict on.

    Attributes
    ----------
    key
        Name of the column with sequence names: ``chrom`` or ``name``.
    """

    key: str = "name"

    @abstractmethod
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> AbstractContextManager[RowStream]:
        """Open the input.

        Parameters
        ----------
        window
            Bases of the model's window.
        step
            Bases between the tiles of a long sequence: the model's bin.
        ordered
            Sort the rows and refuse those that overlap, as bigWig requires.
        device
            Where the model runs; windows of a genome may be cut there.

        Raises
        ------
        InputError
            As the readers of the files do.
        """

    @abstractmethod
    def provenance(self) -> dict[str, str]:
        """Description of the input for the header of an output."""

    def files(self) -> dict[str, Location]:
        """Files that are read, by the noun for one of them."""
        return {}

    def settings(self) -> dict[str, Setting]:
        """What the rows depend on in addition to the content of the files."""
        return {}

    def contents(self) -> dict[str, Inputs]:
        """Checksum of each file.

        Raises
        ------
        InputError
            When a file cannot be read.
        """
        return {noun: Inputs([str(path)], [sha256_of(path)]) for noun, path in self.files().items()}


@dataclass(frozen=True)
class Regions(Source):
    """Regions of a genome: one row, and one window around its midpoint, for each.

    Attributes
    ----------
    regions
        BED file (`pathlib.Path`), or one or several regions as text: ``chr:start-end`` (1-based,
        closed, as in samtools) or ``chr``.
    genome
        FASTA of the genome.
    chrom_map
        Tab-separated file: contig name of the regions, name in the genome.
    """

    regions: Path | str | Sequence[str]
    genome: Location
    chrom_map: Location | None = None

    key = "chrom"

    def __post_init__(self) -> None:
        _check_genome(self.genome)
        if isinstance(self.regions, Path):
            return
        listed = isinstance(self.regions, str | list | tuple)
        if not listed or not self.texts or not all(isinstance(text, str) for text in self.texts):
            raise InputError(
                f"the regions are {self.regions!r:.60}, not a BED file or text",
                remedy="Give the BED file as pathlib.Path, or regions such as 'chrIV:1-500'",
            )

    def table(self, genome: Genome, *, ordered: bool = False) -> pl.DataFrame:
        """The regions, as `danq.inference.sources.region_table.region_table` returns them."""
        chrom_map = None if self.chrom_map is None else read_chrom_map(self.chrom_map)
        return region_table(self.regions, genome, chrom_map, ordered=ordered)

    @property
    def texts(self) -> tuple[str, ...]:
        """Regions that were given as text."""
        if isinstance(self.regions, Path):
            return ()
        return (self.regions,) if isinstance(self.regions, str) else tuple(self.regions)

    @contextmanager
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> Iterator[RowStream]:
        with Genome(self.genome) as genome:
            yield RegionRows(self.table(genome, ordered=ordered), genome, window, device)

    def provenance(self) -> dict[str, str]:
        texts = self.texts
        return _texts(
            {
                "input": self.regions if isinstance(self.regions, Path) else None,
                "region": few(texts, 10) if texts else None,
                "genome": self.genome,
                "chrom map": self.chrom_map,
            }
        )

    def files(self) -> dict[str, Location]:
        regions = {"BED file": self.regions} if isinstance(self.regions, Path) else {}
        mapped = {} if self.chrom_map is None else {"contig map": self.chrom_map}
        return {**regions, "genome": self.genome, **mapped}

    def settings(self) -> dict[str, Setting]:
        return {"regions": self.texts} if self.texts else {}


@dataclass(frozen=True)
class Tiles(Source):
    """A genome, or a region of it, cut into tiles: one row for each.

    Attributes
    ----------
    genome
        FASTA of the genome.
    size
        Bases of a tile; the last one of a contig or region may be shorter. None: the model's bin.
    region
        Part of the genome: ``chr:start-end`` (1-based, closed, as in samtools) or ``chr``. Tiles
        start at its start.
    """

    genome: Location
    size: int | None = None
    region: str | None = None

    key = "chrom"

    def __post_init__(self) -> None:
        _check_genome(self.genome)

    @contextmanager
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> Iterator[RowStream]:
        with Genome(self.genome) as genome:
            regions = None if self.region is None else find_regions([self.region], genome)
            size = step if self.size is None else self.size
            yield GenomeTiles(genome, window, size, regions, device)

    def provenance(self) -> dict[str, str]:
        return {"input": str(self.genome), **self._tiles()}

    def files(self) -> dict[str, Location]:
        return {"genome": self.genome}

    def settings(self) -> dict[str, Setting]:
        return {**self._tiles()}

    def _tiles(self) -> dict[str, str]:
        tile = "the model's bin" if self.size is None else self.size
        return _texts({"tile": tile, "region": self.region})


@dataclass(frozen=True)
class OneHotFile(Source):
    """A file of one-hot sequences, each as long as the model's window: one row for each.

    Attributes
    ----------
    path
        HDF5, MATLAB (v5 or v7.3) or npz file with one array ``(n, 4, L)``, such as DeepSEA's
        ``testxdata``.
    channels
        Order of the channels, such as ``"ACGT"``; None is DeepSEA's AGCT, for arrays with
        DeepSEA's names.
    """

    path: Location
    channels: str | None = None

    @contextmanager
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> Iterator[RowStream]:
        with open_arrays(self.path) as arrays:
            channels = check_channels(self.channels)
            yield OneHotRows(find_sequences(arrays, Path(self.path), window, channels))

    def provenance(self) -> dict[str, str]:
        return _texts({"input": self.path, "channels": self.channels})

    def files(self) -> dict[str, Location]:
        return {"file of arrays": self.path}

    def settings(self) -> dict[str, Setting]:
        return {**_texts({"channels": self.channels})}


class Records(Source):
    """Standalone sequences: one row each, or where one is longer than the window, tiles."""

    @abstractmethod
    def records(self) -> Iterable[tuple[str, Codes]]:
        """Name and codes of each record."""


@dataclass(frozen=True)
class FastaFile(Records):
    """The records of a FASTA file, plain or compressed."""

    path: Path

    def records(self) -> Iterable[tuple[str, Codes]]:
        return read_fasta(self.path)

    @contextmanager
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> Iterator[RowStream]:
        yield RecordRows(self.records, window, step)

    def provenance(self) -> dict[str, str]:
        return {"input": str(self.path)}

    def files(self) -> dict[str, Location]:
        return {"FASTA file": self.path}


@dataclass(frozen=True, eq=False)
class Sequences(Records):
    """Sequences in memory; `danq.inference.sources.in_memory` reads them from other types.

    Attributes
    ----------
    names
        Name of each sequence, no two alike.
    codes
        ``(L,)`` uint8 codes of each (A 0, C 1, G 2, T 3, unknown 4), not empty.
    """

    names: Sequence[str]
    codes: Sequence[Codes] | Codes

    def records(self) -> Iterable[tuple[str, Codes]]:
        return zip(self.names, self.codes, strict=True)

    @contextmanager
    def open(
        self, window: int, step: int, *, ordered: bool = False, device: torch.device = CPU
    ) -> Iterator[RowStream]:
        lengths = [len(codes) for codes in self.codes]
        total = sum(1 if length <= window else -(-length // step) for length in lengths)
        yield RecordRows(self.records, window, step, total)

    def provenance(self) -> dict[str, str]:
        count = len(self.names)
        return {"input": f"{count:,} sequence{'s' * (count != 1)} in memory"}

    def contents(self) -> dict[str, Inputs]:
        sha = hashlib.sha256()
        for name, codes in self.records():
            sha.update(f"{len(name)} {name} {len(codes)} ".encode())
            sha.update(np.ascontiguousarray(codes).data)
        return {"input": Inputs(["the sequences in memory"], [sha.hexdigest()])}


def _check_genome(genome: object) -> None:
    if not isinstance(genome, str | Path):
        raise InputError(
            f"the genome is a {type(genome).__qualname__}, not a file",
            remedy="Give the path of its FASTA file",
        )


def _texts(parts: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in parts.items() if value is not None}
