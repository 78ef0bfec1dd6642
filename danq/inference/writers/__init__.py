"""Tables, HDF5 and Parquet, for whatever layout names their columns."""

from danq.inference.writers.formats import Kind, kind_by_ending, output_kind
from danq.inference.writers.hdf5 import Hdf5Writer
from danq.inference.writers.layout import SPREAD, Layout, Table, Values, Writer
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.tsv import TsvWriter

__all__ = [
    "SPREAD",
    "Hdf5Writer",
    "Kind",
    "Layout",
    "ParquetWriter",
    "Table",
    "TsvWriter",
    "Values",
    "Writer",
    "kind_by_ending",
    "output_kind",
]
