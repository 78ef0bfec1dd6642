"""How far a training run has come, and whether a stored progress is possible."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple


@dataclass
class TrainingProgress:
    """How far a run has come.

    Data order, augmentation and dropout are functions of the seed and of these counts, so no state
    of a random generator is stored.
    """

    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done in the current epoch."""
    loss_sum: float = 0.0
    """Sum of the losses of those batches."""
    seconds: float = 0.0
    """Training time, without interruptions and validation."""
    seconds_waiting: float = 0.0
    """Part of that time in which the next batch was not ready."""
    best: float | None = None
    """Best value of the monitored metric; a loss is negated."""
    best_epoch: int = 0
    model_sha256: str = ""
    """Checksum of the model file of that epoch."""
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each finished epoch."""


class Schedule(NamedTuple):
    """What limits the progress of a run.

    Attributes
    ----------
    batches
        Batches per epoch.
    epochs
        Number of epochs.
    patience
        Epochs without improvement after which training stops; 0 for no early stopping.
    """

    batches: int
    epochs: int
    patience: int

    def is_finished(self, epoch: int, best_epoch: int) -> bool:
        """Whether a run ends after an epoch."""
        return epoch >= self.epochs or 0 < self.patience <= epoch - best_epoch


_COUNTS = ("step", "epoch", "batch", "best_epoch")
_AMOUNTS = ("loss_sum", "seconds", "seconds_waiting")


def stored_progress(values: Mapping[str, Any], schedule: Schedule | None) -> TrainingProgress:
    """Progress from its stored values.

    Parameters
    ----------
    values
        Values by name of the field.
    schedule
        That of the run; None to compare the values only with each other.

    Raises
    ------
    ValueError
        When no run can have them.
    """
    names = {one.name for one in fields(TrainingProgress)}
    for name in names ^ set(values):
        raise ValueError(f"{name} is {'missing' if name in names else 'unknown'}")
    p = TrainingProgress(**values)
    for name in _COUNTS:
        if type(values[name]) is not int or values[name] < 0:
            raise ValueError(f"{name} is {values[name]!r}")
    for name in (*_AMOUNTS, "best"):
        if not ((name == "best" and p.best is None) or _is_finite(values[name])):
            raise ValueError(f"{name} is {values[name]!r}")
    if p.seconds < 0 or p.seconds_waiting < 0:
        raise ValueError("a time is negative")
    if type(p.finished) is not bool or type(p.model_sha256) is not str:
        raise ValueError("a field has another type")
    if (p.best is None) != (p.best_epoch == 0) or p.best_epoch > p.epoch:
        raise ValueError(f"the best of {p.epoch} epochs is {p.best_epoch}")
    _check_history(p)
    if schedule is not None:
        _check_schedule(p, schedule)
    return p


def _check_history(p: TrainingProgress) -> None:
    rows = p.history
    if not isinstance(rows, list) or len(rows) != p.epoch:
        raise ValueError(f"the metrics are not those of {p.epoch} epochs")
    for number, row in enumerate(rows, start=1):
        numbers = isinstance(row, dict) and all(type(one) in (int, float) for one in row.values())
        if not numbers or list(row) != list(rows[0]) or row.get("epoch") != number:
            raise ValueError(f"the metrics of epoch {number} are damaged")


def _check_schedule(p: TrainingProgress, schedule: Schedule) -> None:
    if p.epoch > max(1, schedule.epochs):
        raise ValueError(f"epoch is {p.epoch}, and the run has {schedule.epochs}")
    if p.batch > schedule.batches:
        raise ValueError(f"batch is {p.batch}, and an epoch has {schedule.batches}")
    if p.step != p.epoch * schedule.batches + p.batch:
        raise ValueError(f"step is {p.step} in epoch {p.epoch} at batch {p.batch}")
    finished = p.epoch > 0 and p.batch == 0 and schedule.is_finished(p.epoch, p.best_epoch)
    if p.finished != finished:
        raise ValueError(f"it is {'' if p.finished else 'not '}finished after {p.epoch} epochs")


def _is_finite(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
