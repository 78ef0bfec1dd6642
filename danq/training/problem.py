"""What `Fit` needs from the thing that is trained: batches, loss, validation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Metrics = dict[str, float]
"""Values of metrics by name. Lower is better for "loss", higher for all others."""


class Stream(Protocol):
    """Batches of any epoch."""

    def __len__(self) -> int:
        """Number of batches per epoch."""
        ...

    def epoch(self, epoch: int, start_batch: int = 0) -> Generator[tuple[Any, ...], None, None]:
        """Yield tuples of arrays or tensors of equal length.

        The content of a batch is a function of the seed, ``epoch`` and the batch index.
        """
        ...


class Problem(Protocol):
    """A training problem: labelled windows of a genome, or a vision task."""

    def batches(self, seed: int, device: torch.device) -> Stream:
        """The training split in batches."""
        ...

    def loss(self, module: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Mean loss of a batch on the device.

        Calls ``module`` once; distributed training may have wrapped it.
        """
        ...

    def validate(self, module: nn.Module, device: torch.device, precision: str) -> Metrics:
        """Metrics of the validation split: "loss" and others."""
        ...
