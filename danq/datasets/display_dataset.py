"""What a notebook shows of a dataset, and its table of tracks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from danq.datasets.dataset_format import SPLITS
from danq.notebook_display import Display, FirstRows
from danq.typing import IntRow

if TYPE_CHECKING:
    import polars as pl

    from danq.datasets.dataset import Dataset


def display_dataset(dataset: Dataset) -> Display:
    """Sizes of a dataset, and its tracks."""
    facts = {
        "File": dataset.path,
        "Window": f"{dataset.window:,} bp around a bin of {dataset.bin:,} bp",
        "Genome": f"{int(dataset.genome.lengths.sum()):,} bases in "
        f"{len(dataset.genome.names):,} contigs",
        **{f"Windows, {split}": len(dataset.indices(split)) for split in SPLITS},
    }
    positives = np.stack([dataset.positives(split) for split in SPLITS], axis=1)
    table = track_positives(dataset.tracks, dataset.groups, positives)
    return Display(
        summarise_size(dataset),
        facts=facts,
        tables=[FirstRows.of("Positive windows of each track", table)],
    )


def summarise_size(dataset: Dataset) -> str:
    """Numbers of windows and tracks, which need no reading of labels."""
    windows, count = len(dataset), len(dataset.tracks)
    return (
        f"{windows:,} windows of {dataset.window:,} bp around {dataset.bin:,} bp, "
        f"{count:,} track{'s' * (count != 1)}"
    )


def track_positives(
    tracks: Sequence[str], groups: Sequence[str], positives: IntRow
) -> pl.DataFrame:
    """Positive windows of each track in each split.

    Parameters
    ----------
    tracks, groups
        Name and group of each track, those of peaks first.
    positives
        ``(P, 3)`` number of positive windows of each track of peaks.

    Returns
    -------
    pl.DataFrame
        ``track``, ``group`` if a track has one, and ``train_positives``, ``valid_positives``,
        ``test_positives``, which tracks of amounts do not have.
    """
    import polars as pl

    columns: dict[str, Sequence[str] | pl.Series] = {"track": tracks}
    if any(groups):
        columns["group"] = groups
    amounts = [None] * (len(tracks) - len(positives))
    for number, split in enumerate(SPLITS):
        values = [*positives[:, number].tolist(), *amounts]
        columns[f"{split}_positives"] = pl.Series(values, dtype=pl.Int64)
    return pl.DataFrame(columns)
