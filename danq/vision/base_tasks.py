"""Base classes for tasks that classify and for tasks that predict values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import step_regression
from danq.training.problem import Metrics
from danq.vision.dataset import Examples, Metadata
from danq.vision.task import Symbols, Task

DIGIT_CLASSES = tuple(str(digit) for digit in range(10))


class Classification(Task):
    """A task with one class per example, stored in the field ``label``.

    ``metadata()["classes"]`` holds the names of the classes; outputs are their logits.
    """

    reported_metrics: ClassVar[tuple[str, ...]] = ("accuracy",)

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"label": metadata["classes"]}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self.call(module, batch).float(), batch["label"])

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most likely class."""
        return outputs.argmax(axis=-1)

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        """Share of examples whose predicted class is correct."""
        return {"accuracy": float((predictions == examples["label"]).mean())}

    exported_output: ClassVar[str] = "probabilities"

    def exported(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return super().exported(module, batch).softmax(dim=-1)

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        """The three most likely classes and their probabilities, one line per prediction."""
        logits = torch.from_numpy(outputs).flatten(0, -2)
        lines = []
        for row in logits.softmax(dim=1):
            best = row.argsort(descending=True)[:3].tolist()
            lines.append("  ".join(f"{metadata['classes'][k]} {row[k]:.3f}" for k in best))
        return lines


class StepRegression(Task):
    """A task with values at every step, stored in the field ``target``; outputs are the values."""

    target: ClassVar[str]

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Squared error."""
        return step_regression(self.call(module, batch).float(), batch[self.target])


def number_lines(rows: Any) -> list[str]:
    """Rows of values as tab-separated text with four decimals."""
    return ["\t".join(f"{value:.4f}" for value in row) for row in rows]


def nearest_rows(known: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Index of the row of ``known`` with the least Euclidean distance to each query row."""
    squares = (known**2).sum(axis=1)
    return (squares - 2 * queries @ known.T).argmin(axis=1)


def nearest_images(known: Examples, queries: Examples) -> np.ndarray:
    """Index of the known image with the least Euclidean distance to each query image."""
    flat = [e["image"].reshape(len(e), -1).astype(np.float32) for e in (known, queries)]
    return nearest_rows(*flat)
