"""Joints of a walker in every frame, some of which are half hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import nn

from danq.core import CnnRnn, Mlp, PerStep
from danq.training.problem import Metrics
from danq.vision.base_tasks import StepRegression
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.walker_videos import (
    FRAMES,
    HEIGHT,
    JOINTS,
    WIDTH,
    joints,
    people,
    silhouettes,
)
from danq.vision.model_blocks import frame_cnn, temporal
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, below, task_recipe

HIDDEN = 0.35
"""Share of frames with a bar in front of the walker."""
UNIT = 8.0
"""Pixels per unit of the positions of joints; the origin is the centre of the frame."""
NEAR = 2.0
"""Largest error in pixels of a joint that counts as found."""
_CENTRE = np.array([WIDTH / 2, HEIGHT / 2])


def posed_walks(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Float[np.ndarray, "N T J 2"]]:
    """Draw clips of people from any side, with darker left limbs and a bar in some frames.

    Returns
    -------
    Clips, and the positions (x, y) of the joints in pixels.
    """
    traits = people(count, rng)
    pace = rng.uniform(0.06, 0.11, (count, 1))
    phase = rng.random((count, 1)) + pace * np.arange(FRAMES)
    positions = joints(traits, phase, rng.uniform(0, np.pi / 2, count))
    clips = silhouettes(positions, traits["build"], left=0.6)
    hidden = rng.random((count, FRAMES)) < HIDDEN
    top = rng.integers(0, HEIGHT // 2, (count, FRAMES))
    rows = np.arange(HEIGHT)
    bar = hidden[..., None] & (rows >= top[..., None]) & (rows < top[..., None] + HEIGHT // 2)
    clips[np.broadcast_to(bar[:, :, None, :, None], clips.shape)] = 128
    return clips, positions


def poser(
    metadata: Metadata, filters: Sequence[int], features: int, kind: str, **hyperparameters: Any
) -> nn.Module:
    """Frame CNN; a recurrent layer if ``kind`` is not empty; values at every step."""
    encoder = frame_cnn(metadata["shape"], filters, features)
    rnn = temporal(kind, features, **hyperparameters) if kind else None
    width = features if rnn is None else rnn.out_features
    return CnnRnn(encoder, rnn, None, PerStep(Mlp(width, ()), 2 * len(metadata["joints"])))


_CNN = {"filters": [8, 16, 32], "features": 96}


class Pose(StepRegression):
    """9 joints of a walker in 12 frames, a third half hidden; error in pixels."""

    name = "pose"
    fields = layout(clip="uint8 T C H W", joints="float32 T D")
    inputs = ("clip",)
    target = "joints"
    models = (
        ModelDefinition(
            "cnn-lstm",
            "Frame -> BiLSTM -> PerStep regression",
            "recurrent network models for human dynamics: Fragkiadaki et al., ICCV 2015",
            poser,
            _CNN | {"kind": "lstm", "hidden": 64, "bidirectional": True},
        ),
        ModelDefinition(
            "frame",
            "Frame -> PerStep regression",
            "DeepPose: Toshev & Szegedy, CVPR 2014, single frames",
            poser,
            _CNN | {"kind": ""},
        ),
    )
    metadata_kinds = layout(shape="sizes", joints="names", unit="number")
    recipe = task_recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(128, 24, 32)
    errors = frozenset({"pixels"})
    reported_metrics = ("pixels", "near")
    targets = (
        Target("error below the mean pose", below("pixels", ["cnn-lstm"], ["mean pose"])),
        Target("error below single frames", below("pixels", ["cnn-lstm"], ["frame"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [FRAMES, 1, HEIGHT, WIDTH], "joints": list(JOINTS), "unit": UNIT}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        shape, values = metadata["shape"], 2 * len(metadata["joints"])
        return {"clip": shape, "joints": (shape[0], values)}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clips, positions = posed_walks(count, rng)
        values = ((positions - _CENTRE) / UNIT).reshape(*positions.shape[:2], -1)
        return {"clip": clips, "joints": values.astype(np.float32)}

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        found, true = (
            _pixels(values, examples.metadata) for values in (predictions, examples["joints"])
        )
        errors = np.linalg.norm(found - true, axis=-1)
        return {"pixels": float(errors.mean()), "near": float((errors < NEAR).mean())}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        mean = data.train["joints"].mean(axis=(0, 1))
        every = np.broadcast_to(mean, data.test["joints"].shape)
        return {"mean pose": lambda: self.score(every, data.test)}

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        lines = ["\t".join(["frame", *metadata["joints"]])]
        for clip in _pixels(outputs, metadata):
            for number, frame in enumerate(clip, 1):
                lines.append("\t".join([str(number), *(f"{x:.1f},{y:.1f}" for x, y in frame)]))
        return lines


def _pixels(
    values: Float[np.ndarray, "... J2"], metadata: Metadata
) -> Float[np.ndarray, "... J 2"]:
    height, width = metadata["shape"][-2:]
    positions = values.reshape(*values.shape[:-1], -1, 2) * metadata["unit"]
    return positions + np.array([width / 2, height / 2])
