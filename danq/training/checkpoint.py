"""Checkpoints, from which a resumed run reaches the same weights as an uninterrupted one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from danq.errors import InputError
from danq.files.sealed_safetensors import NotSealed, read_sealed, write_sealed
from danq.models.stored_model import misfit, to_arrays
from danq.output import replacing
from danq.provenance import Provenance
from danq.training.optimizer import SQUARES, moments_like
from danq.training.progress import Schedule, TrainingProgress, stored_progress

LAST = "last.ckpt"
FORMAT_VERSION = 4
TRAIN_AGAIN = "Train the model again: overwrite this run, or choose another run directory"

V = TypeVar("V")


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
        return self.due_by_steps(step) or time.monotonic() - self._last[1] >= self.seconds

    def due_by_steps(self, step: int) -> bool:
        """Whether one is due after ``step`` steps, however long they took."""
        return self.steps is not None and step - self._last[0] >= self.steps

    def save(self, state: TrainingState) -> None:
        """Write the checkpoint, completely or not at all.

        Raises
        ------
        InputError
            When it cannot be written; the previous checkpoint is kept.
        """
        module, optimizer = state.module, state.optimizer.state_dict()["state"]
        arrays = _named("module", to_arrays(module.state_dict()))
        if state.average is not None:
            arrays |= _named("average", to_arrays(state.average.state_dict()))
        for number, moments in optimizer.items():
            arrays |= _named(f"optimizer/{number}", to_arrays(moments))
        header = {
            "format_version": str(FORMAT_VERSION),
            "identity": json.dumps(self.provenance.identity()),
            "moments": json.dumps(sorted(optimizer)),
            "progress": json.dumps(asdict(state.progress)),
        }
        remedy = "Free some space, then resume; the previous checkpoint is kept"
        with replacing(self.path, overwrite=True, remedy=remedy) as temporary:
            write_sealed(temporary, arrays, header)

    def restore(self, state: TrainingState, schedule: Schedule | None = None) -> None:
        """Set a state, in place, to the one that the checkpoint holds.

        Everything is checked before the state is changed.

        Parameters
        ----------
        state
            A state of the same model and optimizer.
        schedule
            Schedule of the run; None to accept any number of steps.

        Raises
        ------
        InputError
            When the file is damaged, has another format version, belongs to a run with other data
            or settings, or holds other tensors than such a run, values that are NaN or infinite, or
            an impossible progress.
        """
        try:
            metadata, arrays, _ = read_sealed(
                self.path, expected="a checkpoint of danq", remedy=TRAIN_AGAIN
            )
        except NotSealed as error:
            version = (error.metadata or {}).get("format_version", "1")
            if error.metadata is None or version == str(FORMAT_VERSION):
                raise self._error("is damaged: it has no checksum where one belongs") from error
            raise self._other_version(version) from error
        progress, numbers = self._checked_header(metadata, schedule)
        expected = _expected(state, numbers)
        problem = None if expected is None else misfit(expected, arrays)
        problem = problem or _impossible_moments(arrays, progress.step)
        if expected is None or problem is not None:
            raise self._error(
                f"its tensors are not those of this training: {problem or 'moments are missing'}"
            )
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        state.module.load_state_dict(_section(tensors, "module"))
        if state.average is not None:
            state.average.load_state_dict(_section(tensors, "average"))
        moments = {number: _section(tensors, f"optimizer/{number}") for number in numbers}
        groups = state.optimizer.state_dict()["param_groups"]
        state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        vars(state.progress).update(vars(progress))

    def _checked_header(
        self, header: dict[str, str], schedule: Schedule | None
    ) -> tuple[TrainingProgress, list[int]]:
        """Progress, and numbers of the parameters with moments; checked to belong to this run."""
        version = header.get("format_version", "1")
        if version != str(FORMAT_VERSION):
            raise self._other_version(version)
        try:
            difference = self.provenance.difference(json.loads(header["identity"]))
            values, numbers = json.loads(header["progress"]), json.loads(header["moments"])
            if not all(type(number) is int for number in numbers):
                raise TypeError
            values = dict(values)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._error("damaged checkpoint header") from error
        if difference is not None:
            raise InputError(
                difference,
                file=self.path,
                remedy="Resume with the data and settings of that run (see its config.toml), or "
                "overwrite it",
            )
        try:
            progress = stored_progress(values, schedule)
            if schedule is not None and progress.step and not numbers:
                raise ValueError("no parameter has moments")
            return progress, numbers
        except (ValueError, TypeError) as error:
            raise self._error(
                f"damaged checkpoint header: no run has such a progress ({error})"
            ) from error

    def _other_version(self, version: object) -> InputError:
        return self._error(
            f"checkpoint format version {version}, this danq reads version {FORMAT_VERSION}"
        )

    def _error(self, problem: str) -> InputError:
        return InputError(problem, file=self.path, remedy=TRAIN_AGAIN)


def _expected(state: TrainingState, numbers: list[int]) -> dict[str, Tensor] | None:
    """Tensors of a checkpoint by name, of which type and shape count; None without such moments."""
    expected = _named("module", state.module.state_dict())
    if state.average is not None:
        expected |= _named("average", state.average.state_dict())
    groups = state.optimizer.param_groups
    parameters = [parameter for group in groups for parameter in group["params"]]
    for number in numbers:
        if not 0 <= number < len(parameters):
            return None
        moments = moments_like(state.optimizer, parameters[number])
        expected |= _named(f"optimizer/{number}", moments)
    return expected


def _impossible_moments(arrays: dict[str, np.ndarray], step: int) -> str | None:
    for name, array in arrays.items():
        section, _, entry = name.rpartition("/")
        if not section.startswith("optimizer/"):
            continue
        if entry in SQUARES and (array < 0).any():
            return f"'{name}' has negative squares"
        if entry == "step" and not 1 <= float(array) <= step:
            return f"'{name}' is {float(array):g} after {step} steps"
    return None


def _named(section: str, values: Mapping[str, V]) -> dict[str, V]:
    return {f"{section}/{name}": value for name, value in values.items()}


def _section(tensors: dict[str, Tensor], section: str) -> dict[str, Tensor]:
    prefix = f"{section}/"
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
