"""Examples of a task as arrays, and what a module is given of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Examples:
    """Arrays of one length N, each a field of the examples.

    The type of an array says what it holds: ``uint8`` pixels, which a module sees scaled to
    [0, 1]; ``int64`` symbols, classes and lengths; ``bool`` masks, True at what is real;
    ``float32`` all other values. Clips are ``(N, T, C, H, W)``, images ``(N, C, H, W)``.
    """

    arrays: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        lengths = {name: len(array) for name, array in self.arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"fields differ in length: {lengths}")

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, field: str) -> np.ndarray:
        return self.arrays[field]

    def rows(self, chosen: slice | np.ndarray) -> Examples:
        """Some of the examples."""
        return Examples({name: array[chosen] for name, array in self.arrays.items()})

    def rounds(self, size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """All examples in order, ``size`` at a time, as a module takes them."""
        for start in range(0, len(self), size):
            part = {n: torch.from_numpy(a[start : start + size]) for n, a in self.arrays.items()}
            yield scaled({name: value.to(device) for name, value in part.items()})


def scaled(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Fields of a batch as a module takes them: pixels as float32 in [0, 1], the rest as it is."""
    return {n: x.float() / 255 if x.dtype == torch.uint8 else x for n, x in batch.items()}


@dataclass(frozen=True)
class Data:
    """The three splits of a task's examples.

    Attributes
    ----------
    facts
        What a model has to know to be built and its output to be read: shapes, names of classes,
        vocabularies. JSON values; they are kept in the model file.
    """

    train: Examples
    valid: Examples
    test: Examples
    facts: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """sha256 of all arrays and facts."""
        total = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        for split in SPLITS:
            examples: Examples = getattr(self, split)
            for name, array in sorted(examples.arrays.items()):
                total.update(f"{split}/{name} {array.dtype} {array.shape}".encode())
                total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()


class Shuffled:
    """Examples in batches, each epoch in a new order that the seed and the epoch decide."""

    def __init__(self, examples: Examples, batch_size: int, seed: int) -> None:
        self.examples, self.batch_size, self.seed = examples, batch_size, seed
        self.names = tuple(examples.arrays)

    def __len__(self) -> int:
        # One example alone has no spread to be normalised by: it joins the batch before.
        return max(1, -(-(len(self.examples) - 1) // self.batch_size))

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Any, ...], None, None]:
        """Yield tuples of arrays in the order of ``names``."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
        for number in range(start_batch, len(self)):
            end = None if number + 1 == len(self) else (number + 1) * self.batch_size
            rows = order[number * self.batch_size : end]
            yield tuple(self.examples.arrays[name][rows] for name in self.names)
