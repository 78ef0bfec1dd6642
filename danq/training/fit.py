"""The training loop."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from danq.core.dropout import share_of_batch
from danq.errors import DanqError
from danq.provenance import Provenance
from danq.training.checkpoint import LAST, Progress, load_checkpoint, save_checkpoint
from danq.training.optimizer import build_optimizer, encoders, learning_rate
from danq.training.problem import Metrics, Problem
from danq.training.recipe import BaseRecipe
from danq.training.run_log import Journal

M = TypeVar("M", bound=nn.Module)

CHECK_EVERY = 50
"""Steps between two looks at the losses, which make a GPU wait."""


class TrainingDiverged(DanqError):
    """The loss or the gradient became NaN or infinite; the last good checkpoint is kept."""


class Fit(Generic[M]):
    """One training run: what is trained, on what, how, and how far it has come.

    Parameters
    ----------
    module
        The initialised model; trained in place.
    problem
        Batches, loss and validation.
    recipe
        How to train.
    folder
        Run folder for ``last.ckpt``.
    fabric
        Device, precision and processes.
    precision
        Arithmetic of the validation, "fp32" or "bf16": that of ``fabric``.
    seed
        Decides data order, augmentation and dropout.
    provenance
        Data, model and settings; a checkpoint of another run is refused.
    checkpoint_steps, checkpoint_seconds
        A checkpoint is written when either has passed since the last one, and at each epoch's
        end.
    """

    def __init__(
        self,
        module: M,
        problem: Problem,
        recipe: BaseRecipe,
        folder: Path,
        fabric: Fabric,
        *,
        precision: str,
        seed: int,
        provenance: Provenance,
        checkpoint_steps: int | None = None,
        checkpoint_seconds: float = 300.0,
    ) -> None:
        self.problem, self.recipe, self.folder = problem, recipe, folder
        self.fabric, self.seed, self.provenance = fabric, seed, provenance
        self.checkpoint_steps = checkpoint_steps
        self.checkpoint_seconds = checkpoint_seconds
        self.precision = precision
        self.progress = Progress()
        self.batches = problem.batches(seed, fabric.device)
        self.steps = len(self.batches) * recipe.epochs
        self.plain = module.to(fabric.device)
        self.average = copy.deepcopy(self.plain).requires_grad_(False) if recipe.averaging else None
        self.encoders = encoders(self.plain, recipe)
        wrapped = fabric.setup_optimizers(build_optimizer(self.plain, recipe))
        self.optimizer = cast(torch.optim.Optimizer, wrapped)
        self.held = recipe.frozen_epochs > 0
        if self.held:
            for part in self.encoders:
                part.freeze()
        self.module = fabric.setup_module(self.plain)
        self._pending: list[Tensor] = []
        self._since_checkpoint = (0, time.monotonic())

    @property
    def best_module(self) -> M:
        """The weights that are validated and saved: the moving average, where there is one."""
        return self.plain if self.average is None else self.average

    def resume(self) -> None:
        """Continue from ``last.ckpt``.

        Raises
        ------
        InputError
            As `load_checkpoint`.
        """
        self.progress = load_checkpoint(
            self.folder, self.plain, self.average, self.optimizer, self.provenance
        )

    def run(self, journal: Journal) -> Iterator[Metrics]:
        """Train to the end; yield after each epoch that is the best so far.

        The caller saves the model at each yield, before the checkpoint that follows it.

        Raises
        ------
        TrainingDiverged
            When the loss or the gradient is not finite.
        InputError
            When a checkpoint cannot be written.
        """
        progress, recipe = self.progress, self.recipe
        while not progress.finished:
            self._epoch(journal)
            figures = self.validate()
            row = {
                "epoch": progress.epoch + 1,
                "step": progress.step,
                "train_loss": progress.loss_sum / len(self.batches),
            } | {f"valid_{name}": value for name, value in figures.items()}
            progress.history.append(row)
            progress.epoch += 1
            progress.batch, progress.loss_sum = 0, 0.0
            value = figures[recipe.monitor] * (-1 if recipe.monitor == "loss" else 1)
            if progress.best is None or value > progress.best:
                progress.best, progress.best_epoch = value, progress.epoch
                yield figures
            stale = progress.epoch - progress.best_epoch
            worn = 0 < recipe.patience <= stale
            progress.finished = progress.epoch >= recipe.epochs or worn
            journal.epoch(progress)
            self.checkpoint()

    def _epoch(self, journal: Journal) -> None:
        progress = self.progress
        if self.held and progress.epoch >= self.recipe.frozen_epochs:
            self._let_go()
        self.module.train()
        rank, world = self.fabric.global_rank, self.fabric.world_size
        started = time.perf_counter()
        # Closed at once when a step fails: an error that is kept would keep the stream's thread.
        with closing(self.batches.epoch(progress.epoch, start_batch=progress.batch)) as stream:
            for batch in self._timed(stream):
                # The last batch may be too small to give every process a share.
                size = len(batch[0])
                share = slice(rank, None, world) if size >= world else slice(None)
                with share_of_batch(range(size)[share], size):
                    self._pending.append(self._step(*(part[share] for part in batch)))
                progress.step += 1
                progress.batch += 1
                now = time.perf_counter()
                progress.seconds += now - started
                started = now
                due = self._checkpoint_due()
                if due or len(self._pending) >= CHECK_EVERY:
                    self._look_at_losses()
                    journal.step(progress, self.steps, self.recipe)
                if due:
                    self.checkpoint()
        self._look_at_losses()

    def _let_go(self) -> None:
        """Train the encoders too."""
        self.held = False
        for part in self.encoders:
            part.unfreeze()
        # Several processes share the gradients that there were when the module was set up.
        self.module = self.fabric.setup_module(self.plain)

    def _timed(self, stream: Iterator[tuple]) -> Iterator[tuple]:
        while True:
            before = time.perf_counter()
            batch = next(stream, None)
            self.progress.waited += time.perf_counter() - before
            if batch is None:
                return
            yield batch

    def _step(self, *batch: np.ndarray | Tensor) -> Tensor:
        progress, recipe, device = self.progress, self.recipe, self.fabric.device
        # Dropout depends on seed and step alone: a resumed run repeats it, and all processes draw
        # from one random seed. (The hash of integers is the same in every process.)
        torch.manual_seed(hash((self.seed, progress.step, 0)) & (2**63 - 1))
        rate = learning_rate(recipe, progress.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        parts = tuple(torch.as_tensor(part).to(device, non_blocking=True) for part in batch)
        loss = self.problem.loss(self.module, parts)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        limit = recipe.clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.plain.parameters(), limit)
        self.optimizer.step()
        if self.average is not None:
            self._update_average()
        # A gradient that is not finite spoils the weights one step before the loss shows it.
        return loss.detach() + 0.0 * norm.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        assert self.average is not None
        step = self.progress.step
        decay = min(self.recipe.averaging, (step + 1) / (step + 10))
        torch._foreach_lerp_(
            list(self.average.parameters()), list(self.plain.parameters()), 1 - decay
        )
        # Running statistics are averages already.
        for ours, theirs in zip(self.average.buffers(), self.plain.buffers(), strict=True):
            ours.copy_(theirs)

    def _look_at_losses(self) -> None:
        if not self._pending:
            return
        losses = torch.stack(self._pending).double()
        bad = (~losses.isfinite()).nonzero()
        first = self.progress.step - len(self._pending)
        self._pending.clear()
        if len(bad):
            raise TrainingDiverged(
                f"loss or gradient is not finite at step {first + int(bad[0]) + 1} "
                f"(epoch {self.progress.epoch + 1}). The last good checkpoint "
                f"{self.folder / LAST} is kept. Train with a lower learning rate (lr), or in fp32."
            )
        # One by one: a sum's rounding must not depend on where the run was interrupted.
        for loss in losses.tolist():
            self.progress.loss_sum += loss

    def _checkpoint_due(self) -> bool:
        step, when = self._since_checkpoint
        if self.checkpoint_steps is not None and self.progress.step - step >= self.checkpoint_steps:
            return True
        return time.monotonic() - when >= self.checkpoint_seconds

    def checkpoint(self) -> None:
        """Write ``last.ckpt`` (the first process alone).

        Raises
        ------
        InputError
            When it cannot be written.
        """
        if self.fabric.is_global_zero:
            save_checkpoint(
                self.folder,
                self.plain,
                self.average,
                self.optimizer,
                self.progress,
                self.provenance,
            )
        self._since_checkpoint = (self.progress.step, time.monotonic())

    def validate(self) -> Metrics:
        """Figures of the validation split."""
        return self.problem.validate(self.best_module, self.fabric.device, self.precision)
