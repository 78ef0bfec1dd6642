"""Class of a digit that only one frame of a clip shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, CnnRnn, Mean, Mlp, Recurrent
from danq.training.problem import Metrics
from danq.vision.base_tasks import DIGIT_CLASSES, Classification
from danq.vision.dataset import Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.model_blocks import frame_cnn
from danq.vision.task import ModelDefinition, Sizes, Symbols, Target, above, at_least, task_recipe

FRAMES = 16


def hidden_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 8 8"], Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
    """Draw clips of 16 frames: one shows a digit, the others digits with shuffled pixels.

    A shuffled frame has the grey values of a digit, so brightness is not informative.

    Returns
    -------
    Clips, classes of the digits, and the frames that show them.
    """
    others, _ = draw_digits(split, count * FRAMES, rng)
    clips = rng.permuted(others.reshape(-1, 64), axis=1).reshape(count, FRAMES, 1, 8, 8)
    digits, labels = draw_digits(split, count, rng)
    frames = rng.integers(FRAMES, size=count)
    clips[np.arange(count), frames, 0] = digits
    return clips, labels, frames


def selector(
    metadata: Metadata, channels: Sequence[int], features: int, hidden: int, gate: bool
) -> nn.Module:
    """Frame CNN; LSTM if ``hidden`` is above 0; gated attention or mean; classes."""
    encoder = frame_cnn(metadata["shape"], channels, features)
    rnn = Recurrent(features, hidden) if hidden else None
    width = 2 * hidden if hidden else features
    pool = AttentionPool(width, 32, gate=True) if gate else Mean(width)
    return CnnRnn(encoder, rnn, pool, Classes(Mlp(width, ()), len(metadata["classes"])))


def frame_weights(module: nn.Module, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T"]:
    """Weight of each frame in the pooling."""
    assert isinstance(module, CnnRnn)
    steps = module.features(clip)
    if isinstance(module.pooling, AttentionPool):
        return module.pooling.weights(steps)
    return steps.new_full(steps.shape[:2], 1 / steps.shape[1])


_FRAME = {"channels": [16, 32], "features": 64}


class FrameSelection(Classification):
    """Digit in one of 16 frames, the others noise, 10 classes; weight on its frame."""

    name = "frame-selection"
    data_source = "made from real digits"
    fields = layout(clip="uint8 T C H W", label="int64", frame="int64")
    inputs = ("clip",)
    models = (
        ModelDefinition(
            "gated",
            "Frame -> AttentionPool(gate) -> Classes",
            "soft form of Yeung et al., CVPR 2016; gate of Ilse et al., ICML 2018",
            selector,
            _FRAME | {"hidden": 0, "gate": True},
        ),
        ModelDefinition(
            "rnn-gated",
            "Frame -> BiLSTM -> AttentionPool(gate) -> Classes",
            "soft form of Yeung et al., CVPR 2016",
            selector,
            _FRAME | {"hidden": 32, "gate": True},
        ),
        ModelDefinition(
            "mean",
            "Frame -> Mean -> Classes",
            "pooled frame features",
            selector,
            _FRAME | {"hidden": 0, "gate": False},
        ),
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    recipe = task_recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(2000, 300, 1000)
    quick_epochs = 6
    quick_sizes = Sizes(600, 100, 200)
    reported_metrics = ("accuracy", "mass")
    targets = (
        Target("gated above mean", above("accuracy", ["gated"], ["mean"])),
        Target("gate's weight on the frame at least .9", at_least("mass", "gated", 0.9)),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [FRAMES, 1, 8, 8], "classes": list(DIGIT_CLASSES)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"label": metadata["classes"], "frame": metadata["shape"][0]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clip, label, frame = hidden_digits(split, count, rng)
        return {"clip": clip, "label": label, "frame": frame}

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        mass = 0.0
        for part in evaluation_batches(module, examples):
            weights = frame_weights(module, part["clip"]).float()
            mass += float(weights.gather(1, part["frame"].unsqueeze(1)).sum())
        return super().metrics(module, examples) | {"mass": mass / len(examples)}

    def predict(
        self, module: nn.Module, examples: Examples, metadata: Metadata, out: Path | None = None
    ) -> list[str]:
        weights = torch.cat(
            [
                frame_weights(module, part["clip"]).float()
                for part in evaluation_batches(module, examples)
            ]
        )
        lines = super().predict(module, examples, metadata, out)
        return [
            f"{line}  frame {int(row.argmax()) + 1} (weight {float(row.max()):.2f})"
            for line, row in zip(lines, weights, strict=True)
        ]
