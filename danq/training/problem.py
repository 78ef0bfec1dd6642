"""What a training run is about: its batches, its loss and its validation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Metrics = dict[str, float]
"""Name of a figure and its value; "loss" is the better the smaller, all others the greater."""


class Stream(Protocol):
    """Batches of one epoch after the other."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Any, ...], None, None]:
        """Yield tuples of arrays or tensors of one length.

        What a batch holds is a function of the seed, ``epoch`` and the batch's number alone.
        """
        ...


class Problem(Protocol):
    """What `danq.training.fit.Fit` has to be told of what it trains."""

    def batches(self, seed: int, device: torch.device) -> Stream:
        """The training split in batches."""
        ...

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean loss of a batch on the device; one call of ``module``, which may be wrapped."""
        ...

    def validate(self, module: nn.Module, device: torch.device, precision: str) -> Metrics:
        """Figures of the validation split: "loss" and what else there is."""
        ...
