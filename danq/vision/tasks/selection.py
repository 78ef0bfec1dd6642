"""One frame of many shows the digit: does the model know where to look?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import nn

from danq.core import AttentionPool, Classes, CnnRnn, Mean, Mlp, Recurrent
from danq.training.problem import Metrics
from danq.vision.blocks import frame_cnn
from danq.vision.digits import draw_digits
from danq.vision.examples import Data, Examples
from danq.vision.task import ROUND, Classification, Sizes, System, Target, draw_splits, recipe

FRAMES = 16


def hidden_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 8 8"], Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Clips of 16 frames: one digit, the others digits whose pixels were shuffled.

    A shuffled frame has a digit's grey values, so brightness tells nothing.

    Returns
    -------
    Clips, classes of the digits, and the frames they are in.
    """
    others, _ = draw_digits(split, count * FRAMES, rng)
    clips = rng.permuted(others.reshape(-1, 64), axis=1).reshape(count, FRAMES, 1, 8, 8)
    digits, labels = draw_digits(split, count, rng)
    place = rng.integers(FRAMES, size=count)
    clips[np.arange(count), place, 0] = digits
    return clips, labels, place


def selector(
    facts: Mapping[str, Any], channels: Sequence[int], features: int, hidden: int, gate: bool
) -> nn.Module:
    """Frame CNN, an LSTM where ``hidden`` is above 0, gated attention or the mean, classes."""
    encoder = frame_cnn(facts["shape"], channels, features)
    rnn = Recurrent(features, hidden) if hidden else None
    width = 2 * hidden if hidden else features
    pool = AttentionPool(width, 32, gate=True) if gate else Mean(width)
    return CnnRnn(encoder, rnn, pool, Classes(Mlp(width, ()), len(facts["classes"])))


def looks(module: nn.Module, clip: torch.Tensor) -> torch.Tensor:
    """Weight that each frame has in the answer, ``(B, T)``."""
    assert isinstance(module, CnnRnn)
    steps = module.features(clip)
    if isinstance(module.pooling, AttentionPool):
        return module.pooling.weights(steps)
    return steps.new_full(steps.shape[:2], 1 / steps.shape[1])


_FRAME = {"channels": [16, 32], "features": 64}


class FrameSelection(Classification):
    """Class of the one digit among 16 frames."""

    name = "frame-selection"
    about = "the one digit among 16 frames of noise, 10 classes; weight on its frame"
    inputs = ("clip",)
    systems = (
        System(
            "gated",
            "Frame -> AttentionPool(gate) -> Classes",
            "soft form of Yeung et al., CVPR 2016; gate of Ilse et al., ICML 2018",
            selector,
            _FRAME | {"hidden": 0, "gate": True},
        ),
        System(
            "rnn-gated",
            "Frame -> BiLSTM -> AttentionPool(gate) -> Classes",
            "soft form of Yeung et al., CVPR 2016",
            selector,
            _FRAME | {"hidden": 32, "gate": True},
        ),
        System(
            "mean",
            "Frame -> Mean -> Classes",
            "pooled frame features",
            selector,
            _FRAME | {"hidden": 0, "gate": False},
        ),
    )
    recipe = recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(2000, 300, 1000)
    quick_recipe = {"epochs": 6}  # noqa: RUF012
    quick_sizes = Sizes(600, 100, 200)
    shown = ("accuracy", "mass")
    targets = (
        Target("gated above mean", lambda m: m["gated"]["accuracy"] > m["mean"]["accuracy"]),
        Target("gate's weight on the frame at least .9", lambda m: m["gated"]["mass"] >= 0.9),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            clip, label, place = hidden_digits(split, count, rng)
            return {"clip": clip, "label": label, "place": place}

        facts = {"shape": [FRAMES, 1, 8, 8], "classes": [str(k) for k in range(10)]}
        return draw_splits(draw, seed, sizes, facts)

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        mass = 0.0
        for part in examples.rounds(ROUND, device):
            weights = looks(module, part["clip"]).float()
            mass += float(weights.gather(1, part["place"].unsqueeze(1)).sum())
        return super().figures(module, examples, device) | {"mass": mass / len(examples)}

    def tell(self, module, examples, facts, device, out) -> list[str]:
        (part,) = examples.rounds(ROUND, device)
        weights = looks(module, part["clip"]).float()
        lines = super().tell(module, examples, facts, device, out)
        return [
            f"{line}  frame {int(row.argmax()) + 1} (weight {float(row.max()):.2f})"
            for line, row in zip(lines, weights, strict=True)
        ]
