"""Which way does the digit move? A task that no single frame and no average can solve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from torch import nn

from danq.core import Classes, ClipEncoder, CnnRnn, Last, Mean, Mlp, Recurrent, Vote, conv_encoder
from danq.vision.blocks import frame_cnn
from danq.vision.digits import draw_digits
from danq.vision.examples import Data
from danq.vision.task import Classification, Sizes, System, Target, draw_splits, recipe

SIDE, FRAMES, SPEED = 16, 8, 2
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}


def moving_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Int64[np.ndarray, " N"]]:
    """Digits that cross a 16 x 16 field in 8 frames and come back in on the other side.

    Over the 8 frames a digit goes once around, so that left and right, and up and down, show
    the same set of frames in another order.

    Returns
    -------
    Clips, and which of `DIRECTIONS` each goes.
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
    facts: Mapping[str, Any], channels: Sequence[int], features: int, hidden: int, pooling: str
) -> nn.Module:
    """Frame CNN, an LSTM where ``hidden`` is above 0, then the mean, the last step or a vote."""
    encoder = frame_cnn(facts["shape"], channels, features)
    rnn = Recurrent(features, hidden, bidirectional=False) if hidden else None
    width = hidden or features
    classes = len(facts["classes"])
    if pooling == "vote":
        return CnnRnn(encoder, rnn, None, Vote(Mlp(width, ()), classes))
    pool = {"mean": Mean, "last": Last}[pooling](width)
    return CnnRnn(encoder, rnn, pool, Classes(Mlp(width, ()), classes))


def volume_model(facts: Mapping[str, Any], channels: Sequence[int]) -> nn.Module:
    """3-D convolutions over the whole clip, their mean, then classes."""
    encoder = ClipEncoder(conv_encoder(3, facts["shape"][1], channels))
    return CnnRnn(
        encoder, None, Mean(channels[-1]), Classes(Mlp(channels[-1], ()), len(facts["classes"]))
    )


_FRAME = {"channels": [16, 32], "features": 64}


class Direction(Classification):
    """Four directions of a digit that wraps around."""

    name = "direction"
    about = "which way a wrap-around digit moves, 4 directions"
    inputs = ("clip",)
    systems = (
        System(
            "cnn-lstm",
            "Frame -> LSTM -> Last -> Classes",
            "Yue-Hei Ng et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 64, "pooling": "last"},
        ),
        System(
            "cnn-lstm-vote",
            "Frame -> LSTM -> PerStep averaged",
            "LRCN: Donahue et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 64, "pooling": "vote"},
        ),
        System(
            "c3d",
            "Conv(3) -> Mean -> Classes",
            "Tran et al., ICCV 2015",
            volume_model,
            {"channels": [8, 16, 32]},
            {"epochs": 3},
        ),
        System(
            "frame-mean",
            "Frame -> Mean -> Classes",
            "pooled frame features: Yue-Hei Ng et al., CVPR 2015",
            frame_model,
            _FRAME | {"hidden": 0, "pooling": "mean"},
            {"epochs": 2},
            control=True,
        ),
        System(
            "single-frame",
            "Frame -> Last -> Classes",
            "one frame alone",
            frame_model,
            _FRAME | {"hidden": 0, "pooling": "last"},
            {"epochs": 2},
            control=True,
        ),
    )
    recipe = recipe(epochs=8, lr=3e-3)
    quick_recipe = {"epochs": 4}  # noqa: RUF012
    sizes = Sizes(6000, 400, 1000)
    quick_sizes = Sizes(600, 100, 200)
    targets = (
        Target("CNN-LSTM at least 97 %", lambda m: m["cnn-lstm"]["accuracy"] >= 0.97),
        Target("3-D CNN at least 97 %", lambda m: m["c3d"]["accuracy"] >= 0.97),
        Target("mean of frames at most 52 %", lambda m: m["frame-mean"]["accuracy"] <= 0.52),
        Target("one frame at most 28 %", lambda m: m["single-frame"]["accuracy"] <= 0.28),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            clip, label = moving_digits(split, count, rng)
            return {"clip": clip, "label": label}

        shape = [FRAMES, 1, SIDE, SIDE]
        return draw_splits(draw, seed, sizes, {"shape": shape, "classes": list(DIRECTIONS)})
