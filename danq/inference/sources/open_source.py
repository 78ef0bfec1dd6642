"""Tell what a user gave to predict on, and open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from danq.datasets.array_files import is_array_file, open_arrays
from danq.datasets.one_hot_arrays import check_channels, find_sequences
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.input_files import open_bytes
from danq.genome.regions import parse_region
from danq.inference.sources.array_rows import ArrayRows
from danq.inference.sources.rows import BedRows, FastaRecords, GenomeTiles
from danq.inference.sources.tiling import Source
from danq.typing import Location

_SNIFFED = 1 << 16


@dataclass(frozen=True)
class Request:
    """What to predict on.

    Attributes
    ----------
    input
        FASTA with loose records, BED, one-hot arrays, or with ``tile`` a genome's FASTA.
    genome
        Genome of a BED file.
    tile
        Bases of a tile.
    region
        Part of the genome to tile: ``chr:start-end`` (1-based, closed) or ``chr``.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    channels
        Order of the channels of one-hot arrays, such as ``"ACGT"``.
    """

    input: Location
    genome: Location | None = None
    tile: int | None = None
    region: str | None = None
    chrom_map: Location | None = None
    channels: str | None = None

    def provenance(self) -> dict[str, str]:
        """The request in words, for the head of an output."""
        parts = {
            "input": self.input,
            "genome": self.genome,
            "tile": self.tile,
            "region": self.region,
            "chrom map": self.chrom_map,
            "channels": self.channels,
        }
        return {name: str(value) for name, value in parts.items() if value is not None}


@contextmanager
def open_source(
    request: Request, window: int, step: int, *, ordered: bool = False
) -> Iterator[Source]:
    """Open what a request names.

    Parameters
    ----------
    request
        What to predict on.
    window
        Bases of the model's window.
    step
        Bases between the tiles of a long FASTA record: the model's bin.
    ordered
        Rows must come sorted and without overlap, as bigWig wants them.

    Raises
    ------
    InputError
        When the options do not go together, or as the readers of the files do.
    """
    if is_array_file(request.input):
        _refuse_besides(request)
        with open_arrays(request.input) as arrays:
            path, channels = Path(request.input), check_channels(request.channels)
            yield ArrayRows(find_sequences(arrays, path, window, channels))
        return
    if request.channels is not None:
        raise InputError(
            "an order of channels was given, but this holds no one-hot arrays",
            file=request.input,
            remedy="Leave the channels out",
        )
    loose = request.tile is not None or is_fasta(request.input)
    if request.chrom_map is not None and loose:
        raise InputError(
            "a contig map was given, but only the contigs of a BED file are looked up in one",
            file=request.chrom_map,
            remedy="Leave the contig map out, or give a BED file",
        )
    if request.tile is not None:
        if request.genome is not None:
            raise InputError(
                "a tiled genome is the input itself, and a genome was given besides",
                file=request.input,
                remedy="Leave the genome (--genome) out",
            )
        if not is_fasta(request.input):
            raise InputError(
                "only a genome can be tiled, and this is not FASTA",
                file=request.input,
                remedy="Leave the tile option out to get one row for each record",
            )
        region = None if request.region is None else parse_region(request.region)
        with Genome(request.input) as genome:
            yield GenomeTiles(genome, window, request.tile, region)
        return
    if request.region is not None:
        raise InputError(
            f"region {request.region} was given without a tile size",
            remedy=f"Say how far apart the predictions shall be, such as a tile of {step}",
        )
    if is_fasta(request.input):
        if request.genome is not None:
            raise InputError(
                "is FASTA, which needs no genome besides",
                file=request.input,
                remedy="Leave the genome (--genome) out, or give a BED file",
            )
        yield FastaRecords(request.input, window, step)
        return
    if request.genome is None:
        raise InputError(
            "is not FASTA (it does not begin with '>'), and a BED file needs its genome",
            file=request.input,
            remedy="Name the FASTA of the genome (--genome)",
        )
    with Genome(request.genome) as genome:
        yield BedRows(request.input, genome, window, chrom_map=request.chrom_map, ordered=ordered)


def _refuse_besides(request: Request) -> None:
    for name in ("tile", "genome", "region", "chrom_map"):
        if getattr(request, name) is not None:
            word = name.replace("_", " ")
            raise InputError(
                f"holds one-hot arrays, which go without a {word}",
                file=request.input,
                remedy=f"Leave the {word} out",
            )


def is_fasta(path: Location) -> bool:
    """Tell from its first letter whether a plain or compressed file is FASTA.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, or a damaged gzip.
    """
    with open_bytes(path) as handle:
        return handle.read(_SNIFFED).lstrip()[:1] == b">"
