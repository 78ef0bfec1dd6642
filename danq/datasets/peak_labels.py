"""Read the peak files of all tracks and find the positive bins of each."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from danq.datasets.bin_grid import Grid
from danq.datasets.track_sheet import Track
from danq.genome.bed import read_bed
from danq.genome.bed_checks import MOST_BEYOND, check_bounds, refuse_signal, report_clipped
from danq.genome.bin_coverage import positive_indices
from danq.genome.contig_names import ContigBridge, match_contigs, no_contig_matches
from danq.progress import counted
from danq.typing import IntRow

log = logging.getLogger("danq")


@dataclass(eq=False)
class Intervals:
    """Intervals of one file, 0-based half-open; contigs are indices in a shared list of names."""

    path: Path
    names: Mapping[str, int]
    name: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclass
class IntervalReader:
    """Read interval files and collect their contig names.

    Names of all files are matched with the genome's at once, so that there is one message
    instead of one per file.
    """

    names: dict[str, int] = field(default_factory=dict)

    def read(self, path: Path, *, peaks: bool = True) -> Intervals:
        """Read one BED file.

        Parameters
        ----------
        path
            The file.
        peaks
            Whether the intervals are peaks. A file of peaks may be empty, and a signal is refused.

        Raises
        ------
        InputError
            When the file cannot be read as BED.
        """
        table = read_bed(path, empty=peaks, names=False)
        if peaks:
            refuse_signal(table, path)
            if table.height == 0:
                log.warning("%s: has no peaks, so its track has no positive windows", path)
        own = table["chrom"].unique(maintain_order=True).to_list()
        numbers = [self.names.setdefault(name, len(self.names)) for name in own]
        chrom = table["chrom"].replace_strict(own, numbers, return_dtype=pl.Int32).cast(pl.Int32)
        return Intervals(
            path, self.names, chrom.to_numpy(), _small(table["start"]), _small(table["end"])
        )

    def match(
        self, contigs: Mapping[str, int], *, source: str, chrom_map: Mapping[str, str] | None
    ) -> IntRow:
        """Number of each name's contig in the genome, -1 if the genome does not have it.

        Raises
        ------
        InputError
            When the genome has none of the names.
        """
        found = match_contigs(list(self.names), list(contigs), source=source, chrom_map=chrom_map)
        numbers = {name: number for number, name in enumerate(contigs)}
        return np.array(
            [-1 if found[name] is None else numbers[str(found[name])] for name in self.names],
            dtype=np.int64,
        )


def _small(column: pl.Series) -> np.ndarray:
    """Positions in the smallest unsigned dtype, since hundreds of tracks are in memory."""
    values = column.to_numpy()
    return values.astype(np.min_scalar_type(int(values.max(initial=0))))


def by_contig(
    intervals: Intervals, contig_of: IntRow, contigs: Sequence[str]
) -> Iterator[tuple[str, IntRow, IntRow]]:
    """Starts and ends of a file's intervals, contig by contig, each sorted by start.

    Parameters
    ----------
    intervals
        Intervals of a file.
    contig_of
        Contig number of each name, -1 for intervals to skip.
    contigs
        Contig names.
    """
    contig = contig_of[intervals.name]
    # One key of contig and start: numpy sorts it several times faster than two.
    order = np.argsort((contig << 40) | intervals.start.astype(np.int64))
    contig = contig[order]
    low = int(np.searchsorted(contig, 0))
    while low < contig.size:
        high = int(np.searchsorted(contig, contig[low], side="right"))
        rows = order[low:high]
        start = intervals.start[rows].astype(np.int64)
        yield contigs[int(contig[low])], start, intervals.end[rows].astype(np.int64)
        low = high


def clip_to_contigs(intervals: Intervals, contig_of: IntRow, contigs: Mapping[str, int]) -> None:
    """Clip intervals that end a little beyond their contig; -1 in ``contig_of`` is skipped.

    Raises
    ------
    InputError
        At the first interval that starts beyond its contig, or ends more than
        `danq.genome.bed_checks.MOST_BEYOND` bases beyond it, with its line.
    """
    lengths = np.array([*contigs.values(), np.iinfo(np.int64).max], dtype=np.int64)
    contig = contig_of[intervals.name]
    beyond = np.flatnonzero(intervals.end > lengths[contig])
    if beyond.size == 0:
        return
    length = lengths[contig[beyond]]
    if np.any((intervals.start[beyond] >= length) | (intervals.end[beyond] > length + MOST_BEYOND)):
        # Read again for the line of the first one.
        own = list(intervals.names)
        here = np.flatnonzero(contig_of >= 0)
        check_bounds(
            read_bed(intervals.path),
            {own[name]: int(lengths[contig_of[name]]) for name in here},
            intervals.path,
            most_beyond=MOST_BEYOND,
        )
    intervals.end[beyond] = lengths[contig[beyond]]
    report_clipped(intervals.path, beyond.size)


@dataclass(eq=False)
class Positives:
    """Positive bins of every track.

    Attributes
    ----------
    bins
        For each track, ``(n,)`` uint32 indices of bins of the grid, increasing.
    peaks
        ``(K,)`` int64 number of peaks in each track's file.
    unknown, skipped
        Number of peaks on contigs missing from the genome, and on skipped contigs.
    """

    bins: list[np.ndarray]
    peaks: IntRow
    unknown: int
    skipped: int


def find_positives(
    tracks: Sequence[Track],
    grid: Grid,
    genome: Mapping[str, int],
    min_overlap: float,
    chrom_map: Mapping[str, str] | None,
) -> Positives:
    """Read the peaks of all tracks and find the positive bins of each.

    Parameters
    ----------
    tracks
        The tracks.
    grid
        The bins of the contigs that are not skipped.
    genome
        Length of every contig of the genome by name, skipped ones included.
    min_overlap
        Fraction of a bin that the union of a track's peaks must cover.
    chrom_map
        Contig names in the peak files to the genome's.

    Raises
    ------
    InputError
        When a file cannot be read as BED, has a peak far beyond the end of its contig, or has
        peaks on no contig of the genome.
    """
    reader = IntervalReader()
    files: list[Intervals | None] = [
        reader.read(track.path) for track in counted(tracks, "reading peaks", "files")
    ]
    contig_of = reader.match(genome, source=_source(tracks), chrom_map=chrom_map)
    used = np.array([name in grid.contigs for name in genome], dtype=bool)
    peaks = np.zeros(len(tracks), dtype=np.int64)
    bins: list[np.ndarray] = []
    unknown = skipped = 0
    for number, intervals in enumerate(counted(files, "labelling bins", "tracks")):
        assert intervals is not None
        contig = contig_of[intervals.name]
        if contig.size and contig.max() < 0:
            names = [list(intervals.names)[number] for number in np.unique(intervals.name)]
            raise no_contig_matches(ContigBridge(genome, source=str(intervals.path)), names)
        clip_to_contigs(intervals, contig_of, genome)
        peaks[number] = contig.size
        unknown += int(np.count_nonzero(contig < 0))
        skipped += int(np.count_nonzero(~used[contig[contig >= 0]]))
        bins.append(_positives(intervals, contig_of, list(genome), grid, min_overlap))
        files[number] = None
    return Positives(bins, peaks, unknown, skipped)


def _positives(
    intervals: Intervals, contig_of: IntRow, names: list[str], grid: Grid, min_overlap: float
) -> np.ndarray:
    geometry = grid.geometry
    parts = [np.zeros(0, dtype=np.uint32)]
    for contig, start, end in by_contig(intervals, contig_of, names):
        if contig in grid.contigs:
            found = positive_indices(
                start, end, grid.size(contig), geometry.bin, min_overlap, geometry.step
            )
            parts.append(found + np.uint32(grid.first[contig]))
    return np.concatenate(parts)


def _source(tracks: Sequence[Track]) -> str:
    return str(tracks[0].path) if len(tracks) == 1 else f"the peaks of {len(tracks)} tracks"
