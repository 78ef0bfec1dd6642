"""Checkpoints, from which a resumed run reaches the same weights as an uninterrupted one."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.output import os_errors, replacing
from danq.provenance import Provenance

LAST = "last.ckpt"
FORMAT_VERSION = 2


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
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each finished epoch."""


@dataclass(frozen=True)
class TrainingState:
    """Everything that changes during training.

    Attributes
    ----------
    module
        Model that is trained.
    average
        Moving average of its weights, if the recipe asks for one.
    optimizer
        Optimizer with its moments.
    progress
        Counts, losses and metrics.
    """

    module: nn.Module
    average: nn.Module | None
    optimizer: torch.optim.Optimizer
    progress: TrainingProgress


class Checkpoints:
    """Writes and reads ``last.ckpt`` of a run directory (safetensors inside).

    Parameters
    ----------
    directory
        Run directory.
    provenance
        Data, model and settings of the run; a checkpoint of another run is refused.
    steps, seconds
        A checkpoint is due when this many steps or seconds have passed since the last one; None
        for no limit on steps.
    """

    def __init__(
        self,
        directory: Path,
        provenance: Provenance,
        *,
        steps: int | None = None,
        seconds: float = 300.0,
    ) -> None:
        self.path, self.provenance = directory / LAST, provenance
        self.steps, self.seconds = steps, seconds
        self.mark(0)

    def mark(self, step: int) -> None:
        """Count steps and seconds to the next checkpoint from now on."""
        self._last = (step, time.monotonic())

    def due(self, step: int) -> bool:
        """Whether a checkpoint is due after ``step`` steps."""
        last_step, when = self._last
        if self.steps is not None and step - last_step >= self.steps:
            return True
        return time.monotonic() - when >= self.seconds

    def save(self, state: TrainingState) -> None:
        """Write the checkpoint, completely or not at all.

        Raises
        ------
        InputError
            When it cannot be written; the previous checkpoint is kept.
        """
        tensors = {f"module/{name}": value for name, value in state.module.state_dict().items()}
        if state.average is not None:
            average = state.average.state_dict()
            tensors |= {f"average/{name}": value for name, value in average.items()}
        for number, moments in state.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{number}/{name}": value for name, value in moments.items()}
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        header = {
            "format_version": str(FORMAT_VERSION),
            "identity": json.dumps(self.provenance.identity()),
            "progress": json.dumps(asdict(state.progress)),
        }
        remedy = "Free some space, then resume; the previous checkpoint is kept"
        with (
            replacing(self.path, overwrite=True, remedy=remedy) as temporary,
            os_errors(safetensors.SafetensorError),
        ):
            temporary.write_bytes(safetensors.torch.save(tensors, header))

    def restore(self, state: TrainingState) -> None:
        """Set a state, in place, to the one that the checkpoint holds.

        Raises
        ------
        InputError
            When the file is damaged, has another format version, or belongs to a run with other
            data or settings.
        """
        try:
            with safetensors.safe_open(self.path, framework="pt") as opened:  # type: ignore[attr-defined]
                header = opened.metadata() or {}
            tensors = safetensors.torch.load_file(self.path)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(
                f"cannot read the checkpoint: {error}",
                file=self.path,
                remedy="Train the model again: overwrite this run",
            ) from error
        progress = self._checked_progress(header)
        state.module.load_state_dict(_section(tensors, "module"))
        if state.average is not None:
            state.average.load_state_dict(_section(tensors, "average"))
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _section(tensors, "optimizer").items():
            number, entry = name.split("/")
            moments.setdefault(int(number), {})[entry] = value
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        vars(state.progress).update(vars(progress))

    def _checked_progress(self, header: dict[str, str]) -> TrainingProgress:
        """Progress of the checkpoint, after a check that it belongs to this run."""
        version = header.get("format_version", "1")
        if version != str(FORMAT_VERSION):
            raise InputError(
                f"checkpoint format version {version}, this danq reads version {FORMAT_VERSION}",
                file=self.path,
                remedy="Train the model again: overwrite this run, or choose another run directory",
            )
        try:
            difference = self.provenance.difference(json.loads(header["identity"]))
            progress = TrainingProgress(**json.loads(header["progress"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                "damaged checkpoint header",
                file=self.path,
                remedy="Train the model again: overwrite this run",
            ) from error
        if difference is not None:
            raise InputError(
                difference,
                file=self.path,
                remedy="Resume with the data and settings of that run (see its config.toml), or "
                "overwrite it",
            )
        return progress


def _section(tensors: dict[str, Tensor], section: str) -> dict[str, Tensor]:
    prefix = f"{section}/"
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
