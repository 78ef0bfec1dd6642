"""Class of a digit from video and sound, each of which may be short, noisy or missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from scipy.ndimage import map_coordinates
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
from danq.vision.base_tasks import DIGIT_CLASSES, Classification
from danq.vision.dataset import Examples, Fields, Metadata, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.generators.spoken_symbols import HOP, spoken_symbol
from danq.vision.model_blocks import frame_cnn
from danq.vision.task import ModelDefinition, Sizes, Target, above, task_recipe

SIDE, FRAMES = 16, 6
STEPS, BANDS = 20, 12
STEP = 160
"""Samples from a step of the sound to the next: 20 ms."""
NOISE = 0.2
"""Standard deviation of the noise of a level; 1 is the loudest band."""
ABSENT = 0.12
"""Share of examples without video, and share of examples without sound."""


def moving_digits_with_bars(
    digits: UInt8[np.ndarray, "N 8 8"], rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Bool[np.ndarray, "N T"]]:
    """Draw clips of 2 to 6 frames: a digit that drifts over noise, partly hidden by a bar.

    Returns
    -------
    Clips, and a mask of their real frames.
    """
    count = len(digits)
    lengths = rng.integers(2, FRAMES + 1, count)
    starts, moves = rng.integers(2, 7, (count, 2)), rng.integers(-1, 2, (count, 2))
    bars = rng.integers(0, 6, count)
    clips = rng.integers(0, 80, (count, FRAMES, 1, SIDE, SIDE), dtype=np.uint8)
    for number, digit in enumerate(digits):
        visible = digit.copy()
        part = slice(bars[number], bars[number] + 3)
        visible[part if number % 2 else slice(None), slice(None) if number % 2 else part] = 0
        for frame in range(lengths[number]):
            y, x = np.clip(starts[number] + frame * moves[number], 0, SIDE - 8)
            window = clips[number, frame, 0, y : y + 8, x : x + 8]
            np.maximum(window, visible, out=window)
    mask = np.arange(FRAMES) < lengths[:, None]
    clips[~mask] = 0
    return clips, mask


def spoken_digits(
    labels: Int64[np.ndarray, " N"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, "N T D"], Bool[np.ndarray, "N T"]]:
    """Draw band levels of spoken digits from one recording of each.

    They have a random pace, pitch and loudness, and noise; the end of a word may be cut off.

    Returns
    -------
    Levels, and a mask of their real steps.
    """
    count = len(labels)
    pace = rng.uniform(0.8, 1.25, count)
    pitch = rng.normal(0, 0.6, count)
    levels = np.zeros((count, STEPS, BANDS))
    for row, label in enumerate(labels):
        word = spoken_symbol(DIGIT_CLASSES[label], BANDS)
        times = np.arange(STEPS) * STEP / HOP * pace[row]
        bands = np.clip(np.arange(BANDS) + pitch[row], 0, BANDS - 1)
        levels[row] = map_coordinates(word, np.meshgrid(times, bands, indexing="ij"), order=1)
    levels *= rng.uniform(0.6, 1.4, (count, 1, 1))
    levels += rng.normal(0, NOISE, levels.shape)
    mask = np.arange(STEPS) < rng.integers(STEPS // 3, STEPS + 1, count)[:, None]
    return np.where(mask[..., None], levels, 0).astype(np.float32), mask


class TwoStreams(nn.Module):
    """`Streams` of the inputs that have an encoder."""

    def __init__(self, streams: Streams) -> None:
        super().__init__()
        self.streams = streams
        self.selected = [("clip", "sound").index(_input(name)) for name in streams.streams]

    def forward(
        self,
        clip: Float[Tensor, "B T C H W"],
        frames: Bool[Tensor, "B T"],
        sound: Float[Tensor, "B S D"],
        steps: Bool[Tensor, "B S"],
        present: Bool[Tensor, "B 2"],
    ) -> Float[Tensor, "B K"]:
        both = {"clip": (clip, frames), "sound": (sound, steps)}
        names = list(self.streams.streams)
        inputs = {name: both[_input(name)][0] for name in names}
        masks = {name: both[_input(name)][1] for name in names}
        return self.streams(inputs, masks, present[:, self.selected])


def streams(
    metadata: Metadata,
    names: Sequence[str],
    fusion: str,
    channels: Sequence[int],
    features: int,
    hidden: int,
    weights: Sequence[float] = (),
) -> nn.Module:
    """Make streams by their names (clip, clip volume, sound), with "concat" or "late" fusion."""
    classes = len(metadata["classes"])

    def stream(name: str) -> CnnRnn:
        if name == "clip volume":
            body = ClipEncoder(conv_encoder(3, metadata["shape"][1], channels, pool=(1, 2, 2)))
            return CnnRnn(body, None, Mean(channels[-1]), head(channels[-1]))
        if name == "clip":
            encoder: nn.Module = frame_cnn(metadata["shape"], channels, features)
        else:
            encoder = FeatureEncoder(metadata["bands"], (features,))
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


_HYPERPARAMETERS = {"channels": [16, 32, 48], "features": 48, "hidden": 64}
_BOTH = {"names": ["clip", "sound"]}


class AudioVisual(Classification):
    """A moving digit and its spoken name, each short, noisy or missing; 10 classes."""

    name = "audio-visual"
    data_source = "made from real digits and voices"
    fields = layout(
        clip="uint8 T C H W",
        frames="bool T",
        sound="float32 S D",
        steps="bool S",
        present="bool D",
        label="int64",
    )
    inputs = ("clip", "frames", "sound", "steps", "present")
    models = (
        ModelDefinition(
            "concat",
            "{Frame -> LSTM}, {features -> LSTM} -> Concat -> Classes",
            "Ngiam et al., ICML 2011 (bimodal deep learning)",
            streams,
            _HYPERPARAMETERS | _BOTH | {"fusion": "concat"},
        ),
        ModelDefinition(
            "late",
            "{Frame -> LSTM}, {features -> LSTM} -> LateFusion",
            "Fan et al., ICMI 2016, two streams",
            streams,
            _HYPERPARAMETERS | _BOTH | {"fusion": "late"},
        ),
        ModelDefinition(
            "emotiw",
            "{Frame -> LSTM}, {Conv(3)}, {features -> LSTM} -> LateFusion(.25, .23, .52)",
            "Fan et al., ICMI 2016",
            streams,
            _HYPERPARAMETERS
            | {"names": ["clip", "clip volume", "sound"], "fusion": "late"}
            | {"weights": [0.25, 0.23, 0.52]},
        ),
        ModelDefinition(
            "clip-only",
            "Frame -> LSTM -> Classes",
            "video only",
            streams,
            _HYPERPARAMETERS | {"names": ["clip"], "fusion": "concat"},
        ),
        ModelDefinition(
            "sound-only",
            "features -> LSTM -> Classes",
            "sound only",
            streams,
            _HYPERPARAMETERS | {"names": ["sound"], "fusion": "concat"},
        ),
    )
    metadata_kinds = layout(shape="sizes", steps="count", bands="count", classes="names")
    recipe = task_recipe(epochs=10, lr=4e-3, batch_size=48)
    quick_epochs = 4
    sizes = Sizes(4000, 300, 1000)
    quick_sizes = Sizes(400, 60, 120)
    targets = tuple(
        Target(
            f"{name} above the best stream", above("accuracy", [name], ["clip-only", "sound-only"])
        )
        for name in ("concat", "late", "emotiw")
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [FRAMES, 1, SIDE, SIDE],
            "steps": STEPS,
            "bands": BANDS,
            "classes": list(DIGIT_CLASSES),
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        steps, bands = metadata["steps"], metadata["bands"]
        known = {"frames": metadata["shape"][:1], "sound": (steps, bands), "steps": (steps,)}
        return {"clip": metadata["shape"], "present": (2,), **known}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        digits, labels = draw_digits(split, count, rng)
        clip, frames = moving_digits_with_bars(digits, rng)
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

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        """Read a clip; the sound is marked as missing."""
        clip = super().read_input(source, metadata, text)["clip"]
        steps, bands = metadata["steps"], metadata["bands"]
        sound = {
            "sound": np.zeros((1, steps, bands), np.float32),
            "steps": np.ones((1, steps), bool),
        }
        frames, present = np.ones((1, clip.shape[1]), bool), np.array([[True, False]])
        return Examples({"clip": clip, "frames": frames, "present": present} | sound)


def _input(stream: str) -> str:
    return stream.split()[0]
