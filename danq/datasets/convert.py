"""Convert DeepSEA's files and other one-hot arrays to a dataset."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from danq.datasets.array_files import open_arrays
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.dataset_summary import BuildSummary, saved_as, summarise
from danq.datasets.leaked_windows import report_identical
from danq.datasets.one_hot_arrays import (
    Labels,
    Sequences,
    Watch,
    blocks,
    check_channels,
    find_pairs,
)
from danq.datasets.reverse_complement_pairs import PairFinder
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.genome.packed_genome import PackedGenome
from danq.output import check_target
from danq.progress import stage
from danq.track_names import track_names
from danq.typing import Codes, IntRow, LabelBatch

log = logging.getLogger("danq")

BIN = 200


class Part(NamedTuple):
    """Sequences and labels of one split, and their file."""

    split: str
    path: Path
    sequences: Sequences
    labels: Labels


@protects_inputs
def convert_dataset(
    out: str | Path,
    files: Sequence[str | Path],
    *,
    names: str | Path | None = None,
    channels: str | None = None,
    bin: int = BIN,
    overwrite: bool = False,
) -> BuildSummary:
    """Write a dataset file made from DeepSEA's files or other one-hot arrays.

    Parameters
    ----------
    out
        The HDF5 file to write; ``docs/formats.md`` describes it.
    files, names, channels, bin
        As for :func:`read_arrays`.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    BuildSummary
        Windows, and positives per track and split.

    Raises
    ------
    InputError
        As :func:`read_arrays`; and when ``out`` exists and ``overwrite`` is false, or cannot be
        written. No file is left behind then.

    Examples
    --------
    >>> convert_dataset("deepsea.h5", ["train.mat", "valid.mat", "test.mat"])  # doctest: +SKIP
    """
    path = check_target(out, overwrite)
    dataset = read_arrays(files, names=names, channels=channels, bin=bin)
    dataset.save(path, overwrite=overwrite)
    return summarise(saved_as(dataset, path), leaks=False)


def read_arrays(
    files: Sequence[str | Path],
    *,
    names: str | Path | None = None,
    channels: str | None = None,
    bin: int = BIN,
) -> Dataset:
    """Read one-hot sequences and their labels into a dataset, in memory.

    Sequences are packed as they are read; memory holds the result and about 100 MB more. The
    sequences of a split form one contig with the split's name, in the order of the file, each at
    the start of a byte; windows never extend into the next sequence. If every row of a split has
    its reverse complement with the same labels in the split, only the first row of each pair is
    stored.

    Parameters
    ----------
    files
        MATLAB v7.3 or v5, other HDF5, or npz. DeepSEA's array names (``trainxdata`` and
        ``traindata``, also for valid and test) define the split; otherwise the three files are
        training, validation and test. Sequences are ``(n, 4, L)``, ``(n, L, 4)`` or
        ``(L, 4, n)``, one-hot, with all channels 0 (or 0.25) for N; labels are ``(n, K)``, or
        ``(K, n)`` if rows are the last axis.
    names
        File with the names of the tracks (:func:`danq.track_names.track_names`); None for
        numbers.
    channels
        Order of the channels, such as ``"ACGT"``. None means AGCT for arrays with DeepSEA's
        names, and is an error for others.
    bin
        Bases in the middle of a sequence that its labels refer to.

    Returns
    -------
    Dataset
        Windows in the order of splits, then of the file.

    Raises
    ------
    InputError
        When files are missing (all are listed), truncated or of another format; arrays are not
        found, or their shapes do not match each other or another file; a base is not one-hot or
        a label is not 0 or 1 (the first one is reported); two files are of one split; or the
        number of names differs from the number of tracks.
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
                        "the split of these arrays is not known",
                        file=path,
                        remedy="Give three files: training, validation and test",
                    )
                parts.append(Part(split or SPLITS[number], path, sequences, labels))
        parts.sort(key=lambda part: SPLITS.index(part.split))
        _refuse_mixed(parts, bin)
        tracks, groups = track_names(names, parts[0].labels.tracks)
        with _reading(parts) as watch:
            store = _Store(parts, watch)
            for part in parts:
                store.add(part)
    build = {
        "converted": [part.path.name for part in parts],
        "channels": {part.split: part.sequences.order for part in parts},
        "strand_pairs_stored_once": store.paired,
        "standalone": True,
    }
    dataset = store.dataset(tracks, groups, bin, build)
    report_identical(dataset)
    return dataset


