"""The base class of all tasks, and the definition of a model that solves one."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from danq.errors import InputError
from danq.training.problem import Metrics
from danq.training.recipe import BaseRecipe
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import (
    SPLITS,
    Dataset,
    Examples,
    Fields,
    Metadata,
    evaluation_batches,
)
from danq.vision.prediction_rows import Row, Truth

SeedMetrics = Mapping[str, Mapping[str, float]]
"""Row of a benchmark, name of a metric, its value with one random seed."""
Baselines = Mapping[str, Callable[[], Metrics]]
"""Name of a baseline, and a function that returns its metrics on the test split."""

Symbols = Mapping[str, Sequence[str] | tuple[int, ...] | int]
"""Name of a field of indices, and the names of its values, or how many there are."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of examples of the three splits."""

    train: int
    valid: int
    test: int


@dataclass(frozen=True)
class ModelDefinition:
    """One of the models that a task can train.

    Attributes
    ----------
    name
        Short name, unique within its task.
    configuration
        The blocks, from input to output.
    paper
        Its publication.
    build
        ``build(metadata, **hyperparameters)`` returns the untrained module; ``metadata`` is that
        of the dataset.
    hyperparameters
        All values that determine the module's shape.
    recipe
        Settings of the training that differ from the task's.
    control
        Whether it is a negative control, whose loss need not decrease.
    """

    name: str
    configuration: str
    paper: str
    build: Callable[..., nn.Module]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False

    def with_hyperparameters(self, **changes: Any) -> ModelDefinition:
        """The same model with other hyperparameters.

        Raises
        ------
        InputError
            When the model has no hyperparameter of that name.
        """
        for name in changes:
            if name not in self.hyperparameters:
                raise InputError(
                    f"model '{self.name}' has no hyperparameter '{name}'",
                    remedy=f"The settings are: {', '.join(self.hyperparameters) or 'none'}",
                )
        return replace(self, hyperparameters={**self.hyperparameters, **changes})


@dataclass(frozen=True)
class Target:
    """An aim of a task's benchmark.

    Attributes
    ----------
    text
        Its description.
    margin
        By how much the metrics of one seed exceed the aim; negative if they miss it. The aim is
        met if the mean over the seeds is more than its standard error above 0.
    """

    text: str
    margin: Callable[[SeedMetrics], float]


def above(
    metric: str, rows: Sequence[str], others: Sequence[str]
) -> Callable[[SeedMetrics], float]:
    """Make the margin by which every row has a greater metric than all other rows."""
    return lambda seed: min(seed[r][metric] for r in rows) - max(seed[o][metric] for o in others)


def below(
    metric: str, rows: Sequence[str], others: Sequence[str]
) -> Callable[[SeedMetrics], float]:
    """Make the margin by which every row has a lower metric than all other rows."""
    return above(metric, others, rows)


def at_least(metric: str, row: str, value: float) -> Callable[[SeedMetrics], float]:
    """Make the margin by which a row's metric is above a value."""
    return lambda seed: seed[row][metric] - value


def at_most(metric: str, row: str, value: float) -> Callable[[SeedMetrics], float]:
    """Make the margin by which a row's metric is below a value."""
    return lambda seed: value - seed[row][metric]


def task_recipe(**changes: Any) -> BaseRecipe:
    """Make a recipe for small models: AdamW, one cycle, no weight decay, no weight averaging."""
    defaults = {"lr": 2e-3, "weight_decay": 0.0, "batch_size": 64, "averaging": 0.0}
    return BaseRecipe.model_validate(defaults | changes)


