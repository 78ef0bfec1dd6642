"""Predictions as DeepSEA's and DanQ's own scripts write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from danq.datasets.hdf5_writer import writing
from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import Values
from danq.output import replacing

CHUNK_ROWS = 256


class PredWriter:
    """HDF5 with one dataset: ``pred``, ``(n, K)`` float32, a row a sequence."""

    def __init__(self, file: h5py.File, tracks: int) -> None:
        self._tracks = tracks
        self._pred = file.create_dataset(
            "pred", (0, tracks), np.float32, maxshape=(None, tracks), chunks=(CHUNK_ROWS, tracks)
        )

    def write(self, rows: Rows, values: Values) -> None:
        """Append rows; an ensemble's spread is left out."""
        del rows
        size = self._pred.shape[0]
        self._pred.resize(size + len(values), axis=0)
        self._pred[size:] = values[:, : self._tracks]


def check_pred(out: str | Path | None) -> None:
    """Refuse an output that is not HDF5 by its name.

    Raises
    ------
    InputError
        When it is none, or there is none.
    """
    if out is None or Path(out).suffix.lower() not in (".h5", ".hdf5"):
        raise InputError(
            "DeepSEA's format is HDF5", file=out, remedy="End the output's name with .h5"
        )


@contextmanager
def open_pred(out: str | Path, tracks: int, *, overwrite: bool = False) -> Iterator[PredWriter]:
    """Writer for a file that appears whole when the block ends well, or else not at all.

    Raises
    ------
    InputError
        When ``out`` exists and ``overwrite`` is false, or cannot be written.
    """
    with replacing(out, overwrite) as temporary, writing(temporary) as file:
        yield PredWriter(file, tracks)
