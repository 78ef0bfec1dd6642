"""The training loop."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from danq.core.dropout import share_of_batch
from danq.device import resolve_precision
from danq.errors import DanqError, Stopped
from danq.gpu import accelerate_training
from danq.progress import stage
from danq.training.batch_shares import Share, own_shares, share_of
from danq.training.checkpoint import Checkpoints, TrainingState
from danq.training.config import RunSettings
from danq.training.meetings import Decision, Meetings
from danq.training.optimizer import TakenLayers, build_optimizer, encoders, learning_rate
from danq.training.problem import Metrics, Problem
from danq.training.processes import Processes
from danq.training.progress import Schedule, TrainingProgress
from danq.training.recipe import BaseRecipe
from danq.training.run_log import RunLog
from danq.training.stop_signal import StopRequested

M = TypeVar("M", bound=nn.Module)

log = logging.getLogger("danq")

_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class TrainingDiverged(DanqError):
    """The loss or the gradient became NaN or infinite; the last good checkpoint is kept."""


class Fit(Generic[M]):
    """One training run: model, problem, recipe and progress.

    Parameters
    ----------
    module
        The initialised model; trained in place.
    problem
        Batches, loss and validation.
    recipe
        How to train.
    fabric
        Device, precision and processes.
    run
        Random seed, and the precision of validation ("fp32" or "bf16"), which is that of
        ``fabric``.
    checkpoints
        Where and when checkpoints are written.
    taken
        Layers that were taken from a pretrained model; those that are frozen never change.
    processes
        The processes of the training, of which ``fabric`` computes; None for one alone.
    """

    def __init__(
        self,
        module: M,
        problem: Problem,
        recipe: BaseRecipe,
        fabric: Fabric,
        run: RunSettings,
        checkpoints: Checkpoints,
        taken: TakenLayers | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.problem, self.recipe, self.fabric = problem, recipe, fabric
        self.seed, self.precision, self.checkpoints = run.seed, run.precision, checkpoints
        self.progress = TrainingProgress()
        self.batches = problem.batches(run.seed, fabric.device)
        self.schedule = Schedule(len(self.batches), recipe.epochs, recipe.patience)
        self.steps = len(self.batches) * recipe.epochs
        self.processes = processes or Processes()
        self.meetings = Meetings(self.processes, checkpoints)
        self.plain = module.to(fabric.device)
        self.processes.copy_from_first(self.plain)
        self.average = copy.deepcopy(self.plain).requires_grad_(False) if recipe.averaging else None
        self.never_trained = [] if taken is None else taken.frozen_parts(self.plain)
        for part in self.never_trained:
            part.requires_grad_(False)
        self._averaged = self._trained_pairs()
        self.encoders = [
            one for one in encoders(self.plain, recipe) if one not in self.never_trained
        ]
        wrapped = fabric.setup_optimizers(build_optimizer(self.plain, recipe, taken))
        self.optimizer = cast(torch.optim.Optimizer, wrapped)
        self.frozen = recipe.frozen_epochs > 0
        if self.frozen:
            for encoder in self.encoders:
                encoder.freeze()
        self.module = self._ready()
        self._pending: list[Tensor] = []
        # With it, the mean of the losses of all processes is that of the whole batch.
        self._scale: Tensor | None = None
        if self.processes.world > 1 and any(isinstance(m, _BATCH_NORM) for m in module.modules()):
            log.info(
                "batch normalisation uses the part of a batch that a process has: results depend "
                "on the number of processes"
            )

    @property
    def best_module(self) -> M:
        """The model that is validated and saved: the moving average, if there is one."""
        return self.plain if self.average is None else self.average

    @property
    def state(self) -> TrainingState:
        """What a checkpoint holds."""
        return TrainingState(self.plain, self.average, self.optimizer, self.progress)

    def resume(self) -> None:
        """Continue from the checkpoint.

        Raises
        ------
        InputError
            As `Checkpoints.restore`.
        """
        self.checkpoints.restore(self.state, self.schedule)

    def run(self, log: RunLog) -> Iterator[Metrics]:
        """Train to the end; yield the validation metrics of each epoch that is the best so far.

        The caller saves the model at each yield; the checkpoint is written after that.

        Raises
        ------
        TrainingDiverged
            When the loss or the gradient is not finite.
        Stopped
            After a checkpoint, when a process received a signal to stop (`StopSignal`).
        InputError
            When a checkpoint cannot be written.
        """
        with self.processes.stop:
            yield from self._run(log)

    def _run(self, log: RunLog) -> Iterator[Metrics]:
        progress, recipe = self.progress, self.recipe
        while not progress.finished:
            self._epoch(log)
            metrics = self.validate()
            row = {
                "epoch": progress.epoch + 1,
                "step": progress.step,
                "train_loss": progress.loss_sum / len(self.batches),
            } | {f"valid_{name}": value for name, value in metrics.items()}
            progress.history.append(row)
            progress.epoch += 1
            progress.batch, progress.loss_sum = 0, 0.0
            known = metrics | {"epoch": float(progress.epoch)}
            value = known[recipe.monitor] * (-1 if recipe.monitor == "loss" else 1)
            if progress.best is None or value > progress.best:
                progress.best, progress.best_epoch = value, progress.epoch
                yield metrics
            progress.finished = self.schedule.is_finished(progress.epoch, progress.best_epoch)
            log.epoch(progress)
            self.checkpoint()

    def _epoch(self, log: RunLog) -> None:
        progress = self.progress
        if self.frozen and progress.epoch >= self.recipe.frozen_epochs:
            self._unfreeze()
        self.module.train()
        for part in self.never_trained:
            part.eval()
        rank, world = self.fabric.global_rank, self.fabric.world_size
        started = time.perf_counter()
        # Closed at once when a step fails: an error that is kept would keep the stream's thread.
        with (
            log.epoch_stage(progress, len(self.batches), self.recipe) as shown,
            closing(
                own_shares(self.batches, progress.epoch, progress.batch, rank, world)
            ) as stream,
        ):
            for share in self._timed(stream):
                whole = share.size < world or world == 1
                self._scale = None if whole else world * self._fraction(share)
                rows = range(share.size)[share_of(share.size, rank, world)]
                with share_of_batch(rows, share.size):
                    self._pending.append(self._step(*share.own))
                progress.step += 1
                progress.batch += 1
                shown.add()
                now = time.perf_counter()
                progress.seconds += now - started
                started = now
                if self.meetings.is_due(progress.step, len(self._pending)):
                    decision = self._meet()
                    log.step(progress, shown, self.recipe)
                    if decision.stop:
                        raise self._stopped()
                    if decision.checkpoint:
                        self.checkpoint()
        if self._pending and self._meet().stop:
            raise self._stopped()

    def _fraction(self, share: Share) -> Tensor:
        """Fraction of the weights of a batch that a share has, of each mean of the loss."""
        own = self.problem.weights(share.own)
        if share.batch is None:
            whole = self.processes.total(own)
        else:
            whole = self.problem.weights(share.batch)
        fraction = torch.where(whole > 0, own / whole, 0.0)
        return fraction.float().to(self.fabric.device, non_blocking=True)

    def _stopped(self) -> Stopped:
        """Write a checkpoint; return the error that ends the training, as a signal asked for."""
        self.checkpoint()
        # No process ends before the first one has written it.
        self.processes.wait()
        step = self.progress.step
        return Stopped(
            f"the training was stopped at step {step:,} by SIGUSR1, after a checkpoint: "
            f"{self.checkpoints.path}. Resume it (resume) to go on."
        )

    def _unfreeze(self) -> None:
        self.frozen = False
        for encoder in self.encoders:
            encoder.unfreeze()
        # Distributed training reduces the gradients that existed when the module was set up.
        self.module = self._ready()

    def _ready(self) -> nn.Module:
        """The module that computes the losses; its parameters are those of the trained module."""
        device = self.fabric.device
        precision = resolve_precision(self.precision, device)
        rows = -(-self.recipe.batch_size // self.fabric.world_size)
        fast = accelerate_training(self.plain, device, precision, rows=rows)
        return self.fabric.setup_module(fast)

    def _timed(self, stream: Iterator[Share]) -> Iterator[Share]:
        while True:
            before = time.perf_counter()
            share = next(stream, None)
            self.progress.seconds_waiting += time.perf_counter() - before
            if share is None:
                return
            yield share

    def _step(self, *batch: np.ndarray | Tensor) -> Tensor:
        progress, recipe, device = self.progress, self.recipe, self.fabric.device
        # Dropout depends on seed and step alone: a resumed run repeats it, and all processes draw
        # from one random seed. (The hash of integers is the same in every process.)
        torch.manual_seed(hash((self.seed, progress.step, 0)) & (2**63 - 1))
        rate = learning_rate(recipe, progress.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        parts = tuple(torch.as_tensor(part).to(device, non_blocking=True) for part in batch)
        if self._scale is None:
            loss = self.problem.loss(self.module, parts)
        else:
            loss = self.problem.loss(self.module, parts, self._scale)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        limit = recipe.clip or math.inf
        norm = nn.utils.clip_grad_norm_(self.plain.parameters(), limit)
        self.optimizer.step()
        if self.average is not None:
            self._update_average()
        # A gradient that is not finite corrupts the weights one step before the loss shows it.
        return loss.detach() + 0.0 * norm.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        assert self.average is not None
        step = self.progress.step
        decay = min(self.recipe.averaging, (step + 1) / (step + 10))
        torch._foreach_lerp_(*self._averaged, 1 - decay)
        # Running statistics of normalisation layers are averages already.
        for ours, theirs in zip(self.average.buffers(), self.plain.buffers(), strict=True):
            ours.copy_(theirs)

    def _trained_pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        """Averaged and current values of all parameters that are trained."""
        if self.average is None:
            return [], []
        pairs = zip(self.average.parameters(), self.plain.parameters(), strict=True)
        never = {p for part in self.never_trained for p in part.parameters()}
        trained = [(ours, theirs) for ours, theirs in pairs if theirs not in never]
        return [ours for ours, _ in trained], [theirs for _, theirs in trained]

    def _meet(self) -> Decision:
        """Check the losses since the last meeting, and decide with the other processes."""
        decision = self.meetings.meet(self._pending, self.progress)
        losses = decision.losses
        bad = (~losses.isfinite()).nonzero()
        first = self.progress.step - len(self._pending)
        self._pending.clear()
        if len(bad):
            raise TrainingDiverged(
                f"loss or gradient is not finite at step {first + int(bad[0]) + 1} "
                f"(epoch {self.progress.epoch + 1}). The last good checkpoint, "
                f"{self.checkpoints.path}, is kept. Use a lower learning rate (lr), or fp32."
            )
        # One by one: the rounding of the sum must not depend on where the run was interrupted.
        for loss in losses.tolist():
            self.progress.loss_sum += loss
        return decision

    def checkpoint(self) -> None:
        """Write the checkpoint (the first process alone).

        Raises
        ------
        InputError
            When it cannot be written.
        """
        if self.fabric.is_global_zero:
            self.checkpoints.save(self.state)
        self.checkpoints.mark(self.progress.step)

    def validate(self) -> Metrics:
        """Metrics of the validation split.

        Raises
        ------
        Stopped
            As `run`.
        """
        module, device = self.best_module, self.fabric.device
        # Running statistics of normalisation layers.
        self.processes.copy_from_first(module, parameters=False)
        try:
            with stage("validating"):
                return self.problem.validate(module, device, self.precision, self.processes)
        except StopRequested:
            raise self._stopped() from None
