"""From DeepSEA's files, or one-hot arrays of others, to a dataset."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from danq.datasets.array_files import open_arrays
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.dataset_summary import BuildSummary, summarise
from danq.datasets.one_hot_arrays import Labels, Sequences, blocks, check_channels, find_pairs
from danq.datasets.reverse_complement_pairs import PairFinder
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.output import check_target
from danq.track_names import track_names
from danq.typing import Codes, IntRow, LabelBatch, Progress

log = logging.getLogger("danq")

BIN = 200


class Part(NamedTuple):
    """The sequences and labels of one split, and the file they are in."""

    split: str
    path: Path
    sequences: Sequences
    labels: Labels


def convert_dataset(
    files: Sequence[str | Path],
    out: str | Path,
    *,
    overwrite: bool = False,
    **options: Any,
) -> BuildSummary:
    """Make a dataset file from DeepSEA's files or other one-hot arrays.

    Parameters
    ----------
    files, **options
        As for :func:`read_arrays`.
    out
        The HDF5 file to write; ``docs/formats.md`` draws it.
    overwrite
        Whether a file that lies at ``out`` may be replaced.

    Returns
    -------
    BuildSummary
        Windows, and positives by track and split.

    Raises
    ------
    InputError
        As :func:`read_arrays`; and when ``out`` exists and ``overwrite`` is false, or cannot be
        written. No file is left behind then.

    Examples
    --------
    >>> convert_dataset(["train.mat", "valid.mat", "test.mat"], "deepsea.h5")  # doctest: +SKIP
    """
    path = check_target(out, overwrite)
    dataset = read_arrays(files, **options)
    dataset.save(path, overwrite=overwrite)
    return summarise(dataclasses.replace(dataset, path=path))


def read_arrays(
    files: Sequence[str | Path],
    *,
    names: str | Path | None = None,
    channels: str | None = None,
    bin: int = BIN,
    progress: Progress | None = None,
) -> Dataset:
    """Read one-hot sequences and their labels into a dataset, in memory.

    Sequences are packed as they are read; memory holds the result, and some 100 MB besides. The
    sequences of a split lie one after the other on a contig that has the split's name, in the
    files' order, each at the start of a byte; their windows do not reach into each other. Where
    every row of a split has its reverse complement with the same labels in the split, each pair
    is stored once, as its first row.

    Parameters
    ----------
    files
        MATLAB v7.3 or v5, other HDF5, or npz. The split is known by DeepSEA's names
        (``trainxdata`` and ``traindata``, and so for valid and test); else three files are
        training, validation and test. Sequences are ``(n, 4, L)``, ``(n, L, 4)`` or
        ``(L, 4, n)``, one-hot or flags, with no channel set (or all 0.25) where a base is
        unknown; labels are ``(n, K)``, or ``(K, n)`` where rows come last.
    names
        File with the names of the tracks (:func:`danq.track_names.track_names`).
    channels
        Order of the channels, such as ``"ACGT"``. None is DeepSEA's AGCT for arrays with its
        names.
    bin
        Bases in the middle of a sequence that its labels speak of.
    progress
        Called with the bytes of arrays read, and those in all.

    Returns
    -------
    Dataset
        Windows in the order of splits, then of the file.

    Raises
    ------
    InputError
        When a file is missing (all are named), cut off or no such file; its arrays are not
        found, do not fit each other or those of another file; a base is not one-hot or a label
        not 0 or 1 (the first is named); two files are of one split; or names are not as many
        as tracks.
    """
    channels = check_channels(channels)
    _refuse_missing([Path(path) for path in files])
    with ExitStack() as stack:
        parts: list[Part] = []
        for number, path in enumerate(map(Path, files)):
            arrays = stack.enter_context(open_arrays(path))
            for split, sequences, labels in find_pairs(arrays, path, channels):
                if split is None and len(files) != len(SPLITS):
                    raise InputError(
                        "nothing tells which split these arrays are of",
                        file=path,
                        remedy="Give three files: training, validation, test",
                    )
                parts.append(Part(split or SPLITS[number], path, sequences, labels))
        parts.sort(key=lambda part: SPLITS.index(part.split))
        _refuse_mixed(parts, bin)
        tracks, groups = track_names(names, parts[0].labels.tracks)
        store = _Store(parts, _Watch(parts, progress))
        for part in parts:
            store.add(part)
    build = {
        "converted": [part.path.name for part in parts],
        "channels": {part.split: part.sequences.order for part in parts},
        "strand_pairs_stored_once": store.paired,
        "standalone": True,
    }
    return store.dataset(tracks, groups, bin, build)


class _Watch:
    """Counts the bytes that were read."""

    def __init__(self, parts: Sequence[Part], progress: Progress | None) -> None:
        arrays = [array for part in parts for array in (part.sequences.array, part.labels.array)]
        self.total = sum(int(np.prod(array.shape)) * array.itemsize for array in arrays)
        self.done, self.progress = 0, progress

    def __call__(self, size: int) -> None:
        self.done += size
        if self.progress is not None:
            self.progress(self.done, self.total)


class _Store:
    """Packed sequences and labels of all splits, in rooms that are filled from the front.

    The rooms have place for every row of every file; the system gives memory to what is written.
    """

    def __init__(self, parts: Sequence[Part], watch: _Watch) -> None:
        rows = sum(part.sequences.rows for part in parts)
        first = parts[0]
        self.length, self.slot = first.sequences.length, first.sequences.slot
        self.bases: Codes = np.empty((rows, self.slot), np.uint8)
        self.labels: LabelBatch = np.empty((rows, (first.labels.tracks + 7) // 8), np.uint8)
        self.watch = watch
        self.counts: dict[str, int] = {}
        self.paired: dict[str, bool] = {}
        self.runs: list[tuple[IntRow, IntRow]] = []

    def add(self, part: Part) -> None:
        """Read a split into the room behind those before it."""
        used = sum(self.counts.values())
        rows = part.sequences.rows
        bases, labels = self.bases[used : used + rows], self.labels[used : used + rows]
        finder = PairFinder(bases, labels, self.length)
        unknown: list[tuple[IntRow, IntRow]] = []
        for first, last in blocks(part.sequences, part.labels):
            room = slice(finder.kept, finder.kept + last - first)
            row, position = part.sequences.pack(first, last, bases[room], self.watch)
            part.labels.pack(first, last, labels[room], self.watch)
            unknown.append((row + first, position))
            finder.add(last - first, row, position)
        row, position = (np.concatenate(one) for one in zip(*unknown, strict=True))
        paired = finder.complete
        if paired:
            row, position = self._places(finder, row, position)
        else:
            finder.restore()
            self._blank(bases, row, position)
        self.counts[part.split], self.paired[part.split] = finder.kept, paired
        self.runs.append(_runs(row + used, position, 4 * self.slot))
        log.info(
            "%s: %s sequences%s.",
            part.path.name,
            f"{rows:,}",
            f", each beside its reverse complement: {finder.kept:,} pairs stored once"
            if paired
            else "",
        )

    @staticmethod
    def _places(finder: PairFinder, row: IntRow, position: IntRow) -> tuple[IntRow, IntRow]:
        place = finder.index[row].astype(np.int64)
        return place[place >= 0], position[place >= 0]

    @staticmethod
    def _blank(bases: Codes, row: IntRow, position: IntRow) -> None:
        """Store unknown bases as 0: the complement of one that was is not."""
        keep = ~(np.uint8(3) << (2 * (position % 4)).astype(np.uint8))
        np.bitwise_and.at(bases, (row, position // 4), keep)

    def dataset(
        self, tracks: tuple[str, ...], groups: tuple[str, ...], bin: int, build: dict[str, Any]
    ) -> Dataset:
        """The dataset that is kept here."""
        counts = np.array(list(self.counts.values()), np.int64)
        used = int(counts.sum())
        width = 4 * self.slot
        numbers = np.array([SPLITS.index(split) for split in self.counts], np.uint8)
        within = np.concatenate([np.arange(count) for count in counts])
        genome = PackedGenome(
            names=tuple(self.counts),
            lengths=counts * width,
            bases=self.bases[:used].reshape(-1),
            offsets=(np.cumsum(counts) - counts) * self.slot,
            n_start=np.concatenate([start for start, _ in self.runs]),
            n_end=np.concatenate([end for _, end in self.runs]),
        )
        return Dataset(
            genome=genome,
            contig=np.repeat(np.arange(counts.size, dtype=np.uint32), counts),
            start=within * width + self.length // 2 - bin // 2,
            split=np.repeat(numbers, counts),
            packed=self.labels[:used],
            tracks=tracks,
            groups=groups,
            sources=("",) * len(tracks),
            peaks=np.zeros(len(tracks), np.int64),
            window=self.length,
            bin=bin,
            stride=bin,
            min_overlap=0.5,
            build=build,
        )


def _runs(row: IntRow, position: IntRow, width: int) -> tuple[IntRow, IntRow]:
    """Runs of unknown bases in global coordinates, from their places in order of rows."""
    order = np.lexsort((position, row))
    at = row[order] * width + position[order]
    if not at.size:
        return at, at
    new = np.flatnonzero(np.diff(at) != 1) + 1
    return at[np.concatenate([[0], new])], at[np.concatenate([new - 1, [at.size - 1]])] + 1


def _refuse_missing(files: Sequence[Path]) -> None:
    missing = [path for path in files if not path.is_file()]
    if missing:
        several = len(missing) > 1
        raise InputError(
            f"there {'are no such files' if several else 'is no such file'}: "
            + ", ".join(map(str, missing)),
            remedy="Check the path" + "s" * several,
        )
    if not files:
        raise InputError("no files were given", remedy="Name train.mat, valid.mat and test.mat")


def _refuse_mixed(parts: Sequence[Part], bin: int) -> None:
    for one, other in pairwise(parts):
        if one.split == other.split:
            raise InputError(
                f"holds the {one.split} split, and so does {one.path}",
                file=other.path,
                remedy="Give one file for each split",
            )
    first = parts[0]
    for part in parts[1:]:
        for what, ours, theirs in (
            ("bases a sequence", part.sequences.length, first.sequences.length),
            ("tracks", part.labels.tracks, first.labels.tracks),
        ):
            if ours != theirs:
                raise InputError(
                    f"has {ours:,} {what}, but {first.path} has {theirs:,}", file=part.path
                )
    length = first.sequences.length
    if not 1 <= bin <= length:
        raise InputError(
            f"a bin of {bin:,} bases is not within the sequences of {length:,}",
            file=first.path,
            remedy="Say how many bases in the middle the labels speak of",
        )
    for split in SPLITS:
        if all(part.split != split for part in parts):
            log.warning("No file holds the %s split; the data set has no windows of it.", split)
