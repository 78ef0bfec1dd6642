"""Find the source that an argument, or the options of a command, stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from danq.datasets.array_files import is_array_file
from danq.errors import InputError
from danq.files.open_input import open_bytes
from danq.files.text_tables import BYTE_ORDER_MARK
from danq.genome.fasta_errors import check_sequences
from danq.inference.sources.in_memory import read_sequences
from danq.inference.sources.source_types import (
    FastaFile,
    OneHotFile,
    Regions,
    Source,
    Tiles,
)
from danq.typing import Location

_SNIFFED = 1 << 16


def as_source(X: Any) -> Source:
    """The source that an argument of `danq.predict` or `danq.mutate` stands for.

    Parameters
    ----------
    X
        A source: `Regions`, `Tiles`, `OneHotFile`, `FastaFile` or `Sequences`; a `pathlib.Path`
        to a FASTA file or a file of one-hot arrays, recognised by its content; or sequences in
        memory, as `danq.inference.sources.in_memory.read_sequences` takes them. A `str` is
        always a sequence.

    Raises
    ------
    InputError
        When a file is missing, empty, or neither of the two; or as
        `danq.inference.sources.in_memory.read_sequences`.
    """
    if isinstance(X, Source):
        return X
    if not isinstance(X, Path):
        return read_sequences(X)
    if is_array_file(X):
        return OneHotFile(X)
    if is_fasta(X):
        return FastaFile(X)
    raise InputError(
        "is not FASTA (it does not begin with '>')",
        file=X,
        remedy=f"For a BED file, give danq.Regions(pathlib.Path({str(X)!r}), genome)",
    )


def source_from_options(
    input: Location | None,
    genome: Location | None = None,
    *,
    tile: int | None = None,
    region: str | None = None,
    chrom_map: Location | None = None,
    channels: str | None = None,
) -> Source:
    """The source that options of a command describe together.

    Parameters
    ----------
    input
        FASTA, BED, file of one-hot arrays, or with ``tile`` the FASTA of a genome; None with
        ``region`` and ``genome`` is that region.
    genome
        FASTA of the genome of a BED file or region.
    tile
        Bases of a tile; 0 is the model's bin, None cuts no tiles.
    region
        Part of the genome: ``chr:start-end`` (1-based, closed) or ``chr``.
    chrom_map
        Tab-separated file: contig name in the BED file, name in the genome.
    channels
        Order of the channels of one-hot arrays, such as ``"ACGT"``.

    Raises
    ------
    InputError
        When the options do not go together, or a file is missing or empty.
    """
    if input is None:
        return _typed_region(region, genome, chrom_map)
    path = Path(input)
    if is_array_file(path):
        others = {"tile": tile, "genome": genome, "region": region, "chrom map": chrom_map}
        for name, value in others.items():
            if value is not None:
                raise InputError(
                    f"holds one-hot arrays, which go without a {name}",
                    file=path,
                    remedy=f"Leave the {name} out",
                )
        return OneHotFile(path, channels)
    fasta = is_fasta(path)
    if channels is not None:
        raise InputError(
            "an order of channels was given, but this holds no one-hot arrays",
            file=path,
            remedy="Leave the channels out",
        )
    if chrom_map is not None and (fasta or tile is not None):
        raise _unused_map(chrom_map)
    if region is not None and tile is None:
        raise InputError(
            f"region {region} was given with an input file, but without a tile size",
            file=path,
            remedy="Give the tile size, which is the distance between predictions, or leave the "
            "input file out",
        )
    if genome is not None and tile is not None:
        raise InputError(
            "a tiled genome is the input itself, but another genome was given",
            file=path,
            remedy="Leave the genome out",
        )
    if genome is not None and fasta:
        raise InputError(
            "is FASTA, which needs no genome",
            file=path,
            remedy="Leave the genome out, or give a BED file or a region",
        )
    if tile is not None:
        if not fasta:
            raise InputError(
                "only a genome can be tiled, and this is not FASTA",
                file=path,
                remedy="Leave the tile size out to get one row for each record",
            )
        return Tiles(path, tile or None, region)
    if fasta:
        return FastaFile(path)
    if genome is None:
        raise InputError(
            "is not FASTA (it does not begin with '>'), and a BED file needs its genome",
            file=path,
            remedy="Give the FASTA of the genome as well",
        )
    return Regions(path, genome, chrom_map)


def _typed_region(
    region: str | None, genome: Location | None, chrom_map: Location | None
) -> Regions:
    if region is None:
        raise InputError(
            "exactly one of an input file and a region must be given",
            remedy="Give a region with its genome, a BED file with its genome, or a FASTA file",
        )
    if genome is None:
        raise InputError(
            f"region {region} was given without its genome",
            remedy="Give the FASTA of the genome as well",
        )
    if chrom_map is not None:
        raise _unused_map(chrom_map)
    return Regions(region, genome)


def _unused_map(chrom_map: Location) -> InputError:
    return InputError(
        "a contig map was given, but only the contigs of a BED file are looked up in it",
        file=chrom_map,
        remedy="Leave the contig map out, or give a BED file",
    )


def is_fasta(path: Location) -> bool:
    """Whether the first letter of a plain or compressed file is that of a FASTA.

    Raises
    ------
    InputError
        When the file is missing, empty, a directory, or a damaged gzip; and when it has
        sequences in another format, such as FASTQ or GenBank.
    """
    with open_bytes(path) as handle:
        text = handle.read(_SNIFFED).removeprefix(BYTE_ORDER_MARK).lstrip()
    check_sequences(Path(path), text)
    return text[:1] == b">"
