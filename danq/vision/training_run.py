"""From a task's examples to a run folder with a trained model."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from danq._memory import kept_memory
from danq._version import __version__
from danq.device import resolve_device, resolve_precision, set_threads
from danq.errors import InputError, describe_validation_error
from danq.models.model_file import RUN_MODEL, save_model
from danq.output import replacing
from danq.provenance import Inputs, Provenance, settings_of
from danq.training.checkpoint import LAST, Progress
from danq.training.config import RunSettings, write_tables
from danq.training.fabric import make_fabric
from danq.training.fit import Fit
from danq.training.optimizer import encoders
from danq.training.problem import Metrics
from danq.training.recipe import BaseRecipe
from danq.training.run_folder import check_run_folder, prepare_run_folder
from danq.training.run_log import Journal
from danq.vision.dataset import EVALUATION_BATCH, Dataset
from danq.vision.dataset_folder import read_dataset
from danq.vision.problem import TaskProblem, mean_loss, measure
from danq.vision.task import ModelDefinition, Task
from danq.vision.task_registry import is_registered, load_task
from danq.vision.vision_model_file import VisionSpec, build, load_vision_model

log = logging.getLogger("danq")

FIGURES = "test.tsv"


@dataclass(frozen=True)
class VisionResult:
    """What a training came to.

    Attributes
    ----------
    folder
        Run folder.
    best_epoch, epochs
        Epoch (from 1) whose weights were kept, and epochs trained.
    seconds
        Training time, validation left out.
    parameters
        Number of trained values.
    metrics
        Metrics of the best model on the test split.
    losses
        Mean loss of some training examples before the training and with the best model.
    """

    folder: Path
    best_epoch: int
    epochs: int
    seconds: float
    parameters: int
    metrics: Metrics
    losses: tuple[float, float]


def train(
    task: str | Task,
    *,
    out: str | Path,
    model: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    data: str | Path | Dataset | None = None,
    recipe_changes: Mapping[str, Any] | None = None,
    quick: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: str = "fp32",
    threads: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> VisionResult:
    """Train a model on a task.

    Parameters
    ----------
    task
        A registered task or its name.
    out
        Run folder: ``model.safetensors`` (best), ``last.ckpt``, ``config.toml``,
        ``metrics.csv``, ``test.tsv``, ``tensorboard/``, ``log.txt``.
    model
        Name of a model; None for the task's first.
    hyperparameters
        Hyperparameters that differ from the definition of the model.
    data
        A folder as `danq.vision.dataset_folder.read_dataset` reads it; None makes the examples.
    recipe_changes
        Choices of the training that differ from the model's.
    quick
        Few examples and epochs.
    seed
        Decides the examples that are made, start values, order and dropout.
    device, precision, threads
        As `danq.device` resolves them.
    resume
        Go on from ``last.ckpt``; the result equals that of a run never stopped.
    overwrite
        Replace a run folder that exists.
    quiet
        Tell nothing, and keep no log.

    Raises
    ------
    InputError
        When an input cannot be used, or the run folder exists and neither ``resume`` nor
        ``overwrite`` is set.
    TrainingDiverged
        When the loss is not finite.
    """
    work = load_task(task) if isinstance(task, str) else _registered(task)
    chosen = work.model(model)
    recipe = _recipe(work, chosen, recipe_changes or {}, quick)
    folder = Path(out)
    check_run_folder(folder, resume=resume, overwrite=overwrite)
    where = resolve_device(device)
    kind = resolve_precision(precision, where)
    run = RunSettings(seed=seed, device=device, precision=kind, threads=set_threads(threads))
    source = (
        "what was given" if isinstance(data, Dataset) else str(data or "what the task makes now")
    )
    resuming = resume and (folder / LAST).is_file()
    if not isinstance(data, Dataset):
        sizes = work.quick_sizes if quick else work.sizes
        data = work.make(seed, sizes) if data is None else read_dataset(data, work)
    spec = _spec(work, chosen, hyperparameters or {}, data, recipe, seed)
    torch.manual_seed(seed)
    module = build(spec)
    encoders(module, recipe)  # refuses what cannot be frozen before anything is written
    some = data.train.rows(slice(EVALUATION_BATCH))
    before = mean_loss(work, module, some, where, kind)
    prepare_run_folder(folder, None, resume=resume)
    tables = {"task": {"name": work.name, "model": chosen.name}, "model": spec.hyperparameters}
    tables |= {"training": recipe.model_dump(), "run": run.model_dump(exclude_none=True)}
    if not resuming:
        write_tables(folder, tables, data.sha256)
    fabric = make_fabric(where, run)
    with kept_memory(), Journal(folder, active=not quiet, unit="examples") as journal:
        fit = Fit(
            module,
            TaskProblem(work, data, recipe),
            recipe,
            folder,
            fabric,
            precision=kind,
            seed=seed,
            provenance=_provenance(spec, run, source),
        )
        if resuming:
            fit.resume()
        for best in fit.run(journal):
            save_model(folder / RUN_MODEL, fit.best_module, _with_result(spec, best, fit.progress))
    kept = load_vision_model(folder).module
    metrics = measure(work, kept, data.test, where, kind)
    with replacing(folder / FIGURES, overwrite=True) as temporary:
        temporary.write_text("".join(f"{name}\t{v:.6g}\n" for name, v in metrics.items()))
    if not quiet:
        log.info("test split: %s", ", ".join(f"{n} {v:.4f}" for n, v in metrics.items()))
    return VisionResult(
        folder,
        fit.progress.best_epoch,
        fit.progress.epoch,
        fit.progress.seconds,
        sum(p.numel() for p in module.parameters()),
        metrics,
        (before, mean_loss(work, kept, some, where, kind)),
    )


def _registered(task: Task) -> Task:
    if not is_registered(task):
        name, kind = task.name, type(task).__name__
        raise InputError(
            f"the task '{name}' is not registered"
            if not is_registered(name)
            else f"'{name}' is the name of another task than this {kind}",
            remedy=f"Put @danq.vision.register before class {kind}, under a name of its own: the "
            "model file holds the name alone",
        )
    return task


def _recipe(
    task: Task, model: ModelDefinition, changes: Mapping[str, Any], quick: bool
) -> BaseRecipe:
    choices = task.recipe.model_dump() | dict(model.recipe)
    choices |= {"epochs": task.quick_epochs} if quick else {}
    try:
        return BaseRecipe.model_validate(choices | dict(changes))
    except ValidationError as error:
        raise InputError(
            f"the training cannot take {dict(changes)}: {describe_validation_error(error)}"
        ) from error


def _spec(
    task: Task,
    model: ModelDefinition,
    hyperparameters: Mapping[str, Any],
    data: Dataset,
    recipe: BaseRecipe,
    seed: int,
) -> VisionSpec:
    unknown = sorted(set(hyperparameters) - set(model.hyperparameters))
    if unknown:
        raise InputError(
            f"model '{model.name}' has no hyperparameter '{unknown[0]}'",
            remedy=f"There are {', '.join(model.hyperparameters) or 'none'}",
        )
    return VisionSpec(
        created_by=f"danq {__version__}",
        task=task.name,
        model=model.name,
        hyperparameters={**model.hyperparameters, **hyperparameters},
        metadata=data.metadata,
        inputs={n: (str(a.dtype), a.shape[1:]) for n, a in data.train.arrays.items()},
        data_sha256=data.sha256,
        training={"recipe": recipe.model_dump(), "seed": seed},
    )


def _with_result(spec: VisionSpec, metrics: Metrics, progress: Progress) -> VisionSpec:
    result: dict[str, Any] = {"epoch": progress.best_epoch}
    result |= {f"valid_{name}": value for name, value in metrics.items()}
    return spec.model_copy(update={"training": spec.training | result})


def _provenance(spec: VisionSpec, run: RunSettings, source: str) -> Provenance:
    settings = settings_of(
        model=spec.hyperparameters,
        training=spec.training["recipe"],
        run=run.model_dump(exclude={"device", "threads"}),
    )
    return Provenance(
        settings={"danq": __version__, "task": spec.task, "model": spec.model, **settings},
        inputs={"dataset": Inputs((source,), (spec.data_sha256,))},
    )
