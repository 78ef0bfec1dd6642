"""What `Fit` needs from the thing that is trained: batches, loss, validation."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from danq.training.processes import Processes

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


@runtime_checkable
class SharedStream(Stream, Protocol):
    """Batches of which a process can make its share alone."""

    def shares(
        self, epoch: int, start_batch: int, rank: int, world: int
    ) -> Generator[tuple[int, tuple[Any, ...]], None, None]:
        """Yield the number of examples of each batch of ``epoch``, and the share of one process.

        Parameters
        ----------
        epoch, start_batch
            As in `Stream.epoch`.
        rank, world
            Index of the process, and number of processes; the share is
            `danq.training.batch_shares.share_of`.
        """
        ...


class Problem(Protocol):
    """A training problem: labelled windows of a genome, or a vision task."""

    def batches(self, seed: int, device: torch.device) -> Stream:
        """The training split in batches."""
        ...

    def loss(
        self, module: nn.Module, batch: tuple[Tensor, ...], scale: Tensor | None = None
    ) -> Tensor:
        """Mean loss of a batch on the device: a mean, or a sum of means.

        Calls ``module`` once; distributed training may have wrapped it.

        Parameters
        ----------
        module
            The model.
        batch
            A batch, or some of its examples.
        scale
            Number that each mean is multiplied by: one, or one per mean; None for 1.
        """
        ...

    def weights(self, batch: tuple[Any, ...]) -> Tensor:
        """Sum of the weights over which each mean of `loss` is taken; none depends on the model.

        The mean of a batch is the sum over its parts of their means, each multiplied by its
        fraction of the batch's weights.

        Parameters
        ----------
        batch
            A batch as the stream yields it, or some of its examples.
        """
        ...

    def validate(
        self, module: nn.Module, device: torch.device, precision: str, processes: Processes
    ) -> Metrics:
        """Metrics of the validation split: "loss" and others; equal in all processes.

        Raises
        ------
        StopRequested
            In all processes, when one of them received a signal to stop.
        """
        ...
