"""Predictions as Parquet."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from danq.inference.tiling import Rows
from danq.inference.writers.layout import Layout, Values, Writer
from danq.output import os_errors

KEY = "danq"


class ParquetWriter(Writer):
    """Columns as in the TSV, numbers as Float32; the provenance is JSON under ``danq``.

    Polars has no writer that takes rows bit by bit. So each block becomes a file of its own in a
    folder beside the output, and in the end they are streamed into one.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout, self.path = layout, path
        self._folder = path.with_name(f"{path.name}.parts")
        self._folder.mkdir()
        self._parts: list[Path] = []
        self._metadata = {KEY: json.dumps(dict(layout.provenance))}

    def write(self, rows: Rows, values: Values) -> None:
        part = self._folder / f"{len(self._parts):08d}.parquet"
        with os_errors(PolarsError):
            self.layout.frame(rows, values).write_parquet(part, compression="zstd")
        self._parts.append(part)

    def finish(self) -> None:
        if not self._parts:
            values = np.empty((0, len(self.layout.columns)), dtype=np.float32)
            self.write(Rows([], np.empty(0, np.int64), np.empty(0, np.int64)), values)
        with os_errors(PolarsError):
            table = pl.scan_parquet(self._parts)
            table.sink_parquet(self.path, compression="zstd", metadata=self._metadata)

    def release(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