class Task(ABC):
    """A task: its examples, loss, metrics and models.

    The first line of the docstring of a subclass describes the task.

    Attributes
    ----------
    name
        Name on the command line.
    fields
        Type and axes of each field of an example, made by `layout`.
    inputs
        Fields that a module takes, in order.
    models
        The first is the default.
    recipe, quick_epochs
        Settings of the training, and the number of epochs in the quick form.
    sizes, quick_sizes
        Numbers of examples, in full and in the quick form.
    reported_metrics
        Metrics in the benchmark's table, the main one first.
    targets
        Aims of a benchmark in full form.
    slow_metrics
        Whether validation computes the loss alone, because the metrics take long.
    errors
        Metrics that are better when lower, in addition to the loss.
    is_own
        Whether it has no examples, and all its facts are those of a user's data.
    metadata_kinds
        Entries of the metadata that the task needs, and the kind of each
        (`danq.vision.metadata_checks`). Without them, all entries of ``metadata()`` are needed.
    data_source
        Whether the examples are "real" or "made", and what they are made from.
    exported_output
        Name of the output of an exported model.
    """

    name: ClassVar[str]
    fields: ClassVar[Mapping[str, str]]
    inputs: ClassVar[tuple[str, ...]]
    models: ClassVar[tuple[ModelDefinition, ...]]
    recipe: ClassVar[BaseRecipe]
    quick_epochs: ClassVar[int] = 2
    sizes: ClassVar[Sizes]
    quick_sizes: ClassVar[Sizes]
    reported_metrics: ClassVar[tuple[str, ...]]
    targets: ClassVar[tuple[Target, ...]] = ()
    slow_metrics: ClassVar[bool] = False
    errors: ClassVar[frozenset[str]] = frozenset()
    is_own: ClassVar[bool] = False
    metadata_kinds: ClassVar[Mapping[str, str]] = {}
    data_source: ClassVar[str] = "made"
    exported_output: ClassVar[str] = "output"

    @property
    def about(self) -> str:
        """Description of the task: the first line of its docstring."""
        return (inspect.getdoc(type(self)) or self.name).splitlines()[0].rstrip(".")

    @abstractmethod
    def metadata(self) -> dict[str, Any]:
        """Return shapes, class names and vocabularies as JSON values.

        They are the same for all random seeds and numbers of examples, and need no examples.
        """

    def required(self) -> frozenset[str]:
        """Entries that the metadata of examples needs."""
        return frozenset(self.metadata_kinds or self.metadata())

    def facts(self, data: Dataset) -> dict[str, Any]:
        """Further entries of the metadata, which follow from the training split."""
        return {}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        """Sizes of the axes of fields that the metadata give; None for any size."""
        shape, first = metadata.get("shape"), self.inputs[0]
        axes = len(self.fields[first].split()) - 1
        return {} if shape is None or len(shape) != axes else {first: shape}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        """Names or number of the values of each field of indices in a split.

        A tuple has the numbers for the entries of the last axis.
        """
        return {}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        """Draw ``count`` examples of "train", "valid" or "test" from ``rng`` alone.

        A task with a fixed set of examples overrides `make` instead.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither 'draw' nor 'make'")

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        """Make examples; the same random seed and sizes give the same bytes."""
        splits = {
            split: Examples(
                self.draw(split, getattr(sizes, split), np.random.default_rng([seed, number]))
            )
            for number, split in enumerate(SPLITS)
        }
        return Dataset(metadata=self.metadata(), **splits)

    def prepare(self, module: nn.Module, examples: Examples) -> None:
        """Store in an untrained module what it looks up in the training split, such as examples."""
        return

    @abstractmethod
    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch, from one call of ``module``."""

    def weight(self, batch: Mapping[str, Any]) -> float:
        """Weight of a batch in the mean loss of several: what `loss` is a mean over; examples."""
        return len(next(iter(batch.values())))

    def call(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Any:
        """Output of a module for a batch."""
        return module(*(batch[name] for name in self.inputs))

    def outputs(self, module: nn.Module, examples: Examples) -> Any:
        """Outputs for all examples, concatenated."""
        batches = evaluation_batches(module, examples)
        return np.concatenate([self.call(module, part).float().cpu().numpy() for part in batches])

    def decode(self, outputs: Any) -> Any:
        """Predictions, as `score` takes them, from the outputs of a module."""
        return outputs

    @abstractmethod
    def score(self, predictions: Any, examples: Examples) -> Metrics:
        """Metrics of predictions; all but "loss" are better when greater."""

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        """Metrics of a module in evaluation mode."""
        return self.score(self.decode(self.outputs(module, examples)), examples)

    def validation(self, module: nn.Module, examples: Examples) -> Metrics:
        """Metrics at the end of each epoch."""
        loss = {"loss": self.mean_loss(module, examples)}
        return loss if self.slow_metrics else loss | self.metrics(module, examples)

    def mean_loss(self, module: nn.Module, examples: Examples) -> float:
        """Mean loss of all examples."""
        total = weights = 0.0
        for part in evaluation_batches(module, examples):
            weight = self.weight(part)
            total += float(self.loss(module, part)) * weight
            weights += weight
        return total / max(1.0, weights)

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        """Baselines, which need no training by danq."""
        return {}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        """Read one input as examples: an image or clip, resized to the model's shape.

        Parameters
        ----------
        source
            A file or folder.
        metadata
            That of the model's training data.
        text
            Text that accompanies the input, such as a question.

        Raises
        ------
        InputError
            When it cannot be read.
        """
        return Examples({self.inputs[0]: fitted(read_clip(source), metadata["shape"])[None]})

    def predict(
        self, module: nn.Module, examples: Examples, metadata: Metadata, out: Path | None = None
    ) -> list[str]:
        """Predict for examples.

        Parameters
        ----------
        module
            The model, in evaluation mode.
        examples
            The input.
        metadata
            That of the model's training data.
        out
            Where frames, maps or sound are written.

        Returns
        -------
        Lines for a person to read.
        """
        outputs = self.outputs(module, examples)
        lines = self.describe(outputs, examples, metadata)
        return lines if out is None else [*lines, *self.write_output(out, outputs)]

    def rows(self, outputs: Any, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        """Rows of a table of predictions, for each example; all of them for one, by default."""
        return [[{"prediction": line} for line in self.describe(outputs, examples, metadata)]]

    def truth(self, predictions: Any, examples: Examples, metadata: Metadata) -> Truth | None:
        """True and predicted classes; None for a task without classes."""
        return None

    @property
    def exported_inputs(self) -> tuple[str, ...]:
        """Fields that an exported model takes, in order."""
        return self.inputs

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Output of an exported model for a batch; its name is `exported_output`."""
        return self.call(module, batch).float()

    @abstractmethod
    def describe(self, outputs: Any, examples: Examples, metadata: Metadata) -> list[str]:
        """Describe the outputs of a module in lines for a person to read."""

    def write_output(self, out: Path, outputs: Any) -> list[str]:
        """Write the frames, map or sound of the first example; return lines about the file."""
        return []

    def model(self, name: str | None) -> ModelDefinition:
        """Look up a model by its name; None is the first.

        Raises
        ------
        InputError
            When the task has no model of that name.
        """
        known = {model.name: model for model in self.models}
        if name is None:
            return self.models[0]
        if name not in known:
            raise InputError(
                f"task '{self.name}' has no model '{name}'",
                remedy=f"Choose one of {', '.join(known)}",
            )
        return known[name]
