"""Predictions as HDF5."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import h5py
import numpy as np

from danq.datasets.hdf5_writer import GuardedFile
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import Layout, Values, Writer

MAGIC = "danq-predictions"
FORMAT_VERSION = 1
CHUNK_VALUES = 1 << 18


class GuardedHdf5:
    """An HDF5 file to write, which tells of its first failure where it is asked for one.

    Parameters
    ----------
    path
        File to make.
    """

    def __init__(self, path: Path) -> None:
        self._sink = GuardedFile(path)
        self._file = h5py.File(self._sink, "w")

    def finish(self) -> None:
        """Complete the file after the last row."""
        self.release()
        self._sink.check()

    def release(self) -> None:
        """Close whatever is open."""
        self._file.close()
        self._sink.close()


class Hdf5Writer(GuardedHdf5, Writer):
    """One row a window in ``/predictions``, and in ``/spread`` for an ensemble.

    Root attributes: ``magic``, ``format_version``, ``key`` and ``provenance`` (JSON).
    ``/tracks/{name,group}``: ``(K,)`` text. ``/sequences/name``: ``(S,)`` text.
    ``/rows/{sequence uint32, start int64, end int64}``: ``(N,)``, sequence numbers, 0-based
    half-open stretches; ``/rows/name`` text, where the input names its rows.
    ``/predictions`` and ``/spread``: ``(N, K)`` float32.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        self._numbers: dict[str, int] = {}
        super().__init__(path)
        tracks = len(layout.tracks)
        self._file.attrs.update(
            magic=MAGIC,
            format_version=FORMAT_VERSION,
            key=layout.key,
            provenance=json.dumps(dict(layout.provenance)),
        )
        text = h5py.string_dtype()
        self._file.create_dataset("tracks/name", data=list(layout.tracks), dtype=text)
        self._file.create_dataset("tracks/group", data=list(layout.groups), dtype=text)
        self._names = growing(self._file, "sequences/name", (), text)
        self._sequence = growing(self._file, "rows/sequence", (), np.dtype(np.uint32))
        self._start = growing(self._file, "rows/start", (), np.dtype(np.int64))
        self._end = growing(self._file, "rows/end", (), np.dtype(np.int64))
        self._label = growing(self._file, "rows/name", (), text) if layout.labelled else None
        self._mean = growing(self._file, "predictions", (tracks,), np.dtype(np.float32))
        self._spread = None
        if layout.spread:
            self._spread = growing(self._file, "spread", (tracks,), np.dtype(np.float32))

    def write(self, rows: Rows, values: Values) -> None:
        tracks = len(self.layout.tracks)
        append(self._sequence, self._number(rows.names))
        append(self._start, rows.start)
        append(self._end, rows.end)
        if self._label is not None:
            append(
                self._label, np.array([label or "" for label in rows.labels or ()], dtype=object)
            )
        append(self._mean, values[:, :tracks])
        if self._spread is not None:
            append(self._spread, values[:, tracks:])
        self._sink.check()

    def _number(self, names: list[str]) -> np.ndarray:
        """Numbers of sequences, new ones being added to the file's list."""
        new = [name for name in dict.fromkeys(names) if name not in self._numbers]
        first = self._names.shape[0]
        if new and self.layout.contigs is None:
            # Records come one after the other: only the last may go on in the next block.
            kept = {name: self._numbers[name] for name in names[:1] if name in self._numbers}
            self._numbers = kept
        self._numbers.update({name: first + place for place, name in enumerate(new)})
        if new:
            append(self._names, np.array(new, dtype=object))
        return np.array([self._numbers[name] for name in names], dtype=np.uint32)


def growing(
    file: h5py.File, name: str, width: tuple[int, ...], dtype: np.dtype, *, packed: bool = True
) -> h5py.Dataset:
    """An empty dataset for rows of a shape, to be lengthened by `append`."""
    rows = max(1, CHUNK_VALUES // max(1, prod(width), 8))
    packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    zipped = packing if packed and dtype.kind != "O" else {}
    return file.create_dataset(
        name,
        shape=(0, *width),
        maxshape=(None, *width),
        chunks=(rows, *width),
        dtype=dtype,
        **zipped,
    )


def append(dataset: h5py.Dataset, values: np.ndarray) -> None:
    """Put rows at the end of a dataset that `growing` made."""
    size = dataset.shape[0]
    dataset.resize(size + len(values), axis=0)
    dataset[size:] = values
