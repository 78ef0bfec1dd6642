"""From the examples of a task to a run directory with a trained model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from danq._version import __version__
from danq.errors import InputError
from danq.output import replacing
from danq.progress import stage
from danq.training.config import RunSettings
from danq.training.optimizer import encoders
from danq.training.problem import Metrics
from danq.training.process_layout import is_first_on_node, started_layout
from danq.training.processes import one_voice, training_processes
from danq.training.recipe import BaseRecipe
from danq.training.restarts import continued
from danq.training.run_card import with_card
from danq.training.run_directory import check_run_directory
from danq.training.session import Session, TrainingResult
from danq.vision.dataset import Dataset, Examples
from danq.vision.dataset_folder import read_dataset
from danq.vision.given_settings import with_input_settings, with_settings
from danq.vision.metadata_checks import check_dataset, check_metadata
from danq.vision.own_data.reading_workers import worker_count
from danq.vision.own_data.training_files import write_training_files
from danq.vision.own_files import OwnFiles, own_tasks
from danq.vision.own_tasks.backbone_weights import (
    check_backbone_settings,
    load_backbone_weights,
    prepared_for_backbone,
)
from danq.vision.own_tasks.backbones import BACKBONE
from danq.vision.problem import TaskProblem, inference
from danq.vision.task import ModelDefinition, Task
from danq.vision.task_registry import is_registered, load_task
from danq.vision.vision_model_file import VisionSpec, build, load_vision_model

TEST_METRICS = "test.tsv"

OWN_FILES = "files"
"""Section of ``config.toml`` with a user's files."""

log = logging.getLogger("danq")


@dataclass(frozen=True, kw_only=True, repr=False)
class VisionResult(TrainingResult):
    """Result of the training of a vision model.

    Attributes
    ----------
    parameters
        Number of trained values.
    metrics
        Metrics of the best model on the test split; empty where it was not evaluated.
    losses
        Mean loss of some training examples, before training and with the best model.
    """

    parameters: int
    metrics: Metrics
    losses: tuple[float, float]

    def describe(self) -> str:
        """The directory, the best epoch, the metrics and the time on one line."""
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        epochs = f"{self.epochs} epoch" + "s" * (self.epochs != 1)
        return (
            f"{self.directory}: best epoch {self.best_epoch} of {epochs}; "
            f"test split: {metrics}; trained for {self.seconds:.0f} s"
        )


