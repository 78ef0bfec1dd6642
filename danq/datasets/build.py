"""Make labelled windows from a genome and peak files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.alternate_contigs import matching_contigs, report_alternate_contigs
from danq.datasets.bin_grid import (
    LEAK,
    UNSET,
    Grid,
    assign_splits,
    bins_of,
    drop_poor_windows,
)
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.dataset_summary import BuildSummary, saved_as, summarise
from danq.datasets.excluded_regions import exclude_files
from danq.datasets.label_bits import set_bits
from danq.datasets.label_options import LabelOptions, Paths
from danq.datasets.leaked_windows import report_identical, report_leaked
from danq.datasets.negatives import thin_negatives
from danq.datasets.peak_labels import Positives, find_positives
from danq.datasets.shared_sequence import WindowTable, drop_sources
from danq.datasets.signal_files import find_signals
from danq.datasets.signal_tracks import add_amounts
from danq.datasets.splits import HeldOutRegion, held_out
from danq.datasets.track_files import check_tracks, find_tracks
from danq.datasets.track_sheet import Track
from danq.errors import InputError, few
from danq.files.inputs_in_use import protects_inputs
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import UnknownContig, parse_regions
from danq.output import check_target

log = logging.getLogger("danq")


@protects_inputs
def build_dataset(
    out: str | Path,
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track] | None,
    *,
    window: int = 1000,
    valid: str | Sequence[str] | None = None,
    test: str | Sequence[str] | None = None,
    options: LabelOptions | None = None,
    overwrite: bool = False,
) -> BuildSummary:
    """Write a dataset file made from a genome and files of peaks, signals or both.

    Parameters
    ----------
    out
        The HDF5 file to write; ``docs/formats.md`` describes it.
    genome, tracks, window, valid, test, options
        As for :func:`label_genome`.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    BuildSummary
        Windows, positives per track and split, and what was dropped and why.

    Raises
    ------
    InputError
        As :func:`label_genome`; and when ``out`` exists and ``overwrite`` is false, or cannot
        be written. No file is left behind then.

    Examples
    --------
    >>> build_dataset(  # doctest: +SKIP
    ...     "yeast.h5", "sacCer3.fa", "peaks/", window=500, valid="chrXV", test="chrIV"
    ... )
    """
    path = check_target(out, overwrite)
    dataset = label_genome(genome, tracks, window=window, valid=valid, test=test, options=options)
    dataset.save(path, overwrite=overwrite)
    summary = summarise(saved_as(dataset, path), leaks="leaked" in dataset.__dict__)
    for line in summary.quality.lines():
        log.warning("Check these tracks: %s.", line)
    return summary


def label_genome(
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track] | None,
    *,
    window: int = 1000,
    valid: str | Sequence[str] | None = None,
    test: str | Sequence[str] | None = None,
    options: LabelOptions | None = None,
) -> Dataset:
    """Make labelled windows, in memory, from a genome and files of peaks, signals or both.

    Whole bins tile each contig from its first base; the last bases that do not fill a bin have
    no window. A bin is positive for a track when the union of the track's peaks covers at least
    ``min_overlap`` of it. Its window is centred on it.

    Parameters
    ----------
    genome
        FASTA file, or an open genome.
    tracks
        Folder of peak files, peak files, a track sheet (:func:`find_tracks`), or tracks. None for
        tracks of signals only (``options.signal``).
    window
        Bases of a window.
    valid, test
        Contigs or regions (``chr:start-end``, 1-based, closed) of the validation and test
        split; None chooses them (:func:`held_out`). Windows of two splits never share a base:
        training windows next to a held-out region are dropped, and validation windows next to
        a test region.
    options
        Bins, filters, negatives and contig names; None takes the defaults.

    Returns
    -------
    Dataset
        Windows in genome order.

    Raises
    ------
    InputError
        When a file cannot be read; a value is outside its limits; an argument names an unknown
        contig; no contig of a peak file is in the genome; a peak ends beyond its contig (with
        file and line); the held-out regions overlap; or a split is empty.
    """
    return _label(genome, tracks, window, options, lambda contigs: held_out(valid, test, contigs))


def label_undivided(
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track] | None,
    *,
    window: int = 1000,
    options: LabelOptions | None = None,
) -> Dataset:
    """As :func:`label_genome`, with all windows in the training split, to divide them later.

    Leaked windows are neither dropped nor reported.

    Raises
    ------
    InputError
        As :func:`label_genome`; when ``options.negatives`` is a number, which keeps different
        windows in different splits.
    """
    if options is not None and not isinstance(options.negatives, str):
        raise InputError(
            f"negatives is {options.negatives:g}, which drops windows of the training split alone, "
            "but in folds all windows are tested",
            remedy="Use keep or drop",
        )
    return _label(genome, tracks, window, options, None)


def _label(
    genome: str | Path | Genome,
    tracks: Paths | Sequence[Track] | None,
    window: int,
    options: LabelOptions | None,
    held: Callable[[Mapping[str, int]], list[HeldOutRegion]] | None,
) -> Dataset:
    options = options or LabelOptions()
    geometry = options.geometry(window)
    listed, signals = _tracks(tracks, options)
    chrom_map = options.chrom_map
    if isinstance(chrom_map, str | Path):
        chrom_map = read_chrom_map(chrom_map)
    reader = genome if isinstance(genome, Genome) else Genome(genome)
    try:
        contigs, skipped = _used_contigs(reader, options.skip_contigs)
        report_alternate_contigs(contigs)
        regions = [] if held is None else held(contigs)
        grid = Grid.over(contigs, geometry)
        positives = Positives([], np.zeros(0, np.int64), 0, 0)
        if listed:
            positives = find_positives(listed, grid, reader.contigs, options.min_overlap, chrom_map)
        exclude_files(grid, options.excluded, reader.contigs, chrom_map)
        packed = PackedGenome.from_contigs((name, reader.codes(name)) for name in contigs)
    finally:
        if reader is not genome:
            reader.close()
    drop_poor_windows(grid, packed, options.edge, options.max_n)
    if held is None:
        grid.fate[grid.fate == UNSET] = 0
    else:
        assign_splits(grid, regions)
    positive = _any_positive(grid, positives)
    thin_negatives(grid, packed, positive, options.negatives, options.seed)
    splits = SPLITS[:1] if held is None else SPLITS
    _refuse_empty(grid, splits)
    leaked = _drop_leaked(grid, packed) if options.drop_leaked and held else None
    build = {
        "genome": reader.path.name,
        "valid": [str(region) for region in regions if region.split == "valid"],
        "test": [str(region) for region in regions if region.split == "test"],
        "exclude": [path.name for path in options.excluded],
        "negatives": options.negatives,
        "edge": options.edge,
        "max_n": options.max_n,
        "skip_contigs": skipped,
        "drop_leaked": options.drop_leaked,
        "seed": options.seed,
        **_dropped(grid, positives, reader.contigs),
    }
    dataset = _assemble(grid, packed, listed, positives, options, build)
    if signals:
        amounts = replace(options.amounts, chrom_map=chrom_map or {})
        dataset = add_amounts(dataset, signals, reader.contigs, amounts)
    if held is None:
        return dataset
    if leaked is None:
        report_identical(dataset)
    else:
        if leaked.size == len(dataset):
            # Of the windows that are left, so they need not be searched again.
            dataset.__dict__["leaked"] = leaked
        report_leaked(dataset)
    return dataset


def _drop_leaked(grid: Grid, genome: PackedGenome) -> np.ndarray:
    """Drop the training bins of leaked sequence; values of `find_leaked` for the others."""
    kept = np.flatnonzero(grid.fate < len(SPLITS))
    contig, start = grid.positions(kept)
    first, split, window = start - grid.geometry.before, grid.fate[kept], grid.geometry.window
    rows, leaked = drop_sources(WindowTable(genome, contig, first, split, window))
    if rows.size < kept.size:
        log.info(
            "%s training windows contain sequence of held-out windows and were dropped.",
            f"{kept.size - rows.size:,}",
        )
        grid.fate[np.delete(kept, rows)] = LEAK
        _refuse_empty(grid)
    return leaked


def _dropped(grid: Grid, positives: Positives, genome: Mapping[str, int]) -> dict[str, Any]:
    """Dropped bins and dropped peaks, by reason."""
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
    options: LabelOptions,
    build: Mapping[str, Any],
) -> Dataset:
    """Make a row of each bin that has a split, and pack its labels."""
    kept = np.flatnonzero(grid.fate < len(SPLITS))
    contig, start = grid.positions(kept)
    split = grid.fate[kept]
    row_of = np.full(grid.fate.size, -1, dtype=np.int32)
    row_of[kept] = np.arange(kept.size, dtype=np.int32)
    packed = np.zeros((kept.size, (len(tracks) + 7) // 8), dtype=np.uint8)
    counts = np.zeros((len(tracks), len(SPLITS)), dtype=np.int64)
    for number in range(len(tracks)):
        rows = row_of[positives.bins[number]]
        positives.bins[number] = rows[:0]
        set_bits(rows, number, split, packed, counts[number])
    _warn_without_positives(tracks, counts, SPLITS if split.any() else SPLITS[:1])
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
        min_overlap=options.min_overlap,
        build=build,
        oriented=options.oriented,
    )


def _warn_without_positives(
    tracks: Sequence[Track], counts: np.ndarray, splits: Sequence[str]
) -> None:
    nowhere = counts.sum(axis=1) == 0
    for where, empty in (
        ("any split", nowhere),
        *((split, (counts[:, i] == 0) & ~nowhere) for i, split in enumerate(splits)),
    ):
        names = [track.name for track, flag in zip(tracks, empty, strict=True) if flag]
        if names:
            log.warning("No positive window in %s: %s.", where, few(names, 10))


def _any_positive(grid: Grid, positives: Positives) -> np.ndarray:
    flags = np.zeros(grid.fate.size, dtype=bool)
    for bins in positives.bins:
        flags[bins] = True
    return flags


def _refuse_empty(grid: Grid, splits: Sequence[str] = SPLITS) -> None:
    counts = np.bincount(grid.fate, minlength=len(SPLITS))
    for number, split in enumerate(splits):
        if counts[number] == 0:
            dropped = ", ".join(f"{name} {count:,}" for name, count in grid.counts().items())
            raise InputError(
                f"the {split} split is empty; bins dropped: {dropped}",
                remedy="Choose other contigs or regions, or relax the options that drop bins",
            )


def _used_contigs(genome: Genome, skip: str | Sequence[str]) -> tuple[dict[str, int], list[str]]:
    """Lengths of the contigs that are used, and names of those that are skipped."""
    skip = matching_contigs(skip, genome.contigs)
    try:
        listed = bool(skip) or isinstance(skip, str)
        regions = (
            parse_regions(skip, genome.contigs, source="the contigs to skip") if listed else []
        )
    except UnknownContig as error:
        raise InputError(
            f"contigs to skip are not in the genome: {error.name}",
            file=genome.path,
            remedy=f"It has {few(genome.contigs, 20)}",
        ) from error
    parts = [one for one in regions if one.end - one.start < genome.contigs[one.contig]]
    if parts:
        raise InputError(
            f"contigs to skip name a part of {parts[0].contig}",
            remedy="Skip whole contigs, or exclude regions with a BED file",
        )
    skipped = [region.contig for region in regions]
    left_out = set(skipped)
    used = {name: size for name, size in genome.contigs.items() if name not in left_out}
    if not used:
        raise InputError("every contig of the genome is skipped", file=genome.path)
    return used, skipped


def _tracks(
    source: Paths | Sequence[Track] | None, options: LabelOptions
) -> tuple[list[Track], list[Track]]:
    """Tracks of peaks, and tracks of signals."""
    if source is None:
        peaks = []
        if options.signal is None:
            raise InputError("no tracks were given", remedy="Give files of peaks or of signals")
        if options.negatives != "keep":
            raise InputError(
                f"negatives is {options.negatives}, but without peaks no bin is negative",
                remedy="Leave negatives out, or give files of peaks, too",
            )
    elif not isinstance(source, str | Path) and source and isinstance(source[0], Track):
        peaks = [track for track in source if isinstance(track, Track)]
    else:
        peaks = find_tracks(source)  # pyright: ignore[reportArgumentType]
    signals = [] if options.signal is None else find_signals(options.signal)
    related = [track.name for track in peaks if track.reverse or track.replicates]
    if related:
        log.info("reverse_track and replicate_of are not used for peaks: %s", few(related))
    check_tracks([*peaks, *signals])
    return peaks, signals
