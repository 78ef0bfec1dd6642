"""A vision task as a problem to train on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from danq._memory import kept_memory
from danq.device import Precision, autocast, resolve_precision
from danq.inference.engine.forward import evaluation_copy
from danq.training.problem import Metrics
from danq.training.processes import Processes
from danq.training.recipe import BaseRecipe
from danq.vision.dataset import Dataset, ShuffledBatches, scaled
from danq.vision.task import Task


class TaskProblem:
    """Examples of a task, its loss and its metrics."""

    def __init__(self, task: Task, data: Dataset, recipe: BaseRecipe) -> None:
        self.task, self.data, self.recipe = task, data, recipe
        self.names = data.train.names

    def batches(self, seed: int, device: torch.device) -> ShuffledBatches:
        """The training split in batches, in a new order each epoch."""
        return ShuffledBatches(self.data.train, self.recipe.batch_size, seed)

    def loss(
        self, module: nn.Module, batch: tuple[Tensor, ...], scale: Tensor | None = None
    ) -> Tensor:
        """The task's loss."""
        loss = self.task.loss(module, scaled(dict(zip(self.names, batch, strict=True))))
        return loss if scale is None else loss * scale

    def weights(self, batch: tuple[Any, ...]) -> Tensor:
        """Weight of a batch in the mean loss of several, as the task gives it."""
        weight = self.task.weight(dict(zip(self.names, batch, strict=True)))
        return torch.tensor(float(weight))

    def validate(
        self, module: nn.Module, device: torch.device, precision: str, processes: Processes
    ) -> Metrics:
        """The task's metrics of the validation split, which the first process computes."""
        return processes.first(lambda: self._validated(module, device, precision))

    def _validated(self, module: nn.Module, device: torch.device, precision: str) -> Metrics:
        with inference(module, device, resolve_precision(precision, device)) as ready:
            return self.task.validation(ready, self.data.valid)


@contextmanager
def inference(module: nn.Module, device: torch.device, precision: Precision) -> Iterator[nn.Module]:
    """Context that gives `evaluation_copy` of a module and computes without gradients."""
    ready = evaluation_copy(module, device)
    with kept_memory(), torch.inference_mode(), autocast(device, precision):
        yield ready
