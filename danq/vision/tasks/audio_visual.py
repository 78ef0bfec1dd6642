"""Which digit is it, seen and heard? Two streams, each cut short, disturbed or missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from danq.core import (
    Classes,
    ClipEncoder,
    CnnRnn,
    Concat,
    FeatureEncoder,
    Last,
    LateFusion,
    Mean,
    Mlp,
    Recurrent,
    Streams,
    conv_encoder,
)
from danq.vision.blocks import frame_cnn
from danq.vision.digits import draw_digits
from danq.vision.examples import Data, Examples
from danq.vision.task import Classification, Sizes, System, Target, draw_splits, recipe

SIDE, FRAMES = 16, 6
STEPS, BANDS = 20, 12
ABSENT = 0.12
"""Share of examples that lack the picture, and of those that lack the sound."""


def seen_digits(
    digits: UInt8[np.ndarray, "N 8 8"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Bool[np.ndarray, "N T"]]:
    """Digits that drift over a noisy field, a bar before a part of each; 2 to 6 frames."""
    count = len(digits)
    lengths = rng.integers(2, FRAMES + 1, count)
    starts, moves = rng.integers(2, 7, (count, 2)), rng.integers(-1, 2, (count, 2))
    bars = rng.integers(0, 6, count)
    clips = rng.integers(0, 80, (count, FRAMES, 1, SIDE, SIDE), dtype=np.uint8)
    for number, digit in enumerate(digits):
        shown = digit.copy()
        part = slice(bars[number], bars[number] + 3)
        shown[part if number % 2 else slice(None), slice(None) if number % 2 else part] = 0
        for frame in range(lengths[number]):
            y, x = np.clip(starts[number] + frame * moves[number], 0, SIDE - 8)
            window = clips[number, frame, 0, y : y + 8, x : x + 8]
            np.maximum(window, shown, out=window)
    mask = np.arange(FRAMES) < lengths[:, None]
    clips[~mask] = 0
    return clips, mask


def spoken_digits(
    labels: Int64[np.ndarray, " N"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N T D"], Bool[np.ndarray, "N T"]]:
    """Band levels of words: two formants that glide as the digit's word does, at a speaker's pitch
    and pace, in noise; the end of a word may be cut off."""
    # One pronunciation for all: start, middle and end of two formants, as numbers of bands.
    words = np.random.default_rng(1).uniform(1, BANDS - 2, (10, 2, 3))
    # Words begin alike in pairs, as "four" and "five" do.
    words[1::2, :, 0] = words[::2, :, 0]
    count = len(labels)
    pace = rng.uniform(0.8, 1.25, (count, 1))
    place = np.clip(np.arange(STEPS) / (STEPS - 1) * pace, 0, 1) * 2
    pitch = rng.normal(0, 0.5, (count, 1, 1))
    corners = words[labels] + pitch
    weights = np.clip(1 - np.abs(place[:, None] - np.arange(3)[:, None]), 0, None)
    formants = np.einsum("nfc,nct->nft", corners, weights)
    gaps = formants[..., None] - np.arange(BANDS)
    levels = np.exp(-(gaps**2) / 1.5).sum(axis=1) * rng.uniform(0.6, 1.4, (count, 1, 1))
    levels += rng.normal(0, 0.55, levels.shape)
    mask = np.arange(STEPS) < rng.integers(STEPS // 3, STEPS + 1, count)[:, None]
    return np.where(mask[..., None], levels, 0).astype(np.float32), mask


class TwoStreams(nn.Module):
    """`Streams` of those inputs that have a model."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams
        self.chosen = [("clip", "sound").index(_input(name)) for name in streams.streams]

    def forward(
        self,
        clip: Float[Tensor, "B T C H W"],
        frames: Bool[Tensor, "B T"],
        sound: Float[Tensor, "B S D"],
        steps: Bool[Tensor, "B S"],
        present: Bool[Tensor, "B 2"],
    ) -> Float[Tensor, "B K"]:
        given = {"clip": (clip, frames), "sound": (sound, steps)}
        names = list(self.streams.streams)
        inputs = {name: given[_input(name)][0] for name in names}
        masks = {name: given[_input(name)][1] for name in names}
        return self.streams(inputs, masks, present[:, self.chosen])


