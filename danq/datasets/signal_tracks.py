"""Add the amounts of signals to the windows of a dataset."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.signal_amounts import SignalOptions, read_signals
from danq.datasets.track_amounts import Amounts
from danq.datasets.track_relations import replicate_names, strand_partners
from danq.datasets.track_sheet import Track
from danq.errors import InputError
from danq.typing import IntRow

_ROWS = 1 << 16

log = logging.getLogger("danq")


def add_amounts(
    dataset: Dataset, tracks: Sequence[Track], genome: Mapping[str, int], options: SignalOptions
) -> Dataset:
    """Read signals and add them as tracks of amounts.

    Without tracks of peaks, windows without any amount are dropped and counted.

    Parameters
    ----------
    dataset
        Windows of a genome, contig after contig.
    tracks
        Name and signal file of each track.
    genome
        Lengths of all contigs of the genome by name, skipped ones included.
    options
        How signals become amounts.

    Raises
    ------
    InputError
        As `danq.datasets.signal_amounts.read_signals`; and when no window of a split has an amount.
    """
    ends = np.searchsorted(dataset.contig, np.arange(len(dataset.genome.names)), side="right")
    pieces = np.split(dataset.start, ends[:-1])
    starts = dict(zip(dataset.genome.names, pieces, strict=True))
    strands = () if dataset.oriented else strand_partners(tracks)
    replicates = replicate_names(
        [track.name for track in tracks], [track.replicates for track in tracks]
    )
    values, units, counts = read_signals(
        tracks, genome, starts, dataset.bin, options, strands=strands
    )
    kept = np.arange(len(dataset)) if dataset.peaks.size else _with_values(values)
    dropped = len(dataset) - kept.size
    build: dict[str, Any] = {
        **dataset.build,
        "statistic": options.statistic,
        "gaps": options.gaps,
        "library_scaling": options.library,
        "gap_fractions": [round(count.gaps, 6) for count in counts],
    }
    if dropped:
        log.info("%s windows without any amount were dropped.", f"{dropped:,}")
        build["dropped_bins"] = {**build["dropped_bins"], "without any amount": dropped}
        values = _compacted(values, kept)
        dataset = replace(
            dataset,
            contig=dataset.contig[kept],
            start=dataset.start[kept],
            split=dataset.split[kept],
            packed=dataset.packed[kept],
        )
        for split in SPLITS:
            if not dataset.indices(split).size:
                raise InputError(
                    f"no window of the {split} split has an amount; {dropped:,} windows without "
                    "any were dropped",
                    remedy="Choose contigs or regions for which there are signals",
                )
    return replace(
        dataset,
        tracks=(*dataset.tracks, *(track.name for track in tracks)),
        groups=(*dataset.groups, *(track.group for track in tracks)),
        sources=(*dataset.sources, *(track.path.name for track in tracks)),
        build=build,
        measured=Amounts(values, units, options.step or 0, strands, replicates),
    )


def _with_values(values: np.ndarray) -> IntRow:
    """Rows that are not masked completely."""
    rows = [np.zeros(0, np.int64)]
    for low in range(0, len(values), _ROWS):
        block = values[low : low + _ROWS]
        masked = np.isnan(block).all(axis=tuple(range(1, values.ndim)))
        rows.append(np.flatnonzero(~masked) + low)
    return np.concatenate(rows)


def _compacted(values: np.ndarray, kept: IntRow) -> np.ndarray:
    """Move rows to the front, in place: a second copy may not fit into memory."""
    for low in range(0, kept.size, _ROWS):
        rows = kept[low : low + _ROWS]
        values[low : low + rows.size] = values[rows]
    return values[: kept.size]
