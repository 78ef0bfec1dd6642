"""Direction of a moving digit, which neither one frame nor the mean of all frames shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from torch import nn

from danq.core import Classes, ClipEncoder, CnnRnn, Last, Mean, Mlp, Recurrent, Vote, conv_encoder
from danq.vision.base_tasks import Classification
from danq.vision.dataset import Fields, Metadata, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.model_blocks import frame_cnn
from danq.vision.task import ModelDefinition, Sizes, Target, at_least, at_most, task_recipe

SIDE, FRAMES, SPEED = 16, 8, 2
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def moving_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Int64[np.ndarray, " N"]]:
    """Draw digits that cross a 16 x 16 field in 8 frames and re-enter it on the opposite side.

    A digit goes around once in 8 frames. Left and right therefore show the same frames in a
    different order, and so do up and down.

    Returns
    -------
    Clips, and the index of each direction in `DIRECTIONS`.
    """
    digits, _ = draw_digits(split, count, rng)
    labels = rng.integers(len(DIRECTIONS), size=count)
    starts = rng.integers(SIDE, size=(count, 2))
    moves = np.array(list(DIRECTIONS.values()))[labels] * SPEED
    clips = np.zeros((count, FRAMES, 1, SIDE, SIDE), np.uint8)
    for number in range(count):
        field = np.zeros((SIDE, SIDE), np.uint8)
        field[:8, :8] = digits[number]
        for frame in range(FRAMES):
            shift = tuple(starts[number] + frame * moves[number])
            clips[number, frame, 0] = np.roll(field, shift, axis=(0, 1))
    return clips, labels


def frame_model(
    metadata: Metadata, channels: Sequence[int], features: int, hidden: int, pooling: str
) -> nn.Module:
    """Frame CNN; LSTM if ``hidden`` is above 0; then mean, last step or vote; classes."""
    encoder = frame_cnn(metadata["shape"], channels, features)
    rnn = Recurrent(features, hidden, bidirectional=False) if hidden else None
    width = hidden or features
    classes = len(metadata["classes"])
    if pooling == "vote":
        return CnnRnn(encoder, rnn, None, Vote(Mlp(width, ()), classes))
    pool = {"mean": Mean, "last": Last}[pooling](width)
    return CnnRnn(encoder, rnn, pool, Classes(Mlp(width, ()), classes))


def volume_model(metadata: Metadata, channels: Sequence[int]) -> nn.Module:
    """3-D convolutions over the clip, their mean, classes."""
    encoder = ClipEncoder(conv_encoder(3, metadata["shape"][1], channels))
    return CnnRnn(
        encoder, None, Mean(channels[-1]), Classes(Mlp(channels[-1], ()), len(metadata["classes"]))
    )


_FRAME = {"channels": [16, 32], "features": 64}


class Direction(Classification):
    """Direction of a digit that re-enters on the opposite side, 4 classes."""

    name = "direction"
    data_source = "made from real digits"
    fields = layout(clip="uint8 T C H W", label="int64")
    inputs = ("clip",)
    models = (
        ModelDefinition(
            "cnn-lstm",
            "Frame -> LSTM -> Last -> Classes",
            "Yue-Hei Ng et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 64, "pooling": "last"},
        ),
        ModelDefinition(
            "cnn-lstm-vote",
            "Frame -> LSTM -> PerStep averaged",
            "LRCN: Donahue et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 64, "pooling": "vote"},
        ),
        ModelDefinition(
            "c3d",
            "Conv(3) -> Mean -> Classes",
            "Tran et al., ICCV 2015",
            volume_model,
            {"channels": [8, 16, 32]},
            {"epochs": 3, "lr": 3e-3},
        ),
        ModelDefinition(
            "frame-mean",
            "Frame -> Mean -> Classes",
            "pooled frame features: Yue-Hei Ng et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 0, "pooling": "mean"},
            {"epochs": 2},
            control=True,
        ),
        ModelDefinition(
            "single-frame",
            "Frame -> Last -> Classes",
            "single frame",
            frame_model,
            _FRAME | {"hidden": 0, "pooling": "last"},
            {"epochs": 2},
            control=True,
        ),
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    # With a rate of 3e-3, one seed of three learns only one of the two axes.
    recipe = task_recipe(epochs=8, lr=1.5e-3)
    quick_epochs = 4
    sizes = Sizes(6000, 400, 1000)
    quick_sizes = Sizes(600, 100, 200)
    targets = (
        Target("CNN-LSTM at least 97 %", at_least("accuracy", "cnn-lstm", 0.97)),
        Target("3-D CNN at least 97 %", at_least("accuracy", "c3d", 0.97)),
        Target("mean of frames at most 52 %", at_most("accuracy", "frame-mean", 0.52)),
        Target("one frame at most 28 %", at_most("accuracy", "single-frame", 0.28)),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [FRAMES, 1, SIDE, SIDE], "classes": list(DIRECTIONS)}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clip, label = moving_digits(split, count, rng)
        return {"clip": clip, "label": label}
