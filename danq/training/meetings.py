"""Steps at which the processes of a training agree whether to write a checkpoint and to stop."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from danq.training.checkpoint import Checkpoints
from danq.training.processes import Processes
from danq.training.progress import TrainingProgress

CHECK_EVERY = 50
"""Largest number of steps between two meetings, at which losses are checked; that makes a GPU wait.
"""

SECONDS = 1.0
"""Time between two meetings of several processes, if a step takes less."""


@dataclass(frozen=True)
class Decision:
    """What all processes do after a step.

    Attributes
    ----------
    losses
        ``(N,)`` mean losses of the whole batches since the last meeting.
    checkpoint
        Whether to write a checkpoint.
    stop
        Whether to end the training after it.
    """

    losses: Tensor
    checkpoint: bool
    stop: bool


class Meetings:
    """Decides at which steps processes meet, and what they decide.

    One process alone decides after every step. Several decide at the same step; the steps between
    two meetings follow from the speed of the first process.

    Parameters
    ----------
    processes
        The processes.
    checkpoints
        Shows when a checkpoint is due.
    """

    def __init__(self, processes: Processes, checkpoints: Checkpoints) -> None:
        self.processes, self.checkpoints = processes, checkpoints
        self.interval = CHECK_EVERY if processes.world == 1 else 1
        self._last = (0, 0.0)
        self._due = False

    def is_due(self, step: int, losses: int) -> bool:
        """Whether the processes meet after a step, at which they have a number of new losses."""
        if self.processes.world > 1:
            return losses >= self.interval or self.checkpoints.due_by_steps(step)
        self._due = self.checkpoints.due(step)
        return self._due or self.processes.stop.requested or losses >= self.interval

    def meet(self, losses: list[Tensor], progress: TrainingProgress) -> Decision:
        """Exchange losses and decide; to be called at the same step in all processes."""
        own = torch.stack(losses).double().cpu() if losses else torch.zeros(0)
        stop, several = self.processes.stop.requested, self.processes.world > 1
        due = self.checkpoints.due(progress.step) if several else self._due
        found = self.processes.gather((own, stop, due, self._speed(progress)))
        speed = found[0][3]
        if several and speed:
            self.interval = min(CHECK_EVERY, max(1, round(speed * SECONDS)))
        # Each process scaled its loss, so that the mean is that of the whole batch.
        mean = torch.stack([one[0] for one in found]).mean(dim=0) if several else own
        return Decision(mean, checkpoint=found[0][2], stop=any(one[1] for one in found))

    def _speed(self, progress: TrainingProgress) -> float:
        """Steps per second since the last meeting."""
        step, seconds = self._last
        self._last = (progress.step, progress.seconds)
        return (progress.step - step) / max(progress.seconds - seconds, 1e-6)
