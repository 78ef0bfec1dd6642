"""Batches of examples that other processes decode."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np

from danq.vision.own_data.decoders import Description, make_decoder
from danq.vision.own_data.reading_worker import batch_arrays, batch_layout
from danq.vision.own_data.reading_workers import ReadingWorkers

AHEAD = 3
"""Batches that are decoded at a time."""

_LARGEST_JOB = 32


class Files(NamedTuple):
    """Files of examples, as JSON values, and their stamps."""

    sources: Sequence[Any]
    stamps: np.ndarray


class _Batch(NamedTuple):
    rows: np.ndarray
    offset: int
    jobs: list[int]


def decoded_batches(
    workers: ReadingWorkers,
    decoder: Description,
    files: Files,
    parts: Sequence[np.ndarray],
    epoch: Sequence[int] | None,
) -> Generator[dict[str, np.ndarray], None, None]:
    """Yield the decoded fields of the examples of each part, in order.

    Parameters
    ----------
    workers
        Decode up to `AHEAD` parts at a time.
    decoder, epoch
        As in `decode_row`.
    files
        Those of all examples.
    parts
        Indices of examples.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    fields = make_decoder(decoder).fields
    rows = max(map(len, parts))
    _, size = batch_layout(fields, rows)
    memory = workers.memory(AHEAD * size)
    workers.start(decoder=decoder, rows=rows, size=len(memory))
    coming, free = iter(parts), deque(slot * size for slot in range(AHEAD))
    begun: deque[_Batch] = deque()

    def begin() -> None:
        while free and (part := next(coming, None)) is not None:
            offset, jobs = free.popleft(), []
            step = min(_LARGEST_JOB, max(1, -(-len(part) // (2 * workers.count))))
            for first in range(0, len(part), step):
                chosen = part[first : first + step]
                values = {
                    "rows": chosen.tolist(),
                    "sources": [files.sources[i] for i in chosen.tolist()],
                    "stamps": files.stamps[chosen].tolist(),
                    "epoch": None if epoch is None else list(epoch),
                }
                jobs.append(workers.submit("decode", offset=offset, first=first, **values))
            begun.append(_Batch(part, offset, jobs))

    begin()
    while begun:
        batch = begun.popleft()
        for job in batch.jobs:
            workers.result(job)
        arrays = batch_arrays(memory, batch.offset, fields, rows)
        found = {name: array[: len(batch.rows)].copy() for name, array in arrays.items()}
        del arrays
        free.append(batch.offset)
        begin()
        yield found
