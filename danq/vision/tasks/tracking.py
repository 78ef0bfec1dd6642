"""Where is it now? Boxes of a moving thing from a detector that errs and misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import CnnRnn, FeatureEncoder, Mlp, PerStep, step_regression
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import temporal
from danq.vision.examples import Data, Examples
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe

STEPS, ERROR, SEEN = 24, 0.03, 0.7
"""Frames of a track, deviation of a detected box, share of frames with a detection."""

Boxes = Float[np.ndarray, "N T 4"]


def tracks(count: int, rng: np.random.Generator) -> Boxes:
    """Boxes (centre x, centre y, width, height; the frame is the unit square) of things that
    move smoothly, bounce off the walls, and grow or shrink."""
    time = np.arange(STEPS)
    start, speed = rng.random((count, 2, 1)), rng.uniform(-0.06, 0.06, (count, 2, 1))
    bend = rng.uniform(-0.0015, 0.0015, (count, 2, 1))
    path = start + speed * time + bend * time**2
    size = rng.uniform(0.12, 0.3, (count, 2, 1))
    size = size * (1 + rng.uniform(-0.015, 0.015, (count, 1, 1)) * time)
    room = 1 - size
    # A path between two mirrors is a straight one folded.
    centre = size / 2 + room * (1 - np.abs(path % 2 - 1))
    return np.concatenate([centre, size], axis=1).transpose(0, 2, 1).astype(np.float32)


def detected(
    boxes: Boxes, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N T 5"], Bool[np.ndarray, "N T"]]:
    """What a detector gives: noisy boxes and its confidence, all 0 where it misses the thing.

    Returns
    -------
    Box and confidence at each frame, and which frames have a detection; the first one has.
    """
    seen = rng.random(boxes.shape[:2]) < SEEN
    seen[:, 0] = True
    # A less certain box is a worse one.
    doubt = rng.uniform(0.3, 1.7, (*boxes.shape[:2], 1))
    noisy = boxes + rng.normal(size=boxes.shape) * ERROR * doubt
    found = np.concatenate([noisy, 2 - doubt], axis=2) * seen[..., None]
    return found.astype(np.float32), seen


def overlap(found: Boxes, right: Boxes) -> Float[np.ndarray, "N T"]:
    """Intersection over union of boxes in pairs."""
    sides = []
    for axis in (0, 1):
        halves = [np.maximum(boxes[..., axis + 2], 0) / 2 for boxes in (found, right)]
        low = np.maximum(found[..., axis] - halves[0], right[..., axis] - halves[1])
        high = np.minimum(found[..., axis] + halves[0], right[..., axis] + halves[1])
        sides.append((high - low).clip(min=0))
    both = sides[0] * sides[1]
    areas = sum(np.maximum(boxes[..., 2:], 0).prod(axis=-1) for boxes in (found, right))
    return both / np.maximum(areas - both, 1e-9)


def last_box(features: Float[np.ndarray, "N T 5"]) -> Boxes:
    """The latest detection at each frame."""
    seen = features[..., 4] > 0
    latest = np.maximum.accumulate(np.where(seen, np.arange(seen.shape[1]), 0), axis=1)
    return np.take_along_axis(features[..., :4], latest[..., None], axis=1)


def straight_on(features: Float[np.ndarray, "N T 5"]) -> Boxes:
    """The latest detection, moved on as far as the two latest differ for each frame since."""
    found = last_box(features)
    for row, boxes in zip(features, found, strict=True):
        known = np.flatnonzero(row[:, 4] > 0)
        for frame in range(len(row)):
            last = known[known <= frame][-2:]
            if len(last) == 2:
                step = (row[last[1], :2] - row[last[0], :2]) / (last[1] - last[0])
                boxes[frame, :2] += step * (frame - last[1])
    return found


def tracker(facts: Mapping[str, Any], dense: int, kind: str, **numbers: Any) -> nn.Module:
    """Features of each frame -> recurrent layer -> a box at every step."""
    rnn = temporal(kind, dense, **numbers)
    head = PerStep(Mlp(rnn.out_features, ()), 4)
    return CnnRnn(FeatureEncoder(facts["features"], (dense,)), rnn, None, head)


class Tracking(Task):
    """The true box at each frame, from detections up to it."""

    name = "tracking"
    about = "boxes of a moving thing from noisy detections with gaps; mean overlap"
    inputs = ("detections",)
    systems = (
        System(
            "rolo",
            "box features -> LSTM -> PerStep regression",
            "ROLO: Ning et al., ISCAS 2017",
            tracker,
            {"dense": 32, "kind": "lstm", "hidden": 64},
        ),
        System(
            "tcn",
            "box features -> Tcn -> PerStep regression",
            "Bai et al. 2018",
            tracker,
            {"dense": 32, "kind": "tcn", "channels": [48, 48, 48], "width": 3},
        ),
    )
    recipe = recipe(epochs=25, lr=6e-3)
    quick_recipe = {"epochs": 6}  # noqa: RUF012
    sizes = Sizes(4000, 300, 1000)
    quick_sizes = Sizes(600, 100, 200)
    shown = ("overlap", "mse")
    targets = (
        Target(
            "squared error below the last box", lambda m: m["rolo"]["mse"] < m["last box"]["mse"]
        ),
        Target(
            "overlap above the last box", lambda m: m["rolo"]["overlap"] > m["last box"]["overlap"]
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            boxes = tracks(count, rng)
            return {"detections": detected(boxes, rng)[0], "boxes": boxes}

        return draw_splits(draw, seed, sizes, {"features": 5})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return step_regression(self.call(module, batch).float(), batch["boxes"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.outputs(module, examples, device), examples["boxes"])

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        seen, right = data.test["detections"], data.test["boxes"]
        return {
            "last box": lambda: _judged(last_box(seen), right),
            "straight on": lambda: _judged(straight_on(seen), right),
        }

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        try:
            rows = np.loadtxt(source, delimiter="\t", ndmin=2, dtype=np.float32)
        except (OSError, ValueError) as error:
            raise InputError(f"cannot be read: {error}", file=source, remedy=_REMEDY) from error
        if rows.shape[1:] != (facts["features"],) or not np.isfinite(rows).all():
            raise InputError("not 5 numbers a line", file=source, remedy=_REMEDY)
        return Examples({"detections": rows[None]})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        boxes = self.outputs(module, examples, device)[0]
        return ["\t".join(f"{value:.4f}" for value in box) for box in boxes]


_REMEDY = (
    "Give a tab-separated file, a frame a line: centre x, centre y, width, height (shares of the "
    "frame), confidence (0 to 2); five zeros where nothing was detected"
)


def _judged(found: Boxes, right: Boxes) -> Metrics:
    return {
        "overlap": float(overlap(found, right).mean()),
        "mse": float(np.mean((found - right) ** 2)),
    }
