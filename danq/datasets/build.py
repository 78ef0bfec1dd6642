"""From a genome and peak files to labelled windows."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.bin_grid import (
    Geometry,
    Grid,
    assign_splits,
    bins_of,
    drop_overlapping,
    drop_poor_windows,
)
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.dataset_summary import BuildSummary, summarise
from danq.datasets.label_bits import set_bits
from danq.datasets.negatives import thin_negatives
from danq.datasets.peak_labels import IntervalReader, Positives, by_contig, find_positives
from danq.datasets.splits import held_out
from danq.datasets.track_files import Track, find_tracks
from danq.errors import InputError
from danq.genome.bin_coverage import least_cover
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.output import check_target

log = logging.getLogger("danq")

Paths = str | Path | Sequence[str | Path]


def build_dataset(
    out: str | Path,
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track],
    *,
    overwrite: bool = False,
    **options: Any,
) -> BuildSummary:
    """Make a dataset file from a genome and peak files.

    Parameters
    ----------
    out
        The HDF5 file to write; ``docs/formats.md`` draws it.
    genome, tracks, **options
        As for :func:`label_genome`.
    overwrite
        Whether a file that lies at ``out`` may be replaced.

    Returns
    -------
    BuildSummary
        Windows, positives by track and split, and what was dropped and why.

    Raises
    ------
    InputError
        As :func:`label_genome`; and when ``out`` exists and ``overwrite`` is false, or cannot
        be written. No file is left behind then.

    Examples
    --------
    >>> build_dataset("yeast.h5", "sacCer3.fa", "peaks/", window=500)  # doctest: +SKIP
    """
    path = check_target(out, overwrite)
    dataset = label_genome(genome, tracks, **options)
    dataset.save(path, overwrite=overwrite)
    return summarise(dataclasses.replace(dataset, path=path))


def label_genome(
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track],
    *,
    window: int = 1000,
    bin: int = 200,
    stride: int | None = None,
    min_overlap: float = 0.5,
    exclude: Paths | None = None,
    valid: str | Sequence[str] | None = None,
    test: str | Sequence[str] | None = None,
    negatives: str | float = "keep",
    edge: str = "pad",
    max_n: float = 0.5,
    chrom_map: str | Path | Mapping[str, str] | None = None,
    skip_contigs: Sequence[str] = (),
    seed: int = 0,
) -> Dataset:
    """Make labelled windows, in memory, from a genome and peak files.

    Whole bins tile each contig from its first base; the last bases that fill no bin have no
    window. A bin is positive for a track when the union of the track's peaks covers at least
    ``min_overlap`` of it, and its window is centred on it.

    Parameters
    ----------
    genome
        FASTA file, or an open genome.
    tracks
        Folder of peak files, peak files, a track sheet (:func:`find_tracks`), or tracks.
    window, bin, stride
        Sizes in bases (:class:`Geometry`). Bins of validation and test always abut, whatever
        the stride.
    min_overlap
        Part of a bin that peaks must cover, above 0 and at most 1.
    exclude
        BED files, 0-based half-open; bins that share a base with them are dropped from every
        split. Stretches beyond a contig's end are cut there, with a warning.
    valid, test
        Contigs or regions (``chr:start-end``, 1-based, closed), or None to choose
        (:func:`held_out`). Windows of one split never share a base with those of another:
        training windows that would are dropped, and validation windows beside test.
    negatives
        Bins without a positive track: "keep", "drop" (in every split), or a number kept for
        each positive one in training, matched on GC (:func:`thin_negatives`).
    edge
        Windows that run over an end of their contig: "pad" keeps them, unknown bases taking
        the place of what is missing; "drop" drops them.
    max_n
        Largest part of a window, 0 to 1, that may be unknown; padding counts.
    chrom_map
        Contig names in peak and exclude files to the genome's, or a file of two tab-separated
        columns.
    skip_contigs
        Contigs left out altogether; they are not in the packed genome either.
    seed
        Determines which negatives are drawn.

    Returns
    -------
    Dataset
        Windows in genome order.

    Raises
    ------
    InputError
        When a file cannot be read; a number is outside its limits; a contig named by an
        option is unknown; no contig of a peak file is in the genome; a peak ends beyond its
        contig (with file and line); the held-out stretches overlap; or a split is empty.
    """
    geometry = Geometry(window, bin, stride)
    least_cover(bin, min_overlap)
    _check_options(negatives, edge, max_n)
    listed = _tracks(tracks)
    mapping = read_chrom_map(chrom_map) if isinstance(chrom_map, str | Path) else chrom_map
    reader = genome if isinstance(genome, Genome) else Genome(genome)
    try:
        contigs = _used_contigs(reader, skip_contigs)
        stretches = held_out(valid, test, contigs)
        grid = Grid.over(contigs, geometry)
        positives = find_positives(listed, grid, reader.contigs, min_overlap, mapping)
        excluded = [] if exclude is None else _paths(exclude)
        _exclude_files(grid, excluded, reader.contigs, mapping)
        packed = PackedGenome.from_contigs((name, reader.codes(name)) for name in contigs)
    finally:
        if reader is not genome:
            reader.close()
    drop_poor_windows(grid, packed, edge, max_n)
    assign_splits(grid, stretches)
    thin_negatives(grid, packed, _any_positive(grid, positives), negatives, seed)
    _refuse_empty(grid)
    build = {
        "genome": reader.path.name,
        "valid": [str(stretch) for stretch in stretches if stretch.split == "valid"],
        "test": [str(stretch) for stretch in stretches if stretch.split == "test"],
        "exclude": [path.name for path in excluded],
        "negatives": negatives,
        "edge": edge,
        "max_n": max_n,
        "skip_contigs": list(skip_contigs),
        "seed": seed,
        **_dropped(grid, positives, reader.contigs),
    }
    return _assemble(grid, packed, listed, positives, min_overlap, build)


def _dropped(grid: Grid, positives: Positives, genome: Mapping[str, int]) -> dict[str, Any]:
    """Bins that became no window and peaks passed over, by reason."""
    skipped = [size for name, size in genome.items() if name not in grid.contigs]
    return {
        "dropped_bins": {
            "skipped contig": sum(bins_of(size, grid.geometry) for size in skipped),
            **grid.counts(),
        },
        "dropped_peaks": {
            "contig not in the genome": positives.unknown,
            "skipped contig": positives.skipped,
        },
    }


def _assemble(
    grid: Grid,
    genome: PackedGenome,
    tracks: Sequence[Track],
    positives: Positives,
    min_overlap: float,
    build: Mapping[str, Any],
) -> Dataset:
    """Give the bins that have a split their rows and pack their labels."""
    kept = np.flatnonzero(grid.fate < len(SPLITS))
    contig, start = grid.places(kept)
    split = grid.fate[kept]
    row_of = np.full(grid.fate.size, -1, dtype=np.int32)
    row_of[kept] = np.arange(kept.size, dtype=np.int32)
    packed = np.zeros((kept.size, (len(tracks) + 7) // 8), dtype=np.uint8)
    counts = np.zeros((len(tracks), len(SPLITS)), dtype=np.int64)
    for number in range(len(tracks)):
        rows = row_of[positives.bins[number]]
        positives.bins[number] = rows[:0]
        set_bits(rows, number, split, packed, counts[number])
    _warn_without_positives(tracks, counts)
    return Dataset(
        genome=genome,
        contig=contig,
        start=start,
        split=split,
        packed=packed,
        tracks=tuple(track.name for track in tracks),
        groups=tuple(track.group for track in tracks),
        sources=tuple(track.path.name for track in tracks),
        peaks=positives.peaks,
        window=grid.geometry.window,
        bin=grid.geometry.bin,
        stride=grid.geometry.spacing,
        min_overlap=min_overlap,
        build=build,
    )


def _warn_without_positives(tracks: Sequence[Track], counts: np.ndarray) -> None:
    nowhere = counts.sum(axis=1) == 0
    for where, empty in (
        ("any split", nowhere),
        *((split, (counts[:, i] == 0) & ~nowhere) for i, split in enumerate(SPLITS)),
    ):
        names = [track.name for track, flag in zip(tracks, empty, strict=True) if flag]
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            log.warning("No positive window in %s: %s%s.", where, ", ".join(names[:10]), more)


def _any_positive(grid: Grid, positives: Positives) -> np.ndarray:
    flags = np.zeros(grid.fate.size, dtype=bool)
    for bins in positives.bins:
        flags[bins] = True
    return flags


def _refuse_empty(grid: Grid) -> None:
    counts = np.bincount(grid.fate, minlength=len(SPLITS))
    for number, split in enumerate(SPLITS):
        if counts[number] == 0:
            dropped = ", ".join(f"{name} {count:,}" for name, count in grid.counts().items())
            raise InputError(
                f"the {split} split is empty; bins dropped: {dropped}",
                remedy="Name other contigs or regions for the splits, or loosen what drops bins",
            )


def _check_options(negatives: str | float, edge: str, max_n: float) -> None:
    if isinstance(negatives, str):
        if negatives not in ("keep", "drop"):
            raise InputError(f"negatives are '{negatives}', not keep, drop or a number")
    elif not 0 < negatives < float("inf"):
        raise InputError(
            f"{negatives} negatives for each positive bin is not above 0",
            remedy="Use drop to keep none",
        )
    if edge not in ("pad", "drop"):
        raise InputError(f"edge is '{edge}', not pad or drop")
    if not 0 <= max_n <= 1:
        raise InputError(f"a largest part of unknown bases of {max_n:g} is outside 0 to 1")


def _used_contigs(genome: Genome, skip: Iterable[str]) -> dict[str, int]:
    skipped = set(skip)
    strange = sorted(skipped - set(genome.contigs))
    if strange:
        raise InputError(
            f"contigs to skip are not in the genome: {', '.join(strange)}",
            file=genome.path,
            remedy=f"It has {', '.join(list(genome.contigs)[:20])}",
        )
    used = {name: size for name, size in genome.contigs.items() if name not in skipped}
    if not used:
        raise InputError("every contig of the genome is skipped", file=genome.path)
    return used


def _exclude_files(
    grid: Grid,
    paths: Sequence[Path],
    genome: Mapping[str, int],
    chrom_map: Mapping[str, str] | None,
) -> None:
    for path in paths:
        reader = IntervalReader()
        intervals = reader.read(path)
        contig_of = reader.match(genome, source=str(path), chrom_map=chrom_map)
        beyond = 0
        for contig, start, end in by_contig(intervals, contig_of, list(genome)):
            beyond += int(np.count_nonzero(end > genome[contig]))
            if contig in grid.contigs:
                drop_overlapping(grid, contig, start, end)
        if beyond:
            log.warning(
                "%s: %s of %s regions to leave out reach beyond their contig's end; is the file "
                "of the same assembly?",
                path,
                f"{beyond:,}",
                f"{len(intervals.start):,}",
            )


def _paths(source: Paths) -> list[Path]:
    return [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]


def _tracks(source: Paths | Sequence[Track]) -> list[Track]:
    if not isinstance(source, str | Path) and source and isinstance(source[0], Track):
        return [track for track in source if isinstance(track, Track)]
    return find_tracks(source)  # pyright: ignore[reportArgumentType]
