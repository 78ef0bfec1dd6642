"""Examples of a task as arrays, and the batches that a module is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from danq.errors import few
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.training.batch_shares import share_of

SPLITS = ("train", "valid", "test")
EVALUATION_BATCH = 256
"""Largest number of examples that are evaluated at once."""

Fields = Mapping[str, np.ndarray]
"""Arrays of one length N, each a field of the examples."""
FieldTypes = dict[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each field of one example."""
Metadata = Mapping[str, Any]
"""JSON values that building a model and reading its output require: shapes, class names,
vocabularies."""


def layout(**fields: str) -> Mapping[str, str]:
    """Type and axes of each field of an example, such as ``clip="uint8 T C H W"``."""
    return fields


@dataclass(frozen=True)
class Examples:
    """Arrays of one length N, each a field of the examples.

    The type of an array gives its meaning: ``uint8`` pixels, which a module receives scaled to
    [0, 1]; ``int64`` symbols, classes and lengths; ``bool`` masks, True at real entries;
    ``float32`` all other values; text, which no module receives. Clips are ``(N, T, C, H, W)``,
    images ``(N, C, H, W)``. Examples of a `Dataset` have its metadata.
    """

    arrays: Fields
    metadata: Metadata = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"fields differ in length: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, field: str) -> np.ndarray:
        return self.arrays[field]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        fields = {
            "field": list(self.arrays),
            "type": [array.dtype.name for array in self.arrays.values()],
            "shape": [" x ".join(map(str, array.shape[1:])) for array in self.arrays.values()],
        }
        tables = [FirstRows.of("Fields of an example", fields)]
        return Display(f"{len(self):,} examples", tables=tables)

    def rows(self, selected: slice | np.ndarray) -> Examples:
        """Some of the examples."""
        arrays = {name: array[selected] for name, array in self.arrays.items()}
        return Examples(arrays, metadata=self.metadata)

    @property
    def types(self) -> FieldTypes:
        """Type and shape of each field of one example."""
        return {name: (str(array.dtype), array.shape[1:]) for name, array in self.arrays.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields that a module may receive: all but text."""
        kinds = {name: np.dtype(kind).kind for name, (kind, _) in self.types.items()}
        return tuple(name for name, kind in kinds.items() if kind != "U")

    @property
    def evaluation_batch(self) -> int:
        """Number of examples that are evaluated at once."""
        return EVALUATION_BATCH

    def with_threads(self, count: int) -> Examples:
        """The same, for a process that has ``count`` CPU threads."""
        return self

    def selected(
        self, parts: Iterable[np.ndarray], epoch: Sequence[int] | None
    ) -> Generator[Fields, None, None]:
        """Yield the fields of the examples of each part.

        Parameters
        ----------
        parts
            Indices of examples.
        epoch
            Random seed and epoch of a training, on which variations of the examples depend. None
            for an evaluation, which has no variations.
        """
        for rows in parts:
            yield {name: array[rows] for name, array in self.arrays.items()}

    def batches(self, size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Yield all examples in order, ``size`` at a time, as a module takes them."""
        names, order = self.names, np.arange(len(self))
        parts = (order[start : start + size] for start in range(0, len(self), size))
        with closing(self.selected(parts, None)) as stream:
            for part in stream:
                yield scaled({name: torch.from_numpy(part[name]).to(device) for name in names})

    def update_checksum(self, total: hashlib._Hash, split: str) -> None:
        """Add all examples of a split to a checksum."""
        for name, array in sorted(self.arrays.items()):
            total.update(f"{split}/{name} {array.dtype} {array.shape}".encode())
            total.update(np.ascontiguousarray(array).data)


def scaled(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scale the pixels of a batch to float32 in [0, 1]; other fields stay as they are."""
    return {n: x.float() / 255 if x.dtype == torch.uint8 else x for n, x in batch.items()}


def evaluation_batches(module: nn.Module, examples: Examples) -> Iterator[dict[str, Tensor]]:
    """Yield all examples in batches on the device of a module."""
    return examples.batches(examples.evaluation_batch, next(module.parameters()).device)


@dataclass(frozen=True)
class Dataset:
    """The three splits of a task's examples.

    Attributes
    ----------
    metadata
        Shapes, class names and vocabularies as JSON values; they are stored in the model file.
    """

    train: Examples
    valid: Examples
    test: Examples
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for split in SPLITS:
            examples = replace(getattr(self, split), metadata=self.metadata)
            object.__setattr__(self, split, examples)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        counts = {split: len(getattr(self, split)) for split in SPLITS}
        summary = ", ".join(f"{count:,} {split}" for split, count in counts.items())
        metadata = {
            name: few(map(str, value), 8) if isinstance(value, list) else value
            for name, value in self.metadata.items()
        }
        return Display(
            f"examples: {summary}",
            facts=metadata,
            facts_title="Metadata",
            tables=self.train._display().tables,
        )

    def with_threads(self, count: int) -> Dataset:
        """The same, for a process that has ``count`` CPU threads."""
        parts = {split: getattr(self, split).with_threads(count) for split in SPLITS}
        return replace(self, **parts)

    @cached_property
    def sha256(self) -> str:
        """Checksum of all arrays and of the metadata."""
        total = hashlib.sha256(json.dumps(self.metadata, sort_keys=True).encode())
        for split in SPLITS:
            examples: Examples = getattr(self, split)
            examples.update_checksum(total, split)
        return total.hexdigest()


class ShuffledBatches:
    """Examples in batches, in an order that depends on the random seed and the epoch alone."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.names = examples.names

    def __len__(self) -> int:
        # Batch normalisation needs two examples: a single last one joins the batch before it.
        return max(1, -(-(len(self.examples) - 1) // self.batch_size))

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Any, ...], None, None]:
        """Yield tuples of arrays in the order of ``names``."""
        with closing(self.shares(epoch, start_batch, 0, 1)) as stream:
            for _, part in stream:
                yield part

    def shares(
        self, epoch: int, start_batch: int, rank: int, world: int
    ) -> Generator[tuple[int, tuple[Any, ...]], None, None]:
        """Yield the size of each batch, and the part of it that one of several processes computes.

        Only the files of this part are read.
        """
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
        batches = [self._rows(order, number) for number in range(start_batch, len(self))]
        parts = [rows[share_of(len(rows), rank, world)] for rows in batches]
        with closing(self.examples.selected(parts, (self.seed, epoch))) as stream:
            for rows, part in zip(batches, stream, strict=True):
                yield len(rows), tuple(part[name] for name in self.names)

    def _rows(self, order: np.ndarray, number: int) -> np.ndarray:
        end = None if number + 1 == len(self) else (number + 1) * self.batch_size
        return order[number * self.batch_size : end]
