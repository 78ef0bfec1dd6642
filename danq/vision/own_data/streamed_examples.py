"""Examples whose files are read when they are needed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from danq.vision.dataset import EVALUATION_BATCH, Examples, Fields, FieldTypes
from danq.vision.own_data.decoded_batches import Files, decoded_batches
from danq.vision.own_data.decoders import Description, decode_row, make_decoder
from danq.vision.own_data.reading_workers import MOST_WORKERS, borrowed_workers, worker_count

FEW_EXAMPLES = {"image": 64, "clip": 16, "clip and sound": 16}
"""Examples of each kind of decoder that this process reads itself, if there are fewer."""

EVALUATED_VALUES = 1 << 22
"""Largest number of values of the examples that are evaluated at once."""


@dataclass(frozen=True)
class StreamedExamples(Examples):
    """Examples whose large fields are read from files, some at a time.

    Attributes
    ----------
    arrays
        The small fields, in memory; there may be none.
    decoder
        How files become fields, as `make_decoder` takes it.
    sources
        Files of each example, as JSON values.
    digests
        Checksum of the files of each example.
    stamps
        Stamp of the files of each example (`danq.vision.own_data.file_stamps`).
    workers
        Processes that read files; 0 for none beside this one. None: as `worker_count`.
    """

    decoder: Description
    sources: list[Any]
    digests: list[str]
    stamps: Int64[np.ndarray, "N 2"]
    workers: int | None = 0

    def __post_init__(self) -> None:
        if any(len(array) != len(self.sources) for array in self.arrays.values()):
            raise ValueError("fields differ in length")

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def evaluation_batch(self) -> int:
        """Number of examples that are evaluated at once: fewer if they are large."""
        values = sum(math.prod(shape) for _, shape in self.types.values())
        return max(1, min(EVALUATION_BATCH, EVALUATED_VALUES // max(1, values)))

    @property
    def types(self) -> FieldTypes:
        """Type and shape of each field of one example."""
        return super().types | make_decoder(self.decoder).fields

    def __getitem__(self, field: str) -> np.ndarray:
        if field in self.arrays:
            return self.arrays[field]
        kind, shape = self.types[field]
        whole = np.empty((len(self), *shape), kind)
        step = self.evaluation_batch
        starts = range(0, len(self), step)
        parts = [np.arange(at, min(at + step, len(self))) for at in starts]
        with closing(self.selected(parts, None)) as stream:
            for rows, part in zip(parts, stream, strict=True):
                whole[rows] = part[field]
        return whole

    def rows(self, selected: slice | np.ndarray) -> StreamedExamples:
        """Some of the examples."""
        numbers = np.arange(len(self))[selected].tolist()
        return StreamedExamples(
            {name: array[selected] for name, array in self.arrays.items()},
            self.decoder,
            [self.sources[i] for i in numbers],
            [self.digests[i] for i in numbers],
            self.stamps[selected],
            self.workers,
            metadata=self.metadata,
        )

    def with_threads(self, count: int) -> StreamedExamples:
        """The same, read by at most ``count`` processes, unless another number was given."""
        return self if self.workers is not None else replace(self, workers=min(count, MOST_WORKERS))

    def selected(
        self, parts: Iterable[np.ndarray], epoch: Sequence[int] | None
    ) -> Generator[Fields, None, None]:
        """Yield the fields of the examples of each part, as `Examples.selected`."""
        parts = list(parts)
        count = worker_count(self.workers)
        if count and sum(map(len, parts)) >= FEW_EXAMPLES[self.decoder["kind"]]:
            with borrowed_workers(count) as workers:
                files = Files(self.sources, self.stamps)
                stream = decoded_batches(workers, self.decoder, files, parts, epoch)
                for rows, fields in zip(parts, stream, strict=True):
                    yield {name: array[rows] for name, array in self.arrays.items()} | fields
            return
        decoder = make_decoder(self.decoder)
        for rows in parts:
            decoded = [
                decode_row(decoder, i, self.sources[i], self.stamps[i].tolist(), epoch)
                for i in rows.tolist()
            ]
            fields = {name: np.stack([one[name] for one in decoded]) for name in decoder.fields}
            yield {name: array[rows] for name, array in self.arrays.items()} | fields

    def update_checksum(self, total: hashlib._Hash, split: str) -> None:
        """Add all examples of a split to a checksum: content of files, fields and settings."""
        super().update_checksum(total, split)
        total.update(json.dumps([self.decoder, list(self.digests)], sort_keys=True).encode())
