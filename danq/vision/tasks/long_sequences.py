"""Stress tests of sequence layers: adding, copying, and digits as sequences of pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import Classes, CnnRnn, Last, Mlp, PerStep
from danq.errors import InputError
from danq.files.npy_input import read_npy
from danq.training.problem import Metrics
from danq.vision.base_tasks import DIGIT_CLASSES, Classification, number_lines
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.model_blocks import temporal
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    at_least,
    at_most,
    below,
    task_recipe,
)

PAPER = "Bai, Kolter & Koltun 2018"
KINDS = {"tcn": "TCN", "gru": "GRU", "lstm": "LSTM"}
BLANK, DELIMITER, COPIED = 0, 9, 10
"""Symbols of the copy task, and the number of symbols to copy."""


def _models(
    build: Callable[..., nn.Module],
    configuration: str,
    hyperparameters: Mapping[str, Mapping[str, Any]],
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[ModelDefinition, ...]:
    """One model for each of `KINDS`, with its own hyperparameters and recipe."""
    return tuple(
        ModelDefinition(
            kind,
            configuration.format(layer),
            PAPER,
            build,
            {"kind": kind, **hyperparameters[kind]},
            (recipes or {}).get(kind, {}),
        )
        for kind, layer in KINDS.items()
    )


def last_step_model(metadata: Metadata, kind: str, **hyperparameters: Any) -> nn.Module:
    """Values of steps, temporal layer, its last step, dense layer."""
    layer = temporal(kind, metadata["features"], **hyperparameters)
    width = layer.out_features
    return CnnRnn(
        nn.Identity(), layer, Last(width), Classes(Mlp(width, ()), len(metadata["classes"]))
    )


def every_step_model(
    metadata: Metadata, kind: str, embed: int, **hyperparameters: Any
) -> nn.Module:
    """Symbols, temporal layer, logits of symbols at every step."""
    layer = temporal(kind, embed, **hyperparameters)
    encoder = nn.Embedding(metadata["symbols"], embed)
    return CnnRnn(encoder, layer, None, PerStep(Mlp(layer.out_features, ()), metadata["symbols"]))


class Adding(Task):
    """Sum of two marked numbers among 200 in [0, 1]; mean squared error."""

    name = "adding"
    fields = layout(steps="float32 T D", total="float32")
    inputs = ("steps",)
    models = _models(
        last_step_model,
        "{} -> Last -> regression",
        {
            "tcn": {"channels": [24] * 5, "width": 8, "start": "he"},
            "gru": {"hidden": 48},
            "lstm": {"hidden": 48},
        },
        {"tcn": {"batch_size": 16, "lr": 4e-3, "epochs": 3}},
    )
    metadata_kinds = layout(features="count", classes="names")
    recipe = task_recipe(epochs=2, batch_size=32, lr=1e-2)
    sizes = Sizes(20_000, 500, 1000)
    quick_sizes = Sizes(500, 100, 200)
    reported_metrics = ("loss",)
    targets = (
        Target("TCN below 1e-3", at_most("loss", "tcn", 1e-3)),
        Target("LSTM behind GRU and TCN", above("loss", ["lstm"], ["gru", "tcn"])),
    )
    length = 200

    def metadata(self) -> dict[str, Any]:
        return {"features": 2, "classes": ["total"]}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"steps": (None, metadata["features"])}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        values = rng.random((count, self.length), np.float32)
        marks = np.zeros_like(values)
        half = self.length // 2
        rows = np.arange(count)
        marks[rows, rng.integers(half, size=count)] = 1
        marks[rows, half + rng.integers(half, size=count)] = 1
        total = (values * marks).sum(axis=1, dtype=np.float32)
        return {"steps": np.stack([values, marks], axis=2), "total": total}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return F.mse_loss(self.call(module, batch).float().squeeze(1), batch["total"])

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The sum of each example."""
        return outputs[:, 0]

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        return {"loss": float(((examples["total"] - predictions) ** 2).mean())}

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        return {"loss": self.mean_loss(module, examples)}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        return {"always 1": lambda: self.score(np.ones_like(data.test["total"]), data.test)}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        columns = metadata["features"]
        values = _values_of_steps(source, columns, f"(T, {columns}) with a row per step")
        return Examples({"steps": values[None]})

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        return number_lines(outputs)


