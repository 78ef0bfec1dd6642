"""Boxes of a moving object from noisy detections with gaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import nn

from danq.core import CnnRnn, FeatureEncoder, Mlp, PerStep
from danq.training.problem import Metrics
from danq.vision.base_tasks import StepRegression, number_lines
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.input_files import read_table
from danq.vision.model_blocks import temporal
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, above, below, task_recipe

STEPS, ERROR, SEEN = 24, 0.03, 0.7
"""Frames of a track, standard deviation of a detected box, share of frames with a detection."""

Boxes = Float[np.ndarray, "N T 4"]


def tracks(count: int, rng: np.random.Generator) -> Boxes:
    """Draw boxes of objects that move smoothly, bounce off the edges, and grow or shrink.

    A box is centre x, centre y, width and height; the frame is the unit square.
    """
    time = np.arange(STEPS)
    start, speed = rng.random((count, 2, 1)), rng.uniform(-0.06, 0.06, (count, 2, 1))
    bend = rng.uniform(-0.0015, 0.0015, (count, 2, 1))
    path = start + speed * time + bend * time**2
    size = rng.uniform(0.12, 0.3, (count, 2, 1))
    size = size * (1 + rng.uniform(-0.015, 0.015, (count, 1, 1)) * time)
    room = 1 - size
    # Reflection folds the straight path.
    centre = size / 2 + room * (1 - np.abs(path % 2 - 1))
    return np.concatenate([centre, size], axis=1).transpose(0, 2, 1).astype(np.float32)


def detected(
    boxes: Boxes, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N T 5"], Bool[np.ndarray, "N T"]]:
    """Simulate a detector: noisy boxes and a confidence, all 0 in frames without a detection.

    Returns
    -------
    Box and confidence in each frame, and which frames have a detection; the first frame has one.
    """
    seen = rng.random(boxes.shape[:2]) < SEEN
    seen[:, 0] = True
    # A box with less confidence has more noise.
    doubt = rng.uniform(0.3, 1.7, (*boxes.shape[:2], 1))
    noisy = boxes + rng.normal(size=boxes.shape) * ERROR * doubt
    features = np.concatenate([noisy, 2 - doubt], axis=2) * seen[..., None]
    return features.astype(np.float32), seen


def overlap(predicted: Boxes, true: Boxes) -> Float[np.ndarray, "N T"]:
    """Intersection over union of pairs of boxes."""
    sides = []
    for axis in (0, 1):
        halves = [np.maximum(boxes[..., axis + 2], 0) / 2 for boxes in (predicted, true)]
        low = np.maximum(predicted[..., axis] - halves[0], true[..., axis] - halves[1])
        high = np.minimum(predicted[..., axis] + halves[0], true[..., axis] + halves[1])
        sides.append((high - low).clip(min=0))
    both = sides[0] * sides[1]
    areas = sum(np.maximum(boxes[..., 2:], 0).prod(axis=-1) for boxes in (predicted, true))
    return both / np.maximum(areas - both, 1e-9)


def last_box(features: Float[np.ndarray, "N T 5"]) -> Boxes:
    """The last detection up to each frame."""
    seen = features[..., 4] > 0
    latest = np.maximum.accumulate(np.where(seen, np.arange(seen.shape[1]), 0), axis=1)
    return np.take_along_axis(features[..., :4], latest[..., None], axis=1)


def linear_motion(features: Float[np.ndarray, "N T 5"]) -> Boxes:
    """The last detection, moved on with the velocity between the last two detections."""
    predicted = last_box(features)
    for row, boxes in zip(features, predicted, strict=True):
        known = np.flatnonzero(row[:, 4] > 0)
        for frame in range(len(row)):
            last = known[known <= frame][-2:]
            if len(last) == 2:
                step = (row[last[1], :2] - row[last[0], :2]) / (last[1] - last[0])
                boxes[frame, :2] += step * (frame - last[1])
    return predicted


def tracker(metadata: Metadata, dense: int, kind: str, **hyperparameters: Any) -> nn.Module:
    """Features of each frame, recurrent layer, a box at every step."""
    rnn = temporal(kind, dense, **hyperparameters)
    head = PerStep(Mlp(rnn.out_features, ()), 4)
    return CnnRnn(FeatureEncoder(metadata["features"], (dense,)), rnn, None, head)


class Tracking(StepRegression):
    """Boxes of a moving object from noisy detections with gaps; mean overlap."""

    name = "tracking"
    fields = layout(detections="float32 T D", boxes="float32 T D")
    inputs = ("detections",)
    target = "boxes"
    models = (
        ModelDefinition(
            "rolo",
            "box features -> LSTM -> PerStep regression",
            "ROLO: Ning et al., ISCAS 2017",
            tracker,
            {"dense": 32, "kind": "lstm", "hidden": 64},
        ),
        ModelDefinition(
            "tcn",
            "box features -> Tcn -> PerStep regression",
            "Bai et al. 2018",
            tracker,
            {"dense": 32, "kind": "tcn", "channels": [48, 48, 48], "width": 3},
        ),
    )
    metadata_kinds = layout(features="count")
    recipe = task_recipe(epochs=25, lr=6e-3)
    quick_epochs = 6
    sizes = Sizes(4000, 300, 1000)
    quick_sizes = Sizes(600, 100, 200)
    errors = frozenset({"mse"})
    reported_metrics = ("overlap", "mse")
    targets = (
        Target("squared error below the last box", below("mse", ["rolo"], ["last box"])),
        Target("overlap above the last box", above("overlap", ["rolo"], ["last box"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"features": 5}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"detections": (None, metadata["features"]), "boxes": (None, 4)}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        boxes = tracks(count, rng)
        return {"detections": detected(boxes, rng)[0], "boxes": boxes}

    def score(self, predictions: Boxes, examples: Examples) -> Metrics:
        boxes = examples["boxes"]
        return {
            "overlap": float(overlap(predictions, boxes).mean()),
            "mse": float(np.mean((predictions - boxes) ** 2)),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        detections = data.test["detections"]
        return {
            "last box": lambda: self.score(last_box(detections), data.test),
            "linear motion": lambda: self.score(linear_motion(detections), data.test),
        }

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        rows = read_table(
            source,
            metadata["features"],
            "Give a tab-separated file with one frame per line: centre x, centre y, width, height "
            "(as shares of the frame), confidence (0 to 2); zeros without a detection",
        )
        return Examples({"detections": rows[None]})

    def describe(self, outputs: Boxes, examples: Examples, metadata: Metadata) -> list[str]:
        return number_lines(np.concatenate(outputs))
