"""From the examples of a task to a run directory with a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from danq._version import __version__
from danq.errors import InputError
from danq.output import replacing
from danq.training.config import RunSettings
from danq.training.optimizer import encoders
from danq.training.problem import Metrics
from danq.training.processes import one_voice, training_processes
from danq.training.recipe import BaseRecipe
from danq.training.restarts import continued
from danq.training.session import Session, TrainingResult
from danq.vision.dataset import EVALUATION_BATCH, Dataset, Examples
from danq.vision.dataset_folder import read_dataset
from danq.vision.problem import TaskProblem, inference
from danq.vision.task import ModelDefinition, Task
from danq.vision.task_registry import is_registered, load_task
from danq.vision.vision_model_file import VisionSpec, build, load_vision_model

TEST_METRICS = "test.tsv"


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
    task: str | Task,
    *,
    out: str | Path,
    data: str | Path | Dataset | None = None,
    model: str | ModelDefinition | None = None,
    recipe: BaseRecipe | None = None,
    run: RunSettings | None = None,
    quick: bool = False,
    resume: bool = False,
    overwrite: bool = False,
) -> VisionResult:
    """Train a model on a task.

    Parameters
    ----------
    task
        A registered task or its name.
    out
        Run directory. It receives ``model.safetensors`` (best epoch), ``last.ckpt``,
        ``config.toml``, ``metrics.csv``, ``test.tsv``, ``tensorboard/``, ``log.txt``.
    data
        Examples, or their directory (`danq.vision.read_dataset`); None makes synthetic examples
        from the random seed.
    model
        Name of a model of the task; its definition with changed hyperparameters
        (`ModelDefinition.with_hyperparameters`); or None for the first model of the task.
    recipe
        Settings that differ from those of the model.
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
        task = load_task(task) if isinstance(task, str) else _check_registered(task)
        known = task.model(model.name if isinstance(model, ModelDefinition) else model)
        definition = model if isinstance(model, ModelDefinition) else known
        recipe = _recipe(task, definition, recipe, quick)
        run = RunSettings(precision="fp32").replaced(run or RunSettings())
        resume, overwrite = continued(Path(out), resume, overwrite)
        with (
            training_processes(run, Path(out)) as processes,
            Session(out, run, processes, resume=resume, overwrite=overwrite) as session,
        ):
            return _train(session, task, definition, recipe, data=data, quick=quick)


def _train(
    session: Session,
    task: Task,
    definition: ModelDefinition,
    recipe: BaseRecipe,
    *,
    data: str | Path | Dataset | None,
    quick: bool,
) -> VisionResult:
    """Train in one of the processes of a run."""
    run = session.run
    data, data_name = _examples(task, data, run.seed, quick)
    spec = _spec(task, definition, data, recipe, run.seed)
    torch.manual_seed(run.seed)
    module = build(spec)
    encoders(module, recipe)  # raises, before anything is written, if nothing can be frozen
    sample = data.train.rows(slice(EVALUATION_BATCH))
    with inference(module, session.device, session.precision) as ready:
        before = task.mean_loss(ready, sample)
    tables = {
        "task": {"name": task.name, "model": definition.name},
        "model": spec.hyperparameters,
        "recipe": recipe.model_dump(),
    }
    if session.is_main:
        session.prepare(tables, None, data.sha256)
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
    return BaseRecipe(**(settings | (changes.given() if changes is not None else {})))


def _examples(
    task: Task, data: str | Path | Dataset | None, seed: int, quick: bool
) -> tuple[Dataset, str]:
    """Examples, and their name in error messages."""
    if isinstance(data, Dataset):
        return data, "the data given"
    if data is None:
        made = task.make(seed, task.quick_sizes if quick else task.sizes)
        return made, f"the synthetic data of random seed {seed}"
    return read_dataset(data, task), str(data)


def _spec(
    task: Task, model: ModelDefinition, data: Dataset, recipe: BaseRecipe, seed: int
) -> VisionSpec:
    return VisionSpec(
        created_by=f"danq {__version__}",
        task=task.name,
        model=model.name,
        hyperparameters=dict(model.hyperparameters),
        metadata=data.metadata,
        inputs=data.train.types,
        data_sha256=data.sha256,
        training={"recipe": recipe.model_dump(), "seed": seed},
    )
