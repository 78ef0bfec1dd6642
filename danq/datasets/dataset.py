"""The dataset: labelled windows in memory, read from and written to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from danq.amounts import AmountUnit
from danq.datasets import dataset_checks as checks
from danq.datasets.dataset_content import read_content, update_checksum, write_content
from danq.datasets.dataset_format import KIND, SPLITS, open_file, split_number
from danq.datasets.display_dataset import display_dataset, summarise_size
from danq.datasets.hdf5_writer import writing
from danq.datasets.label_bits import count_bits, read_bits
from danq.datasets.leaked_windows import leaked_windows
from danq.datasets.track_amounts import Amounts, TrackGroup, WindowValues, take
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.notebook_display import Display, display_html
from danq.output import replacing
from danq.progress import stage
from danq.typing import CodeBatch, IntRow, LabelBatch


@dataclass(frozen=True, eq=False)
class Dataset:
    """Windows of a genome or standalone sequences, their labels and amounts, and their splits.

    Everything is in memory: 2 bits per base of the genome, 1 bit per label, 4 bytes per amount.
    The ``P`` tracks of peaks come first, then the ``A`` tracks of amounts; ``K = P + A``.

    Attributes
    ----------
    genome
        The packed genome.
    contig
        ``(W,)`` uint32 contig number of each window, an index in ``genome.names``.
    start
        ``(W,)`` int64 0-based start of each window's bin on its contig.
    split
        ``(W,)`` uint8: 0 train, 1 valid, 2 test.
    packed
        ``(W, ceil(P / 8))`` uint8 labels of peaks, track ``k`` in bit ``k % 8`` of byte ``k // 8``.
    tracks, groups, sources
        Name, group (may be empty) and file of each of the ``K`` tracks.
    peaks
        ``(P,)`` int64 number of peaks read for each track of peaks.
    window
        Bases ``L`` of a window, centred on its bin.
    bin
        Bases that the labels refer to.
    stride
        Bases from one training bin to the next.
    min_overlap
        Fraction of a bin that peaks must cover for the bin to be positive.
    build
        How the dataset was made: options, and the number of bins that each rule dropped.
    path
        The file it was read from or written to, if any.
    measured
        The amounts; None without tracks of amounts.
    values
        Lengths, weights and folds of windows.
    oriented
        Whether the sequences have a strand, so that their reverse complements are not used.
    """

    genome: PackedGenome
    contig: np.ndarray
    start: IntRow
    split: np.ndarray
    packed: LabelBatch
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    sources: tuple[str, ...]
    peaks: IntRow
    window: int
    bin: int
    stride: int
    min_overlap: float
    build: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    measured: Amounts | None = None
    values: WindowValues = field(default_factory=WindowValues)
    oriented: bool = False

    def __post_init__(self) -> None:
        windows, tracks, peaks = self.start.size, len(self.tracks), self.peaks.size
        if not self.contig.shape == self.start.shape == self.split.shape == (windows,):
            raise self._mismatch("contig, start and split differ in length")
        if self.packed.shape != (windows, (peaks + 7) // 8):
            raise self._mismatch(
                f"labels have shape {self.packed.shape}, "
                f"but there are {windows} windows and {peaks} tracks of peaks"
            )
        if not len(self.groups) == len(self.sources) == peaks + len(self.units) == tracks:
            raise self._mismatch(
                "the numbers of names, groups, sources, and peaks or units of tracks differ"
            )
        if self.measured is not None and len(self.measured.values) != windows:
            raise self._mismatch(
                f"there are amounts of {len(self.measured.values):,} windows, not {windows:,}"
            )
        if windows and int(self.contig.max()) >= len(self.genome.names):
            raise self._mismatch(f"contig number {self.contig.max()} is not in the genome")
        if windows and int(self.split.max()) >= len(SPLITS):
            raise self._mismatch(f"split number {self.split.max()} is above 2")

    def _mismatch(self, problem: str) -> InputError:
        return InputError(problem, file=self.path)

    @classmethod
    def open(cls, path: str | Path) -> Dataset:
        """Read a dataset file completely.

        Parameters
        ----------
        path
            File written by :meth:`save`; ``docs/formats.md`` describes it.

        Raises
        ------
        InputError
            When the file is missing, not HDF5, truncated, another program's HDF5, of another
            format version, incomplete, changed, or inconsistent.
        """
        path = Path(path)
        with open_file(path) as file:
            dataset = cls(**read_content(file), path=path)
            checks.check_content(dataset)
            return dataset

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the dataset file, under a temporary name until it is complete.

        Parameters
        ----------
        path
            File to write.
        overwrite
            Whether to replace an existing file.

        Raises
        ------
        InputError
            When ``path`` exists and ``overwrite`` is false, or it cannot be written.
        """
        with (
            stage("writing the dataset"),
            replacing(path, overwrite) as temporary,
            writing(temporary, KIND) as file,
        ):
            write_content(file, self)

    def __len__(self) -> int:
        return self.start.size

    def __repr__(self) -> str:
        return f"Dataset({summarise_size(self)})"

    _repr_html_ = display_html

    def _display(self) -> Display:
        return display_dataset(self)

    @property
    def standalone(self) -> bool:
        """Whether windows are standalone sequences, without the bases around them."""
        return bool(self.build.get("standalone", False))

    @property
    def units(self) -> tuple[AmountUnit, ...]:
        """Unit of each of the ``A`` tracks of amounts."""
        return () if self.measured is None else self.measured.units

    @property
    def targets(self) -> tuple[TrackGroup, ...]:
        """Groups of tracks by kind, in the order of the tracks."""
        peaks = (TrackGroup("peaks", self.peaks.size),) if self.peaks.size else ()
        return peaks if self.measured is None else (*peaks, self.measured.group)

    @property
    def folds(self) -> np.ndarray | None:
        """``(W,)`` int32 index of the fold of each window in ``values.fold_names``, if given."""
        return self.values.folds

    @cached_property
    def leaked(self) -> np.ndarray:
        """``(W,)`` uint8 of :func:`danq.datasets.shared_sequence.find_leaked`, computed once."""
        return leaked_windows(self)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over the sizes, the genome, the windows, the tracks, labels and amounts."""
        header = (self.window, self.bin, self.stride, self.min_overlap, self.tracks, self.groups)
        sha = hashlib.sha256(json.dumps([*header, self.genome.sha256]).encode())
        for array, dtype in (
            (self.contig, "<u4"),
            (self.start, "<i8"),
            (self.split, "|u1"),
            (self.packed, "|u1"),
        ):
            sha.update(np.ascontiguousarray(array, dtype=dtype).data)
        update_checksum(sha, self)
        return sha.hexdigest()

    def indices(self, split: str) -> IntRow:
        """Indices of the windows of one split, in genome order.

        Parameters
        ----------
        split
            "train", "valid" or "test".

        Returns
        -------
        IntRow
            ``(n,)`` int64.

        Raises
        ------
        InputError
            When there is no split of that name.
        """
        return np.flatnonzero(self.split == split_number(split))

    def codes(
        self, indices: ArrayLike, reverse: ArrayLike | None = None, shift: ArrayLike | None = None
    ) -> CodeBatch:
        """Codes of windows.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.
        reverse
            ``(B,)`` True where the window is reverse-complemented.
        shift
            ``(B,)`` bases by which each window is shifted towards the contig's end. A window
            starts at its bin's start ``+ bin // 2 - window // 2 + shift``.

        Returns
        -------
        CodeBatch
            ``(B, L)`` uint8; 4 where a base is N or outside the contig.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        contig, starts = self.positions(indices)
        if shift is not None:
            starts += np.asarray(shift, dtype=np.int64)
        flips = None if reverse is None else np.asarray(reverse, dtype=np.bool_)
        return self.genome.windows(contig, starts, self.window, flips)

    def positions(self, indices: ArrayLike) -> tuple[IntRow, IntRow]:
        """Contig numbers and first positions of windows, which may be negative.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        rows, before = self.checked(indices), self.bin // 2 - self.window // 2
        return self.contig[rows].astype(np.int64), self.start[rows] + before

    def labels(self, indices: ArrayLike) -> LabelBatch:
        """Labels of windows.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.

        Returns
        -------
        LabelBatch
            ``(B, P)`` uint8, 0 or 1, of the tracks of peaks.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        rows = self.checked(indices)
        out = np.empty((rows.size, self.peaks.size), dtype=np.uint8)
        read_bits(self.packed, rows, out)
        return out

    def amounts(self, indices: ArrayLike, reverse: ArrayLike | None = None) -> np.ndarray:
        """Amounts of windows.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.
        reverse
            ``(B,)`` True where amounts are to be those of the reverse strand
            (`danq.datasets.track_amounts.take`).

        Returns
        -------
        numpy.ndarray
            ``(B, A)`` float32, or ``(B, A, S)`` for profiles, in `units`; NaN where masked.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        rows = self.checked(indices)
        if self.measured is None:
            return np.empty((rows.size, 0), np.float32)
        return take(self.measured, rows, None if reverse is None else np.asarray(reverse))

    def target_values(self, indices: ArrayLike, reverse: ArrayLike | None = None) -> np.ndarray:
        """Values of all `targets`, group after group: labels, then amounts or steps of profiles.

        Parameters are those of `amounts`.

        Returns
        -------
        numpy.ndarray
            ``(B, P + A S)`` float32; NaN where masked.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        rows = self.checked(indices)
        amounts = self.amounts(rows, reverse).reshape(rows.size, -1)
        return np.concatenate([self.labels(rows).astype(np.float32), amounts], axis=1)

    def lengths(self, indices: ArrayLike) -> np.ndarray:
        """``(B,)`` int32 bases of windows without padding; errors as `checked`."""
        rows, lengths = self.checked(indices), self.values.lengths
        return np.full(rows.size, self.window, np.int32) if lengths is None else lengths[rows]

    def weights(self, indices: ArrayLike) -> np.ndarray:
        """``(B,)`` float32 weights of windows in the loss, 1 unless given; errors as `checked`."""
        rows, weights = self.checked(indices), self.values.weights
        return np.ones(rows.size, np.float32) if weights is None else weights[rows]

    def positives(self, split: str) -> IntRow:
        """Number of positive windows of each track of peaks in one split.

        Returns
        -------
        IntRow
            ``(P,)`` int64.

        Raises
        ------
        InputError
            When there is no split of that name.
        """
        return self._positives[split_number(split)].copy()

    @cached_property
    def _positives(self) -> IntRow:
        counts = np.zeros((len(SPLITS), 8 * self.packed.shape[1]), dtype=np.int64)
        count_bits(np.ascontiguousarray(self.packed), self.split, counts)
        return counts[:, : self.peaks.size]

    def checked(self, indices: ArrayLike) -> IntRow:
        """Indices of windows as an int64 array, after checking them.

        Parameters
        ----------
        indices
            ``(B,)`` indices of windows.

        Raises
        ------
        InputError
            When they are not one-dimensional, or one is out of range.
        """
        rows = np.ascontiguousarray(indices, dtype=np.int64)
        if rows.ndim != 1:
            raise InputError(f"window indices have shape {rows.shape}, not (B,)")
        if rows.size and not 0 <= rows.min() <= rows.max() < len(self):
            bad = rows[(rows < 0) | (rows >= len(self))][0]
            raise InputError(f"window index {bad} is outside 0 to {len(self) - 1}")
        return rows
