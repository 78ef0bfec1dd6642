"""Tables as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from danq.datasets.hdf5_writer import GuardedFile
from danq.inference.writers.layout import Layout
from danq.inference.writers.writer import Writer

KEY = "danq"

GROUP_VALUES = 1 << 25
"""Values of a row group, which polars holds in memory: 128 MB."""

_PATIENCE = 0.1
"""Seconds between two checks that the other thread still runs."""


class ParquetWriter(Writer):
    """Columns as in the TSV, numbers as Float32; the provenance is JSON under ``danq``.

    Polars has no writer that takes one block after the other, only one that asks for blocks. It
    runs in a separate thread. When a write fails, polars still asks for all blocks; the file
    object therefore keeps the failure, and the next block raises it.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    unique_columns = True

    def __init__(self, path: Path, layout: Layout) -> None:
        self.layout = layout
        self._sink = GuardedFile(path)
        self._blocks: Queue[pl.DataFrame | None] = Queue(1)
        self._over = False
        worker = ThreadPoolExecutor(1)
        self._written: Future[None] = worker.submit(self._write)
        worker.shutdown(wait=False)

    def write(self, *block: Any) -> None:
        self._hand_over(self.layout.frame(*block))

    def finish(self) -> None:
        self._hand_over(None)
        self._written.result()
        self._sink.check()

    def release(self) -> None:
        # The thread stops even if the wait for it is interrupted.
        self._over = True
        try:
            self._written.exception()
        finally:
            self._sink.close()

    def _hand_over(self, block: pl.DataFrame | None) -> None:
        while not self._written.done():
            self._sink.check()
            try:
                return self._blocks.put(block, timeout=_PATIENCE)
            except Full:
                continue
        self._written.result()

    def _taken(self) -> Iterator[pl.DataFrame]:
        while not self._over:
            try:
                block = self._blocks.get(timeout=_PATIENCE)
            except Empty:
                continue
            if block is None:
                return
            yield block

    def _write(self) -> None:
        empty = self.layout.empty()
        register_io_source(lambda *_: self._taken(), schema=empty.schema).sink_parquet(
            self._sink,
            compression="zstd",
            compression_level=1,
            row_group_size=max(1, GROUP_VALUES // len(empty.columns)),
            metadata={KEY: json.dumps(dict(self.layout.provenance))},
        )
