"""Observed tracks for a browser strip: from a dataset, or from files of peaks and signals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from danq.datasets.dataset import Dataset
from danq.files.open_input import check_file, open_raw
from danq.genome.bed import read_bed
from danq.genome.contig_names import ContigBridge
from danq.genome.signal.bigwig import is_bigwig, open_bigwig
from danq.report.content import StripRow
from danq.report.prediction_section import ObservedRows, pooled


class DatasetTracks(ObservedRows):
    """Labels and amounts of the windows of a dataset, shown below the predicted track of a name."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def rows(self, contig: str, start: int, end: int, tracks: Sequence[str]) -> list[StripRow]:
        data = self.dataset
        number = data.genome.numbers.get(contig)
        if number is None or data.standalone:
            return []
        low = data.start
        inside = np.flatnonzero((data.contig == number) & (low < end) & (low + data.bin > start))
        inside = inside[np.argsort(low[inside], kind="stable")]
        found = []
        for track in tracks:
            if track not in data.tracks or not inside.size:
                continue
            column = data.tracks.index(track)
            peaks = len(data.peaks)
            if column < peaks:
                values, what = data.labels(inside)[:, column].astype(float), "observed peaks"
            else:
                values = data.amounts(inside)[:, column - peaks].astype(float)
                values = values.sum(axis=1) if values.ndim > 1 else values
                what = "observed amount"
            parts = pooled(low[inside], low[inside] + data.bin, values)
            found.append(StripRow(track, what, *parts, 1.0 if column < peaks else None))
        return found


class FileTrack(ObservedRows):
    """A file of peaks (BED) or of a signal (bigWig), shown below the predicted tracks.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        When it is neither, or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_raw(check_file(path)) as file:
            self.signal = is_bigwig(file.read(4))
        self.peaks = None if self.signal else read_bed(path, names=False)

    def rows(self, contig: str, start: int, end: int, tracks: Sequence[str]) -> list[StripRow]:
        if tracks:
            return []
        if self.peaks is None:
            return self._signal(contig, start, end)
        names = self.peaks["chrom"].unique().to_list()
        own = _same_contig(contig, names)
        near = self.peaks.filter(
            pl.col("chrom") == own, pl.col("end") > start, pl.col("start") < end
        ).sort("start")
        one = np.ones(near.height)
        return [
            StripRow(
                self.path.name,
                "observed peaks",
                near["start"].to_numpy(),
                near["end"].to_numpy(),
                one,
                1.0,
            )
        ]

    def _signal(self, contig: str, start: int, end: int) -> list[StripRow]:
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
        with open_bigwig(self.path) as file:
            own = _same_contig(contig, list(file.contigs))
            for first, last, value in file.segments(own) if own in file.contigs else ():
                near = (last > start) & (first < end)
                parts.append((first[near], last[near], value[near]))
        joined = tuple(np.concatenate(part) for part in zip(*parts, strict=True))
        return [StripRow(self.path.name, "observed signal", *pooled(*joined))]


def _same_contig(contig: str, names: list[str]) -> str:
    """Name of a contig in a file, which may call it otherwise (chr1, 1)."""
    bridge = ContigBridge([contig], source="the region")
    return next((name for name in names if bridge.find(name).contig == contig), contig)