def streams(
    facts: Mapping[str, Any],
    names: Sequence[str],
    fusion: str,
    channels: Sequence[int],
    features: int,
    hidden: int,
    weights: Sequence[float] = (),
) -> nn.Module:
    """Streams by their names (clip, clip volume, sound), joined by "concat" or "late"."""
    classes = len(facts["classes"])

    def stream(name: str) -> CnnRnn:
        if name == "clip volume":
            body = ClipEncoder(conv_encoder(3, facts["shape"][1], channels, pool=(1, 2, 2)))
            return CnnRnn(body, None, Mean(channels[-1]), head(channels[-1]))
        if name == "clip":
            encoder: nn.Module = frame_cnn(facts["shape"], channels, features)
        else:
            encoder = FeatureEncoder(facts["bands"], (features,))
        rnn = Recurrent(features, hidden, bidirectional=False)
        return CnnRnn(encoder, rnn, Last(hidden), head(hidden))

    def head(width: int) -> nn.Module | None:
        return Classes(Mlp(width, ()), classes) if fusion == "late" else None

    parts = {name: stream(name) for name in names}
    if fusion == "late":
        joined: nn.Module = LateFusion(classes, weights or [1.0] * len(parts))
        return TwoStreams(Streams(parts, joined))
    joined = Concat([part.out_features for part in parts.values()])
    dense = Mlp(joined.out_features, (hidden,))
    return TwoStreams(Streams(parts, joined, Classes(dense, classes)))


_NUMBERS = {"channels": [16, 32, 48], "features": 48, "hidden": 64}
_BOTH = {"names": ["clip", "sound"]}


class AudioVisual(Classification):
    """Ten digits from a film and a spoken word."""

    name = "audio-visual"
    about = "a moving digit and its spoken name, each cut short, disturbed or missing; 10 classes"
    inputs = ("clip", "frames", "sound", "steps", "present")
    systems = (
        System(
            "concat",
            "{Frame -> LSTM}, {features -> LSTM} -> Concat -> Classes",
            "Ngiam et al., ICML 2011 (bimodal deep learning)",
            streams,
            _NUMBERS | _BOTH | {"fusion": "concat"},
        ),
        System(
            "late",
            "{Frame -> LSTM}, {features -> LSTM} -> LateFusion",
            "Fan et al., ICMI 2016, two streams",
            streams,
            _NUMBERS | _BOTH | {"fusion": "late"},
        ),
        System(
            "emotiw",
            "{Frame -> LSTM}, {Conv(3)}, {features -> LSTM} -> LateFusion(.25, .23, .52)",
            "Fan et al., ICMI 2016",
            streams,
            _NUMBERS
            | {"names": ["clip", "clip volume", "sound"], "fusion": "late"}
            | {"weights": [0.25, 0.23, 0.52]},
        ),
        System(
            "clip-alone",
            "Frame -> LSTM -> Classes",
            "the film alone",
            streams,
            _NUMBERS | {"names": ["clip"], "fusion": "concat"},
        ),
        System(
            "sound-alone",
            "features -> LSTM -> Classes",
            "the word alone",
            streams,
            _NUMBERS | {"names": ["sound"], "fusion": "concat"},
        ),
    )
    recipe = recipe(epochs=10, lr=4e-3, batch_size=48)
    quick_recipe = {"epochs": 4}  # noqa: RUF012
    sizes = Sizes(4000, 300, 1000)
    quick_sizes = Sizes(400, 60, 120)
    targets = tuple(
        Target(
            f"{name} above the best stream",
            lambda m, name=name: (
                m[name]["accuracy"] > max(m["clip-alone"]["accuracy"], m["sound-alone"]["accuracy"])
            ),
        )
        for name in ("concat", "late", "emotiw")
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            digits, labels = draw_digits(split, count, rng)
            clip, frames = seen_digits(digits, rng)
            sound, steps = spoken_digits(labels, rng)
            chance = rng.random(len(labels))
            present = np.stack([chance >= ABSENT, chance < 1 - ABSENT], axis=1)
            return {
                "clip": clip * present[:, 0, None, None, None, None],
                "frames": frames,
                "sound": sound * present[:, 1, None, None].astype(np.float32),
                "steps": steps,
                "present": present,
                "label": labels,
            }

        facts = {
            "shape": [FRAMES, 1, SIDE, SIDE],
            "steps": STEPS,
            "bands": BANDS,
            "classes": [str(k) for k in range(10)],
        }
        return draw_splits(draw, seed, sizes, facts)

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        """A clip alone; the sound counts as missing."""
        clip = super().read(source, facts, text)["clip"]
        return Examples(
            {
                "clip": clip,
                "frames": np.ones((1, clip.shape[1]), bool),
                "sound": np.zeros((1, facts["steps"], facts["bands"]), np.float32),
                "steps": np.ones((1, facts["steps"]), bool),
                "present": np.array([[True, False]]),
            }
        )


def _input(stream: str) -> str:
    return stream.split()[0]
