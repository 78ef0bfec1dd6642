"""Examples of a task as arrays, and the batches that a module is given."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SPLITS = ("train", "valid", "test")
EVALUATION_BATCH = 256
"""Examples that are evaluated at once."""

Fields = Mapping[str, np.ndarray]
"""Arrays of one length N, each a field of the examples."""
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
    images ``(N, C, H, W)``.
    """

    arrays: Fields

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"fields differ in length: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, field: str) -> np.ndarray:
        return self.arrays[field]

    def rows(self, selected: slice | np.ndarray) -> Examples:
        """Some of the examples."""
        return Examples({name: array[selected] for name, array in self.arrays.items()})

    def batches(self, size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Yield all examples in order, ``size`` at a time, as a module takes them."""
        arrays = {name: a for name, a in self.arrays.items() if a.dtype.kind != "U"}
        for start in range(0, len(self), size):
            part = {n: torch.from_numpy(a[start : start + size]) for n, a in arrays.items()}
            yield scaled({name: value.to(device) for name, value in part.items()})


def scaled(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Scale the pixels of a batch to float32 in [0, 1]; other fields stay as they are."""
    return {n: x.float() / 255 if x.dtype == torch.uint8 else x for n, x in batch.items()}


def evaluation_batches(module: nn.Module, examples: Examples) -> Iterator[dict[str, Tensor]]:
    """Yield all examples in batches of `EVALUATION_BATCH` on the device of a module."""
    return examples.batches(EVALUATION_BATCH, next(module.parameters()).device)


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

    @cached_property
    def sha256(self) -> str:
        """Checksum of all arrays and of the metadata."""
        total = hashlib.sha256(json.dumps(self.metadata, sort_keys=True).encode())
        for split in SPLITS:
            examples: Examples = getattr(self, split)
            for name, array in sorted(examples.arrays.items()):
                total.update(f"{split}/{name} {array.dtype} {array.shape}".encode())
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()


class ShuffledBatches:
    """Examples in batches, in an order that depends on the random seed and the epoch alone."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.names = tuple(examples.arrays)

    def __len__(self) -> int:
        # Batch normalisation needs two examples: a single last one joins the batch before it.
        return max(1, -(-(len(self.examples) - 1) // self.batch_size))

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Any, ...], None, None]:
        """Yield tuples of arrays in the order of ``names``."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
        for number in range(start_batch, len(self)):
            end = None if number + 1 == len(self) else (number + 1) * self.batch_size
            rows = order[number * self.batch_size : end]
            yield tuple(self.examples.arrays[name][rows] for name in self.names)