@contextmanager
def _reading(parts: Sequence[Part]) -> Iterator[Watch]:
    """Stage of the reading: a function to call with the number of bytes of each slab."""
    arrays = [array for part in parts for array in (part.sequences.array, part.labels.array)]
    total = sum(int(np.prod(array.shape)) * array.itemsize for array in arrays)
    read = 0
    with stage("reading", "MB", total // 10**6) as now:

        def watch(size: int) -> None:
            nonlocal read
            read += size
            now.reach(read // 10**6)

        yield watch


class _Store:
    """Packed sequences and labels of all splits, in arrays that are filled from the front.

    The arrays have room for every row of every file; only rows that are written use memory.
    """

    def __init__(self, parts: Sequence[Part], watch: Watch) -> None:
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
        """Read a split and store it after the earlier ones."""
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
            row, position = self._kept_rows(finder, row, position)
        else:
            finder.restore()
            self._blank(bases, row, position)
        self.counts[part.split], self.paired[part.split] = finder.kept, paired
        self.runs.append(_runs(row + used, position, 4 * self.slot))
        log.info(
            "%s: %s sequences%s.",
            part.path.name,
            f"{rows:,}",
            f", with their reverse complements: {finder.kept:,} pairs stored once"
            if paired
            else "",
        )

    @staticmethod
    def _kept_rows(finder: PairFinder, row: IntRow, position: IntRow) -> tuple[IntRow, IntRow]:
        index = finder.index[row].astype(np.int64)
        return index[index >= 0], position[index >= 0]

    @staticmethod
    def _blank(bases: Codes, row: IntRow, position: IntRow) -> None:
        """Store N as 0; in a complement it is 3."""
        keep = ~(np.uint8(3) << (2 * (position % 4)).astype(np.uint8))
        np.bitwise_and.at(bases, (row, position // 4), keep)

    def dataset(
        self, tracks: tuple[str, ...], groups: tuple[str, ...], bin: int, build: dict[str, Any]
    ) -> Dataset:
        """Make the dataset."""
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
    """Runs of N in global coordinates, from the row and position of each."""
    order = np.lexsort((position, row))
    at = row[order] * width + position[order]
    if not at.size:
        return at, at
    new = np.flatnonzero(np.diff(at) != 1) + 1
    return at[np.concatenate([[0], new])], at[np.concatenate([new - 1, [at.size - 1]])] + 1


def _refuse_missing(files: Sequence[Path]) -> None:
    missing = [path for path in files if not path.exists()]
    if missing:
        several = len(missing) > 1
        raise InputError(
            f"there {'are no such files' if several else 'is no such file'}: "
            + ", ".join(map(str, missing)),
            remedy="Check the path" + "s" * several,
        )
    if not files:
        raise InputError("no files were given", remedy="Give train.mat, valid.mat and test.mat")


def _refuse_mixed(parts: Sequence[Part], bin: int) -> None:
    for one, other in pairwise(parts):
        if one.split == other.split:
            raise InputError(
                f"has the {one.split} split, and so does {one.path}",
                file=other.path,
                remedy="Give one file for each split",
            )
    first = parts[0]
    for part in parts[1:]:
        for what, ours, theirs in (
            ("bases per sequence", part.sequences.length, first.sequences.length),
            ("tracks", part.labels.tracks, first.labels.tracks),
        ):
            if ours != theirs:
                raise InputError(
                    f"has {ours:,} {what}, but {first.path} has {theirs:,}", file=part.path
                )
    length = first.sequences.length
    if not 1 <= bin <= length:
        raise InputError(
            f"a bin of {bin:,} bases does not fit into sequences of {length:,}",
            file=first.path,
            remedy="Set bin to the number of bases in the middle that the labels refer to",
        )
    for split in SPLITS:
        if all(part.split != split for part in parts):
            log.warning("No file has the %s split; the dataset has no windows of it.", split)
