"""Inputs of predictions: FASTA records, regions, a tiled genome, arrays, sequences in memory."""

from danq.inference.sources.find_source import as_source, source_from_options
from danq.inference.sources.source_types import (
    FastaFile,
    OneHotFile,
    Records,
    Regions,
    Sequences,
    Source,
    Tiles,
)

__all__ = [
    "FastaFile",
    "OneHotFile",
    "Records",
    "Regions",
    "Sequences",
    "Source",
    "Tiles",
    "as_source",
    "source_from_options",
]
