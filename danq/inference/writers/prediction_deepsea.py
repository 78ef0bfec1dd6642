"""Predictions as DeepSEA's and DanQ's own scripts write them."""

from __future__ import annotations

from pathlib import Path

from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers.hdf5 import Hdf5Writer
from danq.inference.writers.layout import PredictionLayout, Values

CHUNK_ROWS = 256


class PredWriter(Hdf5Writer):
    """HDF5 with a dataset ``pred``, ``(n, K)`` float32, one row per sequence.

    For several models also ``spread``, ``(n, K)``: standard deviations.
    """

    def __init__(self, path: Path, layout: PredictionLayout) -> None:
        super().__init__(path, CHUNK_ROWS)
        self._tracks = len(layout.tracks)
        for name in ("pred", "spread") if layout.spread else ("pred",):
            self._grow(name, (self._tracks,), "f4", packed=False)

    def write(self, rows: Rows, values: Values) -> None:
        """Append rows."""
        self._append(pred=values[:, : self._tracks])
        if values.shape[1] > self._tracks:
            self._append(spread=values[:, self._tracks :])

    @classmethod
    def check(cls, out: Path, overwrite: bool) -> None:
        if out.suffix.lower() not in (".h5", ".hdf5"):
            raise InputError(
                "DeepSEA's format is HDF5", file=out, remedy="End the output's name with .h5"
            )
        super().check(out, overwrite)
