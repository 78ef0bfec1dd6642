"""Sound of impacts, predicted from silent videos."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import CnnRnn, FrameEncoder, Mlp, PerStep
from danq.output import replacing
from danq.training.problem import Metrics
from danq.vision.base_tasks import StepRegression
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.impact_videos import (
    BANDS,
    FRAMES,
    MATERIALS,
    RATE,
    SIDE,
    STEPS,
    envelopes,
    impacts,
    synthesise,
)
from danq.vision.model_blocks import image_cnn, temporal
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, below, task_recipe

Levels = Float[np.ndarray, "N T K"]


class Spacetime(nn.Module):
    """Frames with their neighbours in grey: ``(B, T, 3, H, W) -> (B, T, 6, H, W)``.

    The three added channels are the frame before, the frame itself and the frame after, in grey.
    They show motion to a network that reads one frame at a time. The first and the last frame
    are repeated.

    Notes
    -----
    Owens et al., "Visually indicated sounds", CVPR 2016.
    """

    def forward(self, clip: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T 6 H W"]:
        grey = clip.mean(dim=2, keepdim=True)
        before = torch.cat([grey[:, :1], grey[:, :-1]], dim=1)
        after = torch.cat([grey[:, 1:], grey[:, -1:]], dim=1)
        return torch.cat([clip, before, grey, after], dim=2)


def sound_model(
    metadata: Metadata,
    filters: Sequence[int],
    features: int,
    kind: str,
    spacetime: bool,
    **hyperparameters: Any,
) -> nn.Module:
    """Frame CNN, with three grey frames if ``spacetime``; LSTM; levels at each step."""
    channels, *size = metadata["shape"][1:]
    channels += 3 if spacetime else 0
    frames = FrameEncoder(image_cnn([channels, *size], filters, features), features)
    encoder = nn.Sequential(Spacetime(), frames) if spacetime else frames
    rnn = temporal(kind, features, **hyperparameters)
    return CnnRnn(encoder, rnn, None, PerStep(Mlp(rnn.out_features, ()), metadata["levels"]))


def write_wav(path: str | Path, samples: Float[np.ndarray, " L"], rate: int) -> Path:
    """Write samples in [-1, 1] as a 16-bit WAV file; ``rate`` is samples per second.

    Raises
    ------
    InputError
        When it exists or cannot be written.
    """
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return Path(path)


_CNN = {"filters": [16, 32], "features": 64, "kind": "lstm", "hidden": 96}


class Sounds(StepRegression):
    """Sound of impacts from silent videos; squared error of levels, material found from them."""

    name = "sounds"
    fields = layout(clip="uint8 T C H W", levels="float32 T K", material="int64")
    inputs = ("clip",)
    target = "levels"
    slow_metrics = True
    models = (
        ModelDefinition(
            "spacetime-lstm",
            "Frame(RGB with spacetime) -> LSTM -> PerStep regression",
            "Owens et al., CVPR 2016",
            sound_model,
            _CNN | {"spacetime": True},
        ),
        ModelDefinition(
            "rgb-lstm",
            "Frame(RGB) -> LSTM -> PerStep regression",
            "Owens et al., CVPR 2016, without spacetime images",
            sound_model,
            _CNN | {"spacetime": False},
        ),
    )
    recipe = task_recipe(epochs=15, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(128, 24, 32)
    reported_metrics = ("mse", "material")
    targets = (
        Target(
            "error below the mean envelope", below("mse", ["spacetime-lstm"], ["mean envelope"])
        ),
        Target(
            "material found from the predicted sound: 90 %",
            lambda m: m["spacetime-lstm"]["material"] >= 0.9,
        ),
    )

    def metadata(self) -> dict[str, Any]:
        shape = [FRAMES, 3, SIDE, SIDE]
        return {"shape": shape, "levels": STEPS * BANDS, "classes": list(MATERIALS)}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        made = impacts(count, rng)
        return {
            "clip": made.clips,
            "levels": envelopes(made.waves),
            "material": made.material.astype(np.int64),
        }

    def score(self, predictions: Levels, examples: Examples) -> Metrics:
        """Squared error, and the share of first impacts whose nearest sound has their material."""
        materials = [(synthesise(levels)[1] or [-1])[0] for levels in predictions]
        return {
            "mse": float(np.mean((predictions - examples["levels"]) ** 2)),
            "material": float(np.mean(np.array(materials) == examples["material"])),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        levels = data.test["levels"]
        mean = data.train["levels"].mean(axis=0)
        return {
            "mean envelope": lambda: self.score(np.broadcast_to(mean, levels.shape), data.test),
            "true sound": lambda: self.score(levels, data.test),
        }

    def describe(self, outputs: Levels, examples: Examples, metadata: Metadata) -> list[str]:
        _, materials = synthesise(outputs[0])
        return [f"impacts: {', '.join(metadata['classes'][k] for k in materials) or 'none'}"]

    def write_output(self, out: Path, outputs: Levels) -> list[str]:
        samples, _ = synthesise(outputs[0])
        return [f"{write_wav(out, samples, RATE)}: {len(samples) / RATE:.2f} s"]
