"""The dataset: labelled windows in memory, read from and written to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike

from danq._version import __version__
from danq.datasets import dataset_checks as checks
from danq.datasets.dataset_format import (
    ARRAYS,
    FORMAT_VERSION,
    KIND,
    MAGIC,
    SPLITS,
    TEXTS,
    open_file,
    split_number,
)
from danq.datasets.hdf5_writer import writing
from danq.datasets.label_bits import count_bits, read_bits
from danq.datasets.leaked_windows import leaked_windows
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.output import replacing
from danq.typing import CodeBatch, IntRow, LabelBatch

ROWS_PER_CHUNK = 1 << 14


@dataclass(frozen=True, eq=False)
class Dataset:
    """Windows of a genome, their labels for every track, and their splits.

    Everything is in memory: 2 bits per base of the genome, 1 bit per label.

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
        ``(W, ceil(K / 8))`` uint8 labels, track ``k`` in bit ``k % 8`` of byte ``k // 8``.
    tracks, groups, sources
        Name, group (may be empty) and peak file of each of the ``K`` tracks.
    peaks
        ``(K,)`` int64 number of peaks read for each track.
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

    def __post_init__(self) -> None:
        windows, tracks = self.start.size, len(self.tracks)
        if not self.contig.shape == self.start.shape == self.split.shape == (windows,):
            raise self._mismatch("contig, start and split differ in length")
        if self.packed.shape != (windows, (tracks + 7) // 8):
            raise self._mismatch(
                f"labels have shape {self.packed.shape}, "
                f"but there are {windows} windows and {tracks} tracks"
            )
        if not len(self.groups) == len(self.sources) == self.peaks.size == tracks:
            raise self._mismatch("the numbers of names, groups, sources and peaks of tracks differ")
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
            arrays = {name: file.read(name, dtype) for name, dtype in ARRAYS.items()}
            texts = {name: file.texts(name, fixed=True) for name in TEXTS}
            dataset = cls._from_file(path, arrays, texts, file.attributes)
            checks.check_content(dataset)
            return dataset

    @classmethod
    def _from_file(
        cls,
        path: Path,
        arrays: Mapping[str, Any],
        texts: Mapping[str, tuple[str, ...]],
        attributes: Mapping[str, Any],
    ) -> Dataset:
        return cls(
            genome=PackedGenome(
                names=texts["genome/name"],
                lengths=arrays["genome/length"],
                bases=arrays["genome/bases"],
                offsets=arrays["genome/offset"],
                n_start=arrays["genome/n_start"],
                n_end=arrays["genome/n_end"],
            ),
            contig=arrays["windows/contig"],
            start=arrays["windows/start"],
            split=arrays["windows/split"],
            packed=arrays["labels"],
            tracks=texts["tracks/name"],
            groups=texts["tracks/group"],
            sources=texts["tracks/source"],
            peaks=arrays["tracks/peaks"],
            window=checks.whole_number(attributes, "window"),
            bin=checks.whole_number(attributes, "bin"),
            stride=checks.whole_number(attributes, "stride"),
            min_overlap=checks.fraction(attributes, "min_overlap"),
            build=checks.build_options(attributes),
            path=path,
        )

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
        with replacing(path, overwrite) as temporary, writing(temporary, KIND) as file:
            self._write(file)

    def _write(self, file: h5py.File) -> None:
        attributes: dict[str, Any] = {
            "magic": MAGIC,
            "format_version": FORMAT_VERSION,
            "window": self.window,
            "bin": self.bin,
            "stride": self.stride,
            "min_overlap": float(self.min_overlap),
            "created_by": f"danq {__version__}",
            "build": json.dumps(self.build),
        }
        for name, value in attributes.items():
            file.attrs[name] = value
        genome = self.genome
        lists = (genome.names, self.tracks, self.groups, self.sources)
        for name, texts in zip(TEXTS, lists, strict=True):
            # Of fixed length: HDF5 can be made to loop forever by texts of variable length.
            encoded = [text.encode() for text in texts]
            kind = h5py.string_dtype("utf-8", max(map(len, encoded), default=0) or 1)
            packing = {"compression": "gzip", "compression_opts": 1} if encoded else {}
            file.create_dataset(name, data=np.array(encoded, kind), **packing)
        plain = {
            "genome/length": genome.lengths,
            "genome/bases": genome.bases,
            "genome/offset": genome.offsets,
            "genome/n_start": genome.n_start,
            "genome/n_end": genome.n_end,
            "tracks/peaks": self.peaks,
        }
        for name, array in plain.items():
            file.create_dataset(name, data=array, dtype=ARRAYS[name])
        compressed = {
            "windows/contig": self.contig,
            "windows/start": self.start,
            "windows/split": self.split,
            "labels": self.packed,
        }
        for name, array in compressed.items():
            rows = (min(ROWS_PER_CHUNK, max(1, array.shape[0])), *array.shape[1:])
            file.create_dataset(
                name,
                data=array,
                dtype=ARRAYS[name],
                chunks=rows,
                compression="gzip",
                compression_opts=1,
                shuffle=array.itemsize > 1,
            )

    def __len__(self) -> int:
        return self.start.size

    def __repr__(self) -> str:
        return (
            f"Dataset({len(self):,} windows of {self.window} bases around {self.bin}, "
            f"{len(self.tracks)} tracks)"
        )

    @property
    def standalone(self) -> bool:
        """Whether windows are standalone sequences, without the bases around them."""
        return bool(self.build.get("standalone", False))

    @cached_property
    def leaked(self) -> np.ndarray:
        """``(W,)`` uint8 of :func:`danq.datasets.shared_sequence.find_leaked`, computed once."""
        return leaked_windows(self)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over window, bin, stride, overlap, genome, windows, tracks and labels."""
        header = (self.window, self.bin, self.stride, self.min_overlap, self.tracks, self.groups)
        sha = hashlib.sha256(json.dumps([*header, self.genome.sha256]).encode())
        for array, dtype in (
            (self.contig, "<u4"),
            (self.start, "<i8"),
            (self.split, "|u1"),
            (self.packed, "|u1"),
        ):
            sha.update(np.ascontiguousarray(array, dtype=dtype).data)
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
            ``(B, K)`` uint8, 0 or 1.

        Raises
        ------
        InputError
            When an index is out of range.
        """
        rows = self.checked(indices)
        out = np.empty((rows.size, len(self.tracks)), dtype=np.uint8)
        read_bits(self.packed, rows, out)
        return out

    def positives(self, split: str) -> IntRow:
        """Number of positive windows of each track in one split.

        Returns
        -------
        IntRow
            ``(K,)`` int64.

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
        return counts[:, : len(self.tracks)]

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
