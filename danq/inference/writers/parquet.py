"""Tables as Parquet."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from danq.bounded_queue import BoundedQueue
from danq.datasets.hdf5_writer import GuardedFile
from danq.inference.writers.layout import Layout
from danq.inference.writers.writer import Writer

KEY = "danq"

GROUP_VALUES = 1 << 25
"""Maximum number of values of a row group, which polars holds in memory: 128 MB."""

GROUP_ROWS = 1 << 17
"""Maximum number of rows of a row group."""


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
        self._blocks: BoundedQueue[pl.DataFrame] = BoundedQueue(1)
        worker = ThreadPoolExecutor(1)
        self._written: Future[None] = worker.submit(self._write)
        worker.shutdown(wait=False)

    def write(self, *block: Any) -> None:
        self._sink.check()
        if not self._blocks.put(self.layout.frame(*block)):
            self._written.result()

    def finish(self) -> None:
        self._blocks.end()
        self._written.result()
        self._sink.check()

    def release(self) -> None:
        # The thread stops even if the wait for it is interrupted.
        self._blocks.stop()
        try:
            self._written.exception()
        finally:
            self._sink.close()

    def _write(self) -> None:
        empty = self.layout.empty()
        try:
            register_io_source(lambda *_: iter(self._blocks), schema=empty.schema).sink_parquet(
                self._sink,
                compression="zstd",
                compression_level=1,
                row_group_size=max(1, min(GROUP_ROWS, GROUP_VALUES // len(empty.columns))),
                metadata={KEY: json.dumps(dict(self.layout.provenance))},
            )
        finally:
            # Nobody takes a block any more, so none may wait.
            self._blocks.stop()
