"""Tasks without examples of their own: classes, labels, values and classes of steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Int
from torch import Tensor, nn

from danq.core import step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.dataset import Dataset, Examples, Metadata, evaluation_batches
from danq.vision.own_tasks.class_metrics import class_metrics, label_metrics, value_metrics
from danq.vision.own_tasks.value_scale import ScaledValues
from danq.vision.prediction_rows import Row, Truth
from danq.vision.task import Sizes, Task

NO_CLASS = -1
"""Class of a step without a label."""

VALUE = "value"
"""Name of a value without a name, and of the column of values."""

_REMEDY = "Give data of your own"


class OwnTask(Task):
    """A task on a user's own data, whose facts are all in the metadata of the data.

    Attributes
    ----------
    entries
        Entries that the metadata needs.
    """

    entries: ClassVar[tuple[str, ...]]
    sizes = quick_sizes = Sizes(0, 0, 0)
    is_own: ClassVar[bool] = True
    data_source: ClassVar[str] = "your own files"

    def metadata(self) -> dict[str, Any]:
        """Refuse: the facts of this task are those of the data.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"the task '{self.name}' has no facts without data", remedy=_REMEDY)

    def required(self) -> frozenset[str]:
        return frozenset(self.entries)

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        """Refuse: this task has no examples of its own.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(f"the task '{self.name}' has no examples of its own", remedy=_REMEDY)

    @abstractmethod
    def loss_of(self, output: Any, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Mean loss of the output of a module for a batch."""

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return self.loss_of(self.call(module, batch), batch, module)

    def output(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Any:
        """Outputs for the examples of a batch, as `join` takes them."""
        return self.call(module, batch).float().cpu().numpy()

    def join(self, outputs: Sequence[Any]) -> Any:
        """Outputs of several batches as one."""
        return np.concatenate(outputs)

    def stream(self, module: nn.Module, examples: Examples) -> Iterator[tuple[Any, Examples]]:
        """Yield the outputs of each batch and its small fields, which `rows` needs."""
        for part in evaluation_batches(module, examples):
            yield self.output(module, part), self._small(part)

    def outputs(self, module: nn.Module, examples: Examples) -> Any:
        """Outputs for all examples."""
        return self.join([found for found, _ in self.stream(module, examples)])

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        outputs, small = self.evaluated(module, examples)
        return self.score(self.decode(outputs), small)

    def evaluated(self, module: nn.Module, examples: Examples) -> tuple[Any, Examples]:
        """Outputs for all examples, and their small fields, from one pass over the examples."""
        outputs, fields = zip(*self.stream(module, examples), strict=True)
        return self.join(outputs), _joined(fields, examples)

    def validation(self, module: nn.Module, examples: Examples) -> Metrics:
        """Loss and metrics, from one pass over the examples."""
        total, weights, outputs, fields = 0.0, 0.0, [], []
        for part in evaluation_batches(module, examples):
            output = self.call(module, part)
            outputs.append(output.float().cpu().numpy())
            fields.append(self._small(part))
            weight = self.weight(part)
            total += float(self.loss_of(output, part, module)) * weight
            weights += weight
        if not weights:
            raise InputError(
                "no step of the validation split has a class",
                remedy="Give examples with classes to this split",
            )
        scores = self.score(self.decode(self.join(outputs)), _joined(fields, examples))
        return {"loss": total / weights, **scores}

    def _small(self, batch: Mapping[str, Tensor]) -> Examples:
        """Fields of a batch other than pixels, series and sounds."""
        large = {n for n in self.inputs if self.fields[n].startswith(("uint8", "float32"))}
        rows = {"row": np.arange(len(next(iter(batch.values()))))}
        return Examples(rows | {n: x.cpu().numpy() for n, x in batch.items() if n not in large})

    def describe(self, outputs: Any, examples: Examples, metadata: Metadata) -> list[str]:
        """One line per example."""
        tables = self.rows(outputs, examples, metadata)
        return [self.line(rows) for rows in tables]

    @abstractmethod
    def rows(self, outputs: Any, examples: Examples, metadata: Metadata) -> list[list[Row]]: ...

    def with_input(self, rows: list[Row], name: str) -> list[Row]:
        """Rows of one example with what is known from the name of the input."""
        return rows

    @abstractmethod
    def line(self, rows: list[Row]) -> str:
        """Text for a person about the rows of one example."""


class ClassTask(OwnTask):
    """One class per example, in the field ``label``.

    Attributes
    ----------
    named
        Entry of the metadata with the names of the classes.
    """

    reported_metrics = ("accuracy", "balanced_accuracy", "f1")
    exported_output = "probabilities"
    named: ClassVar[str] = "classes"
    label: ClassVar[str] = "label"
    column: ClassVar[str] = "class"

    def loss_of(self, output: Tensor, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Cross-entropy; an example whose class the training split has not costs nothing."""
        label = batch[self.label]
        total = F.cross_entropy(output.float(), label, ignore_index=NO_CLASS, reduction="sum")
        return total / len(label)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most likely class."""
        return outputs.argmax(axis=-1)

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        return class_metrics(examples[self.label], predictions)

    def truth(self, predictions: Any, examples: Examples, metadata: Metadata) -> Truth:
        known = examples[self.label] != NO_CLASS
        return Truth(metadata[self.named], examples[self.label][known], predictions[known])

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        return [[row] for row in class_rows(outputs, metadata[self.named], self.column)]

    def line(self, rows: list[Row]) -> str:
        return class_line(rows[0])

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return super().exported(module, batch).softmax(dim=-1)


class LabelTask(OwnTask):
    """Several labels per example, any number of which apply, in the field ``labels``."""

    reported_metrics = ("f1", "micro_f1", "aupr")
    exported_output = "probabilities"

    def loss_of(self, output: Tensor, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Binary cross-entropy, averaged over labels."""
        return F.binary_cross_entropy_with_logits(output.float(), batch["labels"].float())

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        return label_metrics(examples["labels"], predictions)

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        names = metadata["classes"]
        probabilities = torch.from_numpy(outputs).sigmoid().numpy()
        return [
            [
                {
                    "labels": ";".join(n for n, p in zip(names, row, strict=True) if p > 0.5),
                    "probabilities": dict(zip(names, row.tolist(), strict=True)),
                }
            ]
            for row in probabilities
        ]

    def line(self, rows: list[Row]) -> str:
        found = [(p, n) for n, p in rows[0]["probabilities"].items() if p > 0.5]
        return "  ".join(f"{name} {p:.3f}" for p, name in sorted(found)[::-1]) or "no label"

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return super().exported(module, batch).sigmoid()


class ValueTask(OwnTask):
    """Values per example in the field ``values``; NaN is a missing one.

    The loss is the squared error as a multiple of the variance in the training split, which
    `ScaledValues`, the last layer of the module, stores.
    """

    reported_metrics = ("r2", "mae")
    exported_output = "values"
    errors = frozenset({"mae"})

    def loss_of(self, output: Tensor, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Squared error over the known values of each example, averaged over examples."""
        (scale,) = (part.scale for part in module.modules() if isinstance(part, ScaledValues))
        known = ~batch["values"].isnan()
        error = ((output.float() - batch["values"]) / scale).masked_fill(~known, 0.0).square()
        return (error.sum(dim=1) / known.sum(dim=1).clamp(min=1)).mean()

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        return value_metrics(examples["values"], predictions)

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        names = metadata["names"]
        if names == [VALUE]:
            return [[{VALUE: row.item()}] for row in outputs]
        return [[{VALUE: dict(zip(names, row.tolist(), strict=True))}] for row in outputs]

    def line(self, rows: list[Row]) -> str:
        values = rows[0][VALUE]
        named = values if isinstance(values, dict) else {VALUE: values}
        return "  ".join(f"{name} {value:.6g}" for name, value in named.items())


class StepClassTask(OwnTask):
    """A class at every step, in a field with `NO_CLASS` at padding and at steps without a label."""

    reported_metrics = ("accuracy", "balanced_accuracy", "f1")
    exported_output = "probabilities"
    label: ClassVar[str]
    step: ClassVar[str]
    """Name of a step: its column in tables."""

    @abstractmethod
    def real(self, examples: Examples) -> Bool[np.ndarray, "N T"]:
        """Mask of the real steps."""

    def loss_of(self, output: Tensor, batch: Mapping[str, Tensor], module: nn.Module) -> Tensor:
        """Cross-entropy over steps with a label."""
        label = batch[self.label]
        return step_cross_entropy(output.float(), label, label != NO_CLASS)

    def weight(self, batch: Mapping[str, Any]) -> float:
        """Number of steps with a label."""
        return int((batch[self.label] != NO_CLASS).sum())

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most likely class of each step."""
        return outputs.argmax(axis=-1)

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        true, known = self._known(examples)
        return class_metrics(true, predictions[known])

    def truth(self, predictions: Any, examples: Examples, metadata: Metadata) -> Truth:
        true, known = self._known(examples)
        return Truth(metadata["classes"], true, predictions[known])

    def rows(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[list[Row]]:
        tables = []
        for row, real in zip(outputs, self.real(examples), strict=True):
            found = class_rows(row[real], metadata["classes"], "class")
            tables.append([{self.step: n, **one} for n, one in enumerate(found)])
        return tables

    def line(self, rows: list[Row]) -> str:
        """Runs of steps of one class."""
        parts: list[list[Any]] = []
        for row in rows:
            if parts and parts[-1][2] == row["class"]:
                parts[-1][1] = row[self.step]
            else:
                parts.append([row[self.step], row[self.step], row["class"]])
        return "  ".join(f"{a}-{b} {name}" if a != b else f"{a} {name}" for a, b, name in parts)

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return super().exported(module, batch).softmax(dim=-1)

    def _known(self, examples: Examples) -> tuple[Int[np.ndarray, " M"], Bool[np.ndarray, "N T"]]:
        known = examples[self.label] != NO_CLASS
        return examples[self.label][known], known


def _joined(parts: Sequence[Examples], whole: Examples) -> Examples:
    """Small fields of all batches, and the texts, which are in no batch."""
    texts = {name: array for name, array in whole.arrays.items() if array.dtype.kind == "U"}
    names = parts[0].arrays
    return Examples(texts | {n: np.concatenate([one[n] for one in parts]) for n in names})


def class_rows(logits: np.ndarray, names: list[str], column: str) -> list[Row]:
    """A row per row of logits: the most likely class and the probabilities of all."""
    probabilities = torch.from_numpy(np.ascontiguousarray(logits)).softmax(dim=-1).numpy()
    return [
        {
            column: names[int(row.argmax())],
            "probability": float(row.max()),
            "probabilities": dict(zip(names, row.tolist(), strict=True)),
        }
        for row in probabilities
    ]


def class_line(row: Row) -> str:
    """The three most likely classes and their probabilities."""
    best = sorted(row["probabilities"].items(), key=lambda pair: -pair[1])[:3]
    return "  ".join(f"{name} {p:.3f}" for name, p in best)