class CopyMemory(Task):
    """Copy of 10 symbols out of 8 kinds after 100 blanks; cross-entropy over all 120 steps."""

    name = "copy"
    fields = layout(symbols="int64 T", answer="int64 T")
    inputs = ("symbols",)
    models = _models(
        every_step_model,
        "Embedding -> {} -> PerStep",
        {
            "tcn": {"embed": 10, "channels": [16] * 5, "width": 8},
            "gru": {"embed": 10, "hidden": 48},
            "lstm": {"embed": 10, "hidden": 48},
        },
        {"tcn": {"epochs": 3}},
    )
    metadata_kinds = layout(symbols="count", copied="count")
    recipe = task_recipe(epochs=4, batch_size=32, lr=4e-3)
    sizes = Sizes(8000, 500, 1000)
    quick_sizes = Sizes(500, 100, 200)
    reported_metrics = ("recall", "loss")
    targets = (
        Target("TCN ahead of GRU and LSTM", below("loss", ["tcn"], ["gru", "lstm"])),
        Target("TCN recalls 99 %", at_least("recall", "tcn", 0.99)),
    )
    blanks = 100

    def metadata(self) -> dict[str, Any]:
        return {"symbols": DELIMITER + 1, "copied": COPIED}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"symbols": metadata["symbols"], "answer": metadata["symbols"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        copied = rng.integers(1, DELIMITER, size=(count, COPIED))
        symbols = np.full((count, self.blanks + 2 * COPIED), BLANK, np.int64)
        symbols[:, :COPIED] = copied
        symbols[:, -COPIED - 1] = DELIMITER
        answer = np.full_like(symbols, BLANK)
        answer[:, -COPIED:] = copied
        return {"symbols": symbols, "answer": answer}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return F.cross_entropy(logits.flatten(0, 1), batch["answer"].flatten())

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most likely symbol at each step."""
        return outputs.argmax(axis=2)

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        """Share of the last steps, those of the copy, with the correct symbol."""
        copy = slice(-examples.metadata["copied"], None)
        return {"recall": float((predictions == examples["answer"])[:, copy].mean())}

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        loss = {"loss": self.mean_loss(module, examples)}
        return loss | super().metrics(module, examples)

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        steps = data.test["answer"].shape[1]
        loss = COPIED * float(np.log(DELIMITER - 1)) / steps
        return {"no memory": lambda: {"loss": loss, "recall": 1 / (DELIMITER - 1)}}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        last = metadata["symbols"] - 1
        symbols = _values_of_steps(source, None, f"(T,) of symbols 0 to {last}").astype(np.int64)
        outside = symbols[(symbols < 0) | (symbols > last)]
        if outside.size:
            raise InputError(f"symbol {outside[0]} is outside 0 to {last}", file=source)
        return Examples({"symbols": symbols[None]})

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        copies = self.decode(outputs)[:, -metadata["copied"] :]
        return [" ".join(map(str, row)) for row in copies]


class DigitSteps(Classification):
    """scikit-learn's digits as 64 steps of one pixel, 10 classes."""

    name = "digit-steps"
    data_source = "real"
    fields = layout(steps="uint8 T D", label="int64")
    inputs = ("steps",)
    models = _models(
        last_step_model,
        "{} -> Last -> Classes",
        {
            "tcn": {"channels": [24] * 4, "width": 6, "dropout": 0.05},
            "gru": {"hidden": 64},
            "lstm": {"hidden": 64},
        },
    )
    metadata_kinds = layout(features="count", shape="sizes", classes="names")
    recipe = task_recipe(epochs=30, lr=4e-3, batch_size=32)
    quick_epochs = 3
    sizes = Sizes(1078, 270, 449)
    quick_sizes = Sizes(500, 100, 200)
    targets = (
        Target("TCN ahead of GRU and LSTM", above("accuracy", ["tcn"], ["gru", "lstm"])),
        Target("GRU ahead of LSTM", above("accuracy", ["gru"], ["lstm"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"features": 1, "shape": [1, 8, 8], "classes": list(DIGIT_CLASSES)}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"steps": (math.prod(metadata["shape"]), metadata["features"])}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, labels = draw_digits(split, count, rng)
        return {"steps": images.reshape(count, 64, 1), "label": labels}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        image = fitted(read_clip(source), metadata["shape"])
        return Examples({"steps": image.reshape(1, -1, metadata["features"])})


def _values_of_steps(source: Path, columns: int | None, expected: str) -> np.ndarray:
    array = read_npy(source)
    axes = array.ndim == (1 if columns is None else 2)
    if not axes or not array.size or (columns is not None and array.shape[1] != columns):
        raise InputError(
            f"an array of shape {array.shape}", file=source, remedy=f"Give an array {expected}"
        )
    return array.astype(np.float32)