def train(
    task: str | Task | None = None,
    *,
    out: str | Path,
    data: str | Path | Dataset | OwnFiles | None = None,
    model: str | ModelDefinition | None = None,
    recipe: BaseRecipe | None = None,
    settings: Mapping[str, Any] | None = None,
    run: RunSettings | None = None,
    quick: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> VisionResult:
    """Train a model on a task.

    Parameters
    ----------
    task
        A registered task or its name; None for the task of ``data``, if that are `OwnFiles`.
    out
        Run directory. It receives ``model.safetensors`` (best epoch), ``last.ckpt``,
        ``config.toml``, ``metrics.csv``, ``test.tsv``, ``log.txt``, and ``tensorboard/`` if
        TensorBoard is installed (extra ``tensorboard``).
    data
        Examples, their directory (`danq.vision.read_dataset`), or a user's own files; None makes
        synthetic examples from the random seed.
    model
        Name of a model of the task; its definition with changed hyperparameters
        (`ModelDefinition.with_hyperparameters`); or None for the first model of the task.
    recipe
        Settings that differ from those of the model.
    settings
        The same by name, hyperparameters of the model, and for `OwnFiles` those of
        `danq.vision.InputSettings`.
    run
        Random seed, device, precision ("fp32" by default), threads.
    quick
        Make few examples and train few epochs.
    resume
        Continue from ``last.ckpt``; the result equals that of an uninterrupted run.
    overwrite
        Replace a run directory that exists.

    Raises
    ------
    InputError
        When an input cannot be used, or the run directory exists and neither ``resume`` nor
        ``overwrite`` is set.
    TrainingDiverged
        When the loss is not finite.
    """
    with one_voice():
        resume, overwrite = continued(Path(out), resume, overwrite)
        found, rest = _found(
            task, data, settings or {}, partial(_check_start, out, resume, overwrite, model)
        )
        task = found.task
        known = task.model(model.name if isinstance(model, ModelDefinition) else model)
        definition = model if isinstance(model, ModelDefinition) else known
        definition, recipe = with_settings(definition, recipe or BaseRecipe(), rest)
        recipe = _recipe(task, definition, recipe, quick)
        run = RunSettings(precision="fp32").replaced(run or RunSettings())
        with (
            training_processes(run, Path(out)) as processes,
            Session(out, run, processes, resume=resume, overwrite=overwrite) as session,
        ):
            return _train(session, found, definition, recipe, quick=quick)


def _check_start(
    out: str | Path,
    resume: bool,
    overwrite: bool,
    model: str | ModelDefinition | None,
    settings: Mapping[str, Any],
) -> None:
    """Check run directory and backbone before a user's files are read, which can take long."""
    if is_first_on_node():
        check_run_directory(Path(out), resume=resume, overwrite=overwrite)
    definition = model if isinstance(model, ModelDefinition) else None
    known = BACKBONE if model == "backbone" else definition and definition.hyperparameters
    check_backbone_settings({**(known or {}), **settings})


class _Found(NamedTuple):
    """A task, and the examples that were given for it, with their name and where they are."""

    task: Task
    data: str | Path | Dataset | None
    name: str
    files: OwnFiles | None


def _found(
    task: str | Task | None,
    data: str | Path | Dataset | OwnFiles | None,
    settings: Mapping[str, Any],
    check_start: Callable[[Mapping[str, Any]], None],
) -> tuple[_Found, dict[str, Any]]:
    """The task and its examples, and the settings that do not concern the reading of files."""
    if not isinstance(data, OwnFiles):
        if task is None:
            raise InputError(
                "no task is given", remedy="Name a task, or give files of your own to train on"
            )
        found = load_task(task) if isinstance(task, str) else _check_registered(task)
        if found.is_own and not isinstance(data, Dataset):
            raise InputError(
                f"the task '{found.name}' is for files of your own",
                remedy="Leave out the task, and give the files",
            )
        return _Found(found, data, "", None), dict(settings)
    reading, rest = with_input_settings(data.settings, settings, own_tasks())
    files = replace(data, settings=reading)
    check_start(rest)
    name, examples = _read(files)
    if task is not None and name != (task if isinstance(task, str) else task.name):
        raise InputError(
            f"these files are for the task '{name}', not for the task given",
            file=files.source,
            remedy="Leave out the task, or give other files",
        )
    found = load_task(name)
    log.info("%s: task %s (%s)", files.source, name, found.about)
    return _Found(found, examples, str(files.source), files), rest


def _read(files: OwnFiles) -> tuple[str, Dataset]:
    """Read files in one of the processes that were started on this node."""
    layout = started_layout()
    if layout is None or files.settings.workers is not None:
        return files.read()
    workers = max(1, worker_count(None) // layout.local_world)
    return replace(files, settings=replace(files.settings, workers=workers)).read()


def _train(
    session: Session,
    found: _Found,
    definition: ModelDefinition,
    recipe: BaseRecipe,
    *,
    quick: bool,
) -> VisionResult:
    """Train in one of the processes of a run."""
    run, task = session.run, found.task
    data, data_name = _examples(task, found, run.seed, quick)
    threads = session.processes.own_threads()
    data = data if threads is None else data.with_threads(threads)
    data = prepared_for_backbone(definition, data)
    spec = with_card(_spec(task, definition, data, recipe, run.seed), run.card, None)
    torch.manual_seed(run.seed)
    module = build(spec)
    load_backbone_weights(module, definition)
    task.prepare(module, data.train)
    encoders(module, recipe)  # raises, before anything is written, if nothing can be frozen
    sample = data.train.rows(slice(data.train.evaluation_batch))
    with inference(module, session.device, session.precision) as ready:
        before = task.mean_loss(ready, sample)
    tables = {
        "task": {"name": task.name, "model": definition.name},
        "model": spec.hyperparameters,
        "recipe": recipe.model_dump(),
    }
    if found.files is not None:
        tables[OWN_FILES] = found.files.table()
    if session.is_main:
        session.prepare(tables, None, data.sha256)
        if task.is_own:
            write_training_files(session.directory, data, task.exported_inputs)
    session.processes.wait()
    with session.recording("examples"):
        fit = session.fit(
            module,
            TaskProblem(task, data, recipe),
            recipe,
            spec,
            model={"task": task.name, "name": definition.name, **spec.hyperparameters},
            data_name=data_name,
        )
    after, metrics = session.processes.first(lambda: _evaluated(session, task, data, sample))
    if run.evaluate and session.is_main:
        with replacing(session.directory / TEST_METRICS, overwrite=True) as temporary:
            lines = (f"{name}\t{value:.6g}\n" for name, value in metrics.items())
            temporary.write_text("".join(lines), encoding="utf-8")
    return VisionResult(
        **vars(session.result(fit)),
        parameters=sum(p.numel() for p in module.parameters()),
        metrics=metrics,
        losses=(before, after),
    )


@stage("evaluating")
def _evaluated(
    session: Session, task: Task, data: Dataset, sample: Examples
) -> tuple[float, Metrics]:
    """Loss of some training examples and metrics of the test split, with the best model."""
    best = load_vision_model(session.directory).module
    with inference(best, session.device, session.precision) as ready:
        after = task.mean_loss(ready, sample)
        return after, task.metrics(ready, data.test) if session.run.evaluate else {}


def _check_registered(task: Task) -> Task:
    if not is_registered(task):
        name, kind = task.name, type(task).__name__
        raise InputError(
            f"the task '{name}' is not registered"
            if not is_registered(name)
            else f"'{name}' is the name of another task than this {kind}",
            remedy=f"Put @danq.vision.register before class {kind} and give the task a unique "
            "name: a model file identifies its task by name",
        )
    return task


def _recipe(
    task: Task, model: ModelDefinition, changes: BaseRecipe | None, quick: bool
) -> BaseRecipe:
    settings = task.recipe.model_dump() | dict(model.recipe)
    if quick:
        settings["epochs"] = task.quick_epochs
    recipe = BaseRecipe(**(settings | (changes.given() if changes is not None else {})))
    known = {"loss", "epoch", *(() if task.slow_metrics else task.reported_metrics)} - task.errors
    if recipe.monitor not in known:
        raise InputError(
            f"the task '{task.name}' has no metric '{recipe.monitor}' to monitor",
            remedy=f"Choose one of {', '.join(sorted(known))}",
        )
    return recipe


@stage("reading examples")
def _examples(task: Task, found: _Found, seed: int, quick: bool) -> tuple[Dataset, str]:
    """Examples with all facts that the task needs, and their name in error messages."""
    data, name = found.data, found.name
    if data is None:
        data = task.make(seed, task.quick_sizes if quick else task.sizes)
        name = f"the synthetic data of random seed {seed}"
    elif not isinstance(data, Dataset):
        data, name = read_dataset(data, task), str(data)
    elif task.is_own:
        # Values may be missing, and answers unknown.
        check_metadata(task, data.metadata)
    else:
        check_dataset(task, data)
    name = name or "the data given"
    facts = task.facts(data)
    return (replace(data, metadata={**data.metadata, **facts}) if facts else data), name


def _spec(
    task: Task, model: ModelDefinition, data: Dataset, recipe: BaseRecipe, seed: int
) -> VisionSpec:
    return VisionSpec(
        created_by=f"danq {__version__}",
        task=task.name,
        model=model.name,
        hyperparameters=dict(model.hyperparameters),
        metadata=data.metadata,
        inputs={name: data.train.types[name] for name in data.train.names},
        data_sha256=data.sha256,
        training={"recipe": recipe.model_dump(), "seed": seed},
    )
