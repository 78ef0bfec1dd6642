"""Predictions as blocks of rows: what is written, or stored by a shard, at once.

The rows of a block depend only on the number of columns and the batch size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import Values

BLOCK_VALUES = 1 << 22
"""Maximum number of values per write: 16 MB."""

WRITE_ROWS = 1 << 16
"""Maximum number of rows per write: their names and positions take more than the values of a few
tracks."""

BLOCK_ROWS = 1 << 14
"""Maximum number of rows that a shard stores at once: minutes of work of a large model on a CPU."""


def rows_per_write(columns: int, batch: int) -> int:
    """Rows that are written at once, which writers store efficiently: whole batches."""
    return -(-max(1, min(WRITE_ROWS, BLOCK_VALUES // columns)) // batch) * batch


def batches_per_block(columns: int, batch: int) -> int:
    """Batches that a shard stores at once."""
    return max(1, min(BLOCK_VALUES // columns, BLOCK_ROWS) // batch)


def joined(parts: Iterable[tuple[Rows, Values]], size: int) -> Iterator[tuple[Rows, Values]]:
    """Join and split parts of predictions to ``size`` rows; only the last are fewer."""
    held: list[tuple[Rows, Values]] = []
    count = 0
    for rows, values in parts:
        done = 0
        while done < len(values):
            some = slice(done, done + size - count)
            held.append((_selected(rows, some), values[some]))
            count += len(held[-1][1])
            done += len(held[-1][1])
            if count == size:
                yield _concatenated(held)
                held, count = [], 0
    if held:
        yield _concatenated(held)


def _selected(rows: Rows, some: slice) -> Rows:
    labels = None if rows.labels is None else rows.labels[some]
    return Rows(rows.names[some], rows.start[some], rows.end[some], labels)


def _concatenated(parts: list[tuple[Rows, Values]]) -> tuple[Rows, Values]:
    labels = [label for rows, _ in parts for label in rows.labels or ()]
    rows = Rows(
        [name for rows, _ in parts for name in rows.names],
        np.concatenate([rows.start for rows, _ in parts]),
        np.concatenate([rows.end for rows, _ in parts]),
        labels if parts[0][0].labels is not None else None,
    )
    return rows, np.concatenate([values for _, values in parts])
