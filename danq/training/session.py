"""What all trainings share: device, processes, run directory, log, checkpoints, the saved model."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from pydantic import BaseModel
from torch import nn

from danq._memory import kept_memory
from danq._version import __version__
from danq.device import Precision, resolve_precision, set_threads
from danq.file_lock import FileLock
from danq.files.inputs_in_use import check_unchanged, note_own_folder
from danq.models.model_file import save_model
from danq.models.stored_model import RUN_MODEL
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.output import refuse_input_within
from danq.provenance import Inputs, Provenance, settings_of
from danq.training.checkpoint import LAST, Checkpoints
from danq.training.config import CONFIG, RunSettings, write_config
from danq.training.fabric import make_fabric
from danq.training.fit import Fit
from danq.training.optimizer import TakenLayers
from danq.training.problem import Metrics, Problem
from danq.training.processes import Processes
from danq.training.progress import TrainingProgress
from danq.training.recipe import BaseRecipe
from danq.training.run_card import card_of_run
from danq.training.run_directory import (
    check_run_directory,
    is_run,
    lock_run_directory,
    prepare_run_directory,
    unlock_run_directory,
)
from danq.training.run_log import RunLog
from danq.training.saved_model import find_saved_model

log = logging.getLogger("danq")

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """Result of a training run.

    Attributes
    ----------
    directory
        The run directory; ``danq.load(directory)`` gives the best model.
    best_epoch
        Epoch (from 1) whose weights were kept.
    epochs
        Epochs trained.
    seconds
        Training time, without validation.
    wait_fraction
        Fraction of that time spent waiting for data.
    history
        Metrics of each epoch, as in ``metrics.csv``.
    rank
        Index of this process in distributed training; the first is 0.
    """

    directory: Path
    best_epoch: int
    epochs: int
    seconds: float
    wait_fraction: float
    history: list[dict[str, float]]
    rank: int
    __repr__ = display_text
    _repr_html_ = display_html

    def describe(self) -> str:
        """The directory, the best epoch and the time on one line."""
        epochs = f"{self.epochs} epoch" + "s" * (self.epochs != 1)
        return (
            f"{self.directory}: best of {epochs} was {self.best_epoch}; "
            f"trained for {self.seconds:.0f} s"
        )

    def _display(self) -> Display:
        history = FirstRows.of("Metrics of each epoch", self.history)
        return Display(self.describe(), tables=[history] if self.history else [])


class TrainedSpec(Protocol):
    """Fields that the headers of all model files have."""

    data_sha256: str
    training: dict[str, Any]

    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


class Session:
    """One process of a training run: a context manager that locks the run directory.

    Parameters
    ----------
    out
        Run directory.
    run
        Settings of the run.
    processes
        The processes of the run; this one is one of them.
    resume
        Continue from the checkpoint in the directory, if there is one.
    overwrite
        Replace a run that exists.

    Raises
    ------
    InputError
        When the device or precision is not available, the run directory may not be written, another
        process is training in it, or the run to resume has another model card.
    """

    def __init__(
        self,
        out: str | Path,
        run: RunSettings,
        processes: Processes,
        *,
        resume: bool,
        overwrite: bool,
    ) -> None:
        self.directory, self.resume, self.processes = Path(out), resume, processes
        self.device = processes.device
        # Stored as resolved values, so that a resumed run computes as before.
        self.precision: Precision = resolve_precision(run.precision, self.device)
        layout = processes.layout
        resolved = {"devices": layout.local_world, "nodes": layout.nodes}
        self.run = run.model_copy(update={"precision": self.precision, **resolved})
        self.fabric = make_fabric(self.device, self.run, processes)
        # After Fabric, which sets another number.
        threads = set_threads(run.threads or processes.own_threads())
        if processes.world == 1:
            self.run = self.run.model_copy(update={"threads": threads})
        self.is_main = processes.is_first
        self._lock: FileLock | None = None
        self._may_replace = overwrite
        if self.is_main:
            check_run_directory(self.directory, resume=resume, overwrite=overwrite)
            # Others are locked once all inputs are checked: until then, nothing is written.
            if is_run(self.directory):
                self._lock = lock_run_directory(self.directory)
        self.resuming = processes.first(lambda: resume and (self.directory / LAST).is_file())
        card = card_of_run(self.directory, run.card, resuming=self.resuming)
        self.run = self.run.model_copy(update={"card": card})
        self._log: RunLog | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            unlock_run_directory(self.directory, self._lock)

    def prepare(
        self, tables: Mapping[str, Mapping[str, Any]], dataset: Path | None, checksum: str
    ) -> None:
        """Prepare the run directory; write its ``config.toml`` unless an earlier run is resumed.

        To be called in the main process, once all inputs are known to be valid: the directory may
        be emptied.

        Parameters
        ----------
        tables
            Sections of ``config.toml`` without ``[run]``.
        dataset
            File of the dataset, if there is one.
        checksum
            Checksum of the dataset.

        Raises
        ------
        InputError
            As `prepare_run_directory`; when an input changed while it was read.
        """
        check_unchanged()
        if self._lock is None:
            self._lock = lock_run_directory(self.directory)
            # Another process may have trained in it meanwhile.
            check_run_directory(self.directory, resume=self.resume, overwrite=self._may_replace)
        if not self.resume:
            refuse_input_within(self.directory)
        prepare_run_directory(self.directory, dataset, resume=self.resume)
        note_own_folder(self.directory)
        if not (self.resuming and (self.directory / CONFIG).is_file()):
            run = self.run.model_dump(exclude_none=True)
            write_config(self.directory, {**tables, "run": run}, checksum)

    @contextmanager
    def recording(self, unit: str) -> Iterator[None]:
        """Context that writes the records of the run; see `RunLog`."""
        active = self.is_main and not self.run.quiet
        record = RunLog(self.directory, active=active, unit=unit)
        # Inside the record, which shows the same error as the user sees.
        with kept_memory(), record as self._log, self.processes.failing_together(self.directory):
            yield

    def fit(
        self,
        module: M,
        problem: Problem,
        recipe: BaseRecipe,
        spec: TrainedSpec,
        *,
        model: Mapping[str, Any],
        data_name: str,
        taken: TakenLayers | None = None,
    ) -> Fit[M]:
        """Train a model, or continue its training, and save the best one; inside `recording`.

        Parameters
        ----------
        module, problem, recipe
            As `Fit` takes them.
        spec
            Header of the model file; the best epoch and its metrics are added to it.
        model
            What a resumed run must share about the model.
        data_name
            Name of the dataset in error messages.
        taken
            Layers that were taken from a pretrained model. The first checkpoint is then written
            before the first step, so that the run can resume without that model.

        Raises
        ------
        InputError, TrainingDiverged
            As `Fit.resume` and `Fit.run`.
        """
        assert self._log is not None
        provenance = self._provenance(model, recipe, Inputs((data_name,), (spec.data_sha256,)))
        checkpoints = Checkpoints(self.directory, provenance, steps=self.run.checkpoint_steps)
        fit = Fit(
            module, problem, recipe, self.fabric, self.run, checkpoints, taken, self.processes
        )
        if self.resuming:
            fit.resume()
            self._check_saved_model(fit, spec)
            self._log.restore(fit.progress)
            if fit.progress.finished:
                log.info("the training is finished; no epoch remains")
            else:
                log.info("resuming at epoch %d, step %d", fit.progress.epoch + 1, fit.progress.step)
        elif self.is_main and self.resume and (self.directory / RUN_MODEL).is_file():
            log.warning(
                "%s: this run has no checkpoint, so the training starts from the beginning",
                self.directory,
            )
        if taken is not None and not self.resuming:
            fit.checkpoint()
        for metrics in fit.run(self._log):
            self._save_model(fit, spec, metrics)
        self.processes.wait()
        return fit

    def _save_model(self, fit: Fit[Any], spec: TrainedSpec, metrics: Metrics) -> None:
        if self.is_main:
            header = _with_result(spec, metrics, fit.progress)
            fit.progress.model_sha256 = save_model(
                self.directory / RUN_MODEL, fit.best_module, header
            )

    def _check_saved_model(self, fit: Fit[Any], spec: TrainedSpec) -> None:
        """Write the model file again if it is lost and the checkpoint has its weights.

        Raises
        ------
        InputError
            As `find_saved_model`.
        """
        progress = fit.progress
        found = find_saved_model(self.directory, progress, spec)  # type: ignore[arg-type]
        # All processes look before the first one writes.
        self.processes.wait()
        if found == "lost":
            log.warning(
                "%s was missing or another one; it is written again from the checkpoint",
                self.directory / RUN_MODEL,
            )
            row = progress.history[-1]
            metrics = {
                name.removeprefix("valid_"): value
                for name, value in row.items()
                if name.startswith("valid_")
            }
            self._save_model(fit, spec, metrics)
        elif found == "newer":
            # The epoch that it is of is trained again, and is again the best one.
            progress.best, progress.best_epoch, progress.model_sha256 = None, 0, ""

    def result(self, fit: Fit[Any]) -> TrainingResult:
        """Result of a finished training."""
        progress = fit.progress
        return TrainingResult(
            directory=self.directory,
            best_epoch=progress.best_epoch,
            epochs=progress.epoch,
            seconds=progress.seconds,
            wait_fraction=progress.seconds_waiting / max(progress.seconds, 1e-9),
            history=progress.history,
            rank=self.processes.rank,
        )

    def _provenance(
        self, model: Mapping[str, Any], recipe: BaseRecipe, dataset: Inputs
    ) -> Provenance:
        # Device, threads and processes may change when a run is resumed: they change results by
        # rounding.
        settings = settings_of(
            model=model,
            recipe=recipe.model_dump(exclude={"base"}),
            run=self.run.model_dump(include={"seed", "precision"}),
        )
        return Provenance(settings={"danq": __version__, **settings}, inputs={"dataset": dataset})


def _with_result(spec: TrainedSpec, metrics: Metrics, progress: TrainingProgress) -> BaseModel:
    result: dict[str, Any] = {"epoch": progress.best_epoch}
    result |= {f"valid_{name}": value for name, value in metrics.items()}
    return spec.model_copy(update={"training": spec.training | result})  # type: ignore[return-value]
