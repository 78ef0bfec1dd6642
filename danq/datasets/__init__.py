"""Labelled windows: build them from a genome and peaks, store them in a file, read batches."""

from __future__ import annotations

from danq.datasets.batches import Batches
from danq.datasets.build import build_dataset, label_genome
from danq.datasets.build_sequences import build_sequence_dataset, read_sequences
from danq.datasets.convert import convert_dataset
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_summary import BuildSummary, summarise
from danq.datasets.label_options import LabelOptions
from danq.datasets.sequence_table import TableColumns
from danq.datasets.signal_amounts import SignalOptions
from danq.datasets.signal_files import find_signals
from danq.datasets.track_files import find_tracks
from danq.datasets.track_sheet import Track

__all__ = [
    "Batches",
    "BuildSummary",
    "Dataset",
    "LabelOptions",
    "SignalOptions",
    "TableColumns",
    "Track",
    "build_dataset",
    "build_sequence_dataset",
    "convert_dataset",
    "find_signals",
    "find_tracks",
    "label_genome",
    "read_sequences",
    "summarise",
]
