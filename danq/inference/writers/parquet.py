"""Predictions as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Full, Queue
from typing import Any

import polars as pl
from polars.exceptions import PolarsError
from polars.io.plugins import register_io_source

from danq.inference.writers.layout import Table, Values, Writer
from danq.output import os_errors

KEY = "danq"

GROUP_VALUES = 1 << 25
"""Values of a row group, which polars holds in memory: 128 MB."""

_PATIENCE = 0.1
"""Seconds after which whoever waits to hand a block over looks whether it is still awaited."""


class ParquetWriter(Writer):
    """Columns as in the TSV, numbers as Float32; the provenance is JSON under ``danq``.

    Polars has no writer that is given one block after the other, but one that asks for them. It
    works in a thread of its own, to which blocks are handed over.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    """

    def __init__(self, path: Path, layout: Table) -> None:
        self.layout, self.path = layout, path
        self._blocks: Queue[pl.DataFrame | None] = Queue(1)
        worker = ThreadPoolExecutor(1)
        self._written: Future[None] = worker.submit(self._write)
        worker.shutdown(wait=False)

    def write(self, rows: Any, values: Values) -> None:
        self._hand_over(self.layout.frame(rows, values))

    def finish(self) -> None:
        self._hand_over(None)
        with os_errors(PolarsError):
            self._written.result()

    def release(self) -> None:
        self._hand_over(None)
        self._written.exception()

    def _hand_over(self, block: pl.DataFrame | None) -> None:
        while not self._written.done():
            try:
                return self._blocks.put(block, timeout=_PATIENCE)
            except Full:
                continue
        if block is not None:
            with os_errors(PolarsError):
                self._written.result()

    def _write(self) -> None:
        empty = self.layout.empty()

        def blocks(*_: object) -> Iterator[pl.DataFrame]:
            while (block := self._blocks.get()) is not None:
                yield block

        register_io_source(blocks, schema=empty.schema).sink_parquet(
            self.path,
            compression="lz4",
            row_group_size=max(1, GROUP_VALUES // len(empty.columns)),
            metadata={KEY: json.dumps(dict(self.layout.provenance))},
        )
