"""Sections on datasets, other tables of danq, and unfinished outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.display_dataset import track_positives
from danq.errors import InputError
from danq.inference.blocks.folder import ENDING
from danq.inference.blocks.shard import is_shard_name
from danq.report.content import Absent, Section, Table
from danq.report.read_tables import read_stored_table

_NAMES = {
    "first": "Comparison of two models",
    "predictor": "Benchmark of variant effects",
    "probability": "Classification of variants",
}


def dataset_section(path: Path, dataset: Dataset | Absent) -> Section:
    """Section on a dataset: windows and positives of each split, and of each track."""
    title = f"Dataset: {path.name}"
    if isinstance(dataset, Absent):
        return Section(title, path, parts=(dataset,))
    counts = {split: len(dataset.indices(split)) for split in SPLITS}
    facts = {f"windows, {split}": f"{count:,}" for split, count in counts.items()}
    facts |= {
        "window": f"{dataset.window:,} bp",
        "bin": f"{dataset.bin:,} bp",
        "tracks": f"{len(dataset.tracks):,}",
        "bases": f"{int(dataset.genome.lengths.sum()):,} in {len(dataset.genome.names):,} contigs",
    }
    peaks = len(dataset.peaks)
    positives = np.stack([dataset.positives(split) for split in SPLITS], axis=1)
    table = Table(
        "Tracks of the dataset",
        "Positive windows of each track of peaks in each split. A metric of a track with few "
        "positive test windows is uncertain.",
        track_positives(dataset.tracks, dataset.groups, positives),
        {f"{split}_positives": f"Positives, {split}" for split in SPLITS},
        "train_positives" if peaks else None,
    )
    return Section(title, path, facts, (table,), {"dataset sha256": dataset.sha256})


def table_section(path: Path) -> Section:
    """Section on any other table that danq wrote."""
    try:
        stored = read_stored_table(
            path,
            dict.fromkeys(("track", "group", "id", "chrom"), pl.String),
            numeric=False,
        )
    except InputError as error:
        return Section(f"Table: {path.name}", path, parts=(Absent("the table", str(error)),))
    kept = [
        one for one in stored.frame.columns if stored.frame[one].null_count() < stored.frame.height
    ]
    name = next(
        (title for key, title in _NAMES.items() if any(key in one.split("_") for one in kept)),
        "Table",
    )
    table = Table(
        "Rows",
        "The rows of the table. Columns without any value are left out.",
        stored.frame.select(kept),
    )
    return Section(
        f"{name}: {path.name}",
        path,
        {"rows": f"{stored.frame.height:,}"},
        (table,),
        stored.provenance,
    )


def unfinished_section(path: Path) -> Section:
    """Section on an output that is not complete: an unfinished run, or shards without a merge."""
    if is_shard_name(path.name):
        name = path.name.rpartition(".shard-")[0]
        why = f"{path.name} has a shard of it; compute all shards, then merge them"
    else:
        name = path.name.removesuffix(ENDING)
        why = f"the run is not finished, and {path.name} has its completed part; resume the run"
    parts = (Absent(f"the output {name}", why),)
    return Section(f"Not finished: {name}", path, parts=parts)
