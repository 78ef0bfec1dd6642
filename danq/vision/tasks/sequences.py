"""The stress tests of sequence layers: adding, copying, and digits read pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from danq.core import Classes, CnnRnn, Last, Mlp, PerStep
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import temporal
from danq.vision.clips import fitted, read_clip
from danq.vision.digits import draw_digits
from danq.vision.examples import Data, Examples
from danq.vision.task import Classification, Sizes, System, Target, Task, draw_splits, recipe

PAPER = "Bai, Kolter & Koltun 2018"
KINDS = {"tcn": "TCN", "gru": "GRU", "lstm": "LSTM"}
BLANK, DELIMITER, COPIED = 0, 9, 10
"""Symbols of the copy task, and how many have to be copied."""


def _systems(
    build: Callable[..., nn.Module],
    blocks: str,
    numbers: Mapping[str, Mapping[str, Any]],
    recipes: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[System, ...]:
    own = recipes or {}
    return tuple(
        System(
            kind,
            blocks.format(KINDS[kind]),
            PAPER,
            build,
            {"kind": kind, **numbers[kind]},
            own.get(kind, {}),
        )
        for kind in KINDS
    )


def last_step_model(facts: Mapping[str, Any], kind: str, **numbers: Any) -> nn.Module:
    """Values of steps -> temporal layer -> its last step -> dense."""
    layer = temporal(kind, facts["features"], **numbers)
    width = layer.out_features
    return CnnRnn(nn.Identity(), layer, Last(width), Classes(Mlp(width, ()), len(facts["classes"])))


def every_step_model(facts: Mapping[str, Any], kind: str, embed: int, **numbers: Any) -> nn.Module:
    """Symbols -> temporal layer -> logits of symbols at every step."""
    layer = temporal(kind, embed, **numbers)
    encoder = nn.Embedding(facts["symbols"], embed)
    return CnnRnn(encoder, layer, None, PerStep(Mlp(layer.out_features, ()), facts["symbols"]))


class Adding(Task):
    """Sum of the two marked numbers among 200."""

    name = "adding"
    about = "sum of two marked numbers among 200 in [0, 1]; mean squared error"
    inputs = ("steps",)
    systems = _systems(
        last_step_model,
        "{} -> Last -> regression",
        {
            "tcn": {"channels": [24] * 5, "width": 8, "start": "he"},
            "gru": {"hidden": 48},
            "lstm": {"hidden": 48},
        },
        {"tcn": {"batch_size": 16, "lr": 4e-3, "epochs": 3}},
    )
    recipe = recipe(epochs=2, batch_size=32, lr=1e-2)
    sizes = Sizes(20_000, 500, 1000)
    quick_sizes = Sizes(500, 100, 200)
    shown = ("loss",)
    targets = (
        Target("TCN below 1e-3", lambda m: m["tcn"]["loss"] < 1e-3),
        Target("LSTM behind GRU and TCN", lambda m: m["lstm"]["loss"] == _worst(m, "loss")),
    )
    length = 200

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
            values = rng.random((count, self.length), np.float32)
            marks = np.zeros_like(values)
            half = self.length // 2
            rows = np.arange(count)
            marks[rows, rng.integers(half, size=count)] = 1
            marks[rows, half + rng.integers(half, size=count)] = 1
            total = (values * marks).sum(axis=1, dtype=np.float32)
            return {"steps": np.stack([values, marks], axis=2), "total": total}

        return draw_splits(draw, seed, sizes, {"features": 2, "classes": ["total"]})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return F.mse_loss(self.call(module, batch).float().squeeze(1), batch["total"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        total = data.test["total"]
        return {"always 1": lambda: {"loss": float(((total - 1) ** 2).mean())}}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        return Examples({"steps": _numbers(source, 2, "(T, 2): value and mark")[None]})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        return [f"{value:.4f}" for value in self.outputs(module, examples, device)[:, 0]]


class CopyMemory(Task):
    """Ten symbols, then 100 blanks, then the same ten symbols again."""

    name = "copy"
    about = "repeat 10 of 8 symbols after 100 blanks; cross-entropy over all 120 steps"
    inputs = ("symbols",)
    systems = _systems(
        every_step_model,
        "Embedding -> {} -> PerStep",
        {
            "tcn": {"embed": 10, "channels": [16] * 5, "width": 8},
            "gru": {"embed": 10, "hidden": 48},
            "lstm": {"embed": 10, "hidden": 48},
        },
        {"tcn": {"epochs": 3}},
    )
    recipe = recipe(epochs=4, batch_size=32, lr=4e-3)
    sizes = Sizes(8000, 500, 1000)
    quick_sizes = Sizes(500, 100, 200)
    shown = ("recall", "loss")
    targets = (
        Target("TCN ahead of GRU and LSTM", lambda m: m["tcn"]["loss"] == _best(m, "loss")),
        Target("TCN recalls 99 %", lambda m: m["tcn"]["recall"] >= 0.99),
    )
    blanks = 100

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
            shown = rng.integers(1, DELIMITER, size=(count, COPIED))
            symbols = np.full((count, self.blanks + 2 * COPIED), BLANK, np.int64)
            symbols[:, :COPIED] = shown
            symbols[:, -COPIED - 1] = DELIMITER
            answer = np.full_like(symbols, BLANK)
            answer[:, -COPIED:] = shown
            return {"symbols": symbols, "answer": answer}

        return draw_splits(draw, seed, sizes, {"symbols": DELIMITER + 1})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return F.cross_entropy(logits.flatten(0, 1), batch["answer"].flatten())

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        chosen = self.outputs(module, examples, device)[:, -COPIED:].argmax(axis=2)
        return {
            "loss": self.mean_loss(module, examples, device),
            "recall": float((chosen == examples["answer"][:, -COPIED:]).mean()),
        }

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        steps = data.test["answer"].shape[1]
        loss = COPIED * float(np.log(DELIMITER - 1)) / steps
        return {"no memory": lambda: {"loss": loss, "recall": 1 / (DELIMITER - 1)}}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        symbols = _numbers(source, None, "(T,) of symbols 0 to 9").astype(np.int64)
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < facts["symbols"]:
            raise InputError("a symbol is outside 0 to 9", file=source)
        return Examples({"symbols": symbols[None]})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        chosen = self.outputs(module, examples, device).argmax(axis=2)
        return [" ".join(map(str, row[-COPIED:])) for row in chosen]


class DigitSteps(Classification):
    """A digit read pixel by pixel, 64 steps of one value."""

    name = "digit-steps"
    about = "scikit-learn's digits as 64 steps of one pixel, 10 classes"
    inputs = ("steps",)
    systems = _systems(
        last_step_model,
        "{} -> Last -> Classes",
        {
            "tcn": {"channels": [24] * 4, "width": 6, "dropout": 0.05},
            "gru": {"hidden": 64},
            "lstm": {"hidden": 64},
        },
    )
    recipe = recipe(epochs=30, lr=4e-3, batch_size=32)
    quick_recipe = {"epochs": 3}  # noqa: RUF012
    sizes = Sizes(1078, 270, 449)
    quick_sizes = Sizes(500, 100, 200)
    targets = (
        Target("TCN ahead of GRU and LSTM", lambda m: m["tcn"]["accuracy"] == _top(m)),
        Target("GRU ahead of LSTM", lambda m: m["gru"]["accuracy"] >= m["lstm"]["accuracy"]),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
            images, labels = draw_digits(split, count, rng)
            return {"steps": images.reshape(count, 64, 1), "label": labels}

        facts = {"features": 1, "classes": [str(k) for k in range(10)]}
        return draw_splits(draw, seed, sizes, facts)

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        image = fitted(read_clip(source), (1, 8, 8))
        return Examples({"steps": image.reshape(1, 64, 1)})


def _values(means, figure: str) -> list[float]:
    return [means[kind][figure] for kind in KINDS]


def _best(means, figure: str) -> float:
    return min(_values(means, figure))


def _worst(means, figure: str) -> float:
    return max(_values(means, figure))


def _top(means) -> float:
    return max(_values(means, "accuracy"))


def _numbers(source: Path, columns: int | None, wanted: str) -> np.ndarray:
    try:
        array = np.load(source, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not a readable .npy file: {error}", file=source) from error
    right = array.ndim == (1 if columns is None else 2)
    if not right or not array.size or (columns is not None and array.shape[1] != columns):
        raise InputError(
            f"an array of shape {array.shape}", file=source, remedy=f"Give one of {wanted}"
        )
    return array.astype(np.float32)
