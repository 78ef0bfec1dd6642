"""Where are the joints? A walker's pose at every frame, through an obstacle too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.core import CnnRnn, Mlp, PerStep, step_regression
from danq.training.problem import Metrics
from danq.vision.blocks import frame_cnn, temporal
from danq.vision.examples import Data, Examples
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.walkers import FRAMES, HEIGHT, JOINTS, WIDTH, joints, people, silhouettes

HIDDEN = 0.35
"""Share of frames in which something stands before the walker."""
UNIT = 8.0
"""Pixels of one unit of a module's output; its origin is the centre of the frame."""
NEAR = 2.0
"""Pixels within which a joint counts as found."""
_CENTRE = np.array([WIDTH / 2, HEIGHT / 2])


def posed_walks(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Float[np.ndarray, "N T J 2"]]:
    """Clips of people seen from any side, their left limbs in shade, some frames half hidden by a
    bar; and their joints."""
    traits = people(count, rng)
    pace = rng.uniform(0.06, 0.11, (count, 1))
    phase = rng.random((count, 1)) + pace * np.arange(FRAMES)
    places = joints(traits, phase, rng.uniform(0, np.pi / 2, count))
    clips = silhouettes(places, traits["build"], left=0.6)
    hidden = rng.random((count, FRAMES)) < HIDDEN
    top = rng.integers(0, HEIGHT // 2, (count, FRAMES))
    rows = np.arange(HEIGHT)
    bar = hidden[..., None] & (rows >= top[..., None]) & (rows < top[..., None] + HEIGHT // 2)
    clips[np.broadcast_to(bar[:, :, None, :, None], clips.shape)] = 128
    return clips, places


def poser(
    facts: Mapping[str, Any], filters: Sequence[int], features: int, kind: str, **numbers: Any
) -> nn.Module:
    """Frame CNN, a recurrent layer where ``kind`` names one, values at every step."""
    encoder = frame_cnn(facts["shape"], filters, features)
    rnn = temporal(kind, features, **numbers) if kind else None
    width = features if rnn is None else rnn.out_features
    return CnnRnn(encoder, rnn, None, PerStep(Mlp(width, ()), 2 * len(facts["joints"])))


_CNN = {"filters": [8, 16, 32], "features": 96}


class Pose(Task):
    """Nine joints of a walker in every frame."""

    name = "pose"
    about = "9 joints of a walker in 12 frames, a third half hidden; error in pixels, share near"
    inputs = ("clip",)
    systems = (
        System(
            "cnn-lstm",
            "Frame -> BiLSTM -> PerStep regression",
            "recurrent network models for human dynamics: Fragkiadaki et al., ICCV 2015",
            poser,
            _CNN | {"kind": "lstm", "hidden": 64, "bidirectional": True},
        ),
        System(
            "frame",
            "Frame -> PerStep regression",
            "DeepPose: Toshev & Szegedy, CVPR 2014, each frame alone",
            poser,
            _CNN | {"kind": ""},
        ),
    )
    recipe = recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(128, 24, 32)
    shown = ("pixels", "near")
    targets = (
        Target(
            "error below the mean pose",
            lambda m: m["cnn-lstm"]["pixels"] < m["mean pose"]["pixels"],
        ),
        Target(
            "error below each frame alone", lambda m: m["cnn-lstm"]["pixels"] < m["frame"]["pixels"]
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            clips, places = posed_walks(count, rng)
            values = ((places - _CENTRE) / UNIT).reshape(*places.shape[:2], -1)
            return {"clip": clips, "joints": values.astype(np.float32)}

        return draw_splits(
            draw, seed, sizes, {"shape": [FRAMES, 1, HEIGHT, WIDTH], "joints": list(JOINTS)}
        )

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return step_regression(self.call(module, batch).float(), batch["joints"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.outputs(module, examples, device), examples["joints"])

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        right = data.test["joints"]
        mean = data.train["joints"].mean(axis=(0, 1))
        return {"mean pose": lambda: _judged(np.broadcast_to(mean, right.shape), right)}

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        places = _pixels(self.outputs(module, examples, device)[0])
        lines = ["\t".join(["frame", *facts["joints"]])]
        for number, frame in enumerate(places, 1):
            lines.append("\t".join([str(number), *(f"{x:.1f},{y:.1f}" for x, y in frame)]))
        return lines


def _pixels(values: Float[np.ndarray, "... J2"]) -> Float[np.ndarray, "... J 2"]:
    return values.reshape(*values.shape[:-1], -1, 2) * UNIT + _CENTRE


def _judged(found: np.ndarray, right: np.ndarray) -> Metrics:
    gaps = np.linalg.norm(_pixels(found) - _pixels(right), axis=-1)
    return {"pixels": float(gaps.mean()), "near": float((gaps < NEAR).mean())}
