"""Sound of impacts, predicted from silent videos."""

from __future__ import annotations

import wave
from collections.abc import Mapping, Sequence
from itertools import pairwise
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
    FPS,
    FRAMES,
    MATERIALS,
    RATE,
    REACH,
    SIDE,
    STEPS,
    envelopes,
    impacts,
    onsets,
    vocoded,
)
from danq.vision.model_blocks import image_cnn, temporal
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    at_least,
    below,
    task_recipe,
)

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
    if metadata["levels"] % metadata["bands"]:
        raise ValueError(
            f"{metadata['levels']} levels are no multiple of {metadata['bands']} bands"
        )
    channels, *size = metadata["shape"][1:]
    channels += 3 if spacetime else 0
    frames = FrameEncoder(image_cnn([channels, *size], filters, features), features)
    encoder = nn.Sequential(Spacetime(), frames) if spacetime else frames
    rnn = temporal(kind, features, **hyperparameters)
    return CnnRnn(encoder, rnn, None, PerStep(Mlp(rnn.out_features, ()), metadata["levels"]))


def first_impact(levels: Float[np.ndarray, "T K"]) -> Float[np.ndarray, "R K"] | None:
    """Levels of the `REACH` frames after the first onset, zeros after the end; None if silent."""
    found = onsets(levels)
    if not found:
        return None
    part = levels[found[0] : found[0] + REACH]
    return np.pad(part, ((0, REACH - len(part)), (0, 0)))


def impact_classes(levels: Levels, known: Levels, classes: np.ndarray) -> np.ndarray:
    """Class of the nearest known first impact, other than that of the same row; -1 if silent."""
    parts = [first_impact(one) for one in known]
    bank = [number for number, part in enumerate(parts) if part is not None]
    found = np.full(len(levels), -1)
    for row, one in enumerate(map(first_impact, levels)):
        others = [number for number in bank if number != row]
        if one is not None and others:
            gaps = [float(((parts[number] - one) ** 2).sum()) for number in others]
            found[row] = classes[others[int(np.argmin(gaps))]]
    return found


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
    metadata_kinds = layout(
        shape="sizes", classes="names", levels="count", bands="count", rate="count", fps="count"
    )
    recipe = task_recipe(epochs=15, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(128, 24, 32)
    errors = frozenset({"mse"})
    reported_metrics = ("mse", "material")
    targets = (
        Target(
            "error below the mean envelope", below("mse", ["spacetime-lstm"], ["mean envelope"])
        ),
        Target(
            "material found from the predicted sound: 90 %",
            at_least("material", "spacetime-lstm", 0.9),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        sound = {"levels": STEPS * BANDS, "bands": BANDS, "rate": RATE, "fps": FPS}
        return {"shape": [FRAMES, 3, SIDE, SIDE], "classes": list(MATERIALS), **sound}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        shape = metadata["shape"]
        return {"clip": shape, "levels": (shape[0], metadata["levels"])}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"material": metadata["classes"]}

    def facts(self, data: Dataset) -> dict[str, Any]:
        """Mean levels after the first impact of each class, to name the class of a sound."""
        parts = [first_impact(levels) for levels in data.train["levels"]]
        profiles = []
        for number in range(len(data.metadata["classes"])):
            rows = np.flatnonzero(data.train["material"] == number)
            own = [part for part in (parts[row] for row in rows) if part is not None]
            mean = np.mean(own, axis=0) if own else np.zeros((0, 0))
            profiles.append(mean.round(4).tolist())
        return {"profiles": profiles}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        made = impacts(count, rng)
        return {
            "clip": made.clips,
            "levels": envelopes(made.waves),
            "material": made.material.astype(np.int64),
        }

    def score(self, predictions: Levels, examples: Examples) -> Metrics:
        """Squared error, and the share of first impacts whose nearest sound has their material.

        The nearest sound is a true sound of another example.
        """
        levels, materials = examples["levels"], examples["material"]
        return {
            "mse": float(np.mean((predictions - levels) ** 2)),
            "material": float(np.mean(impact_classes(predictions, levels, materials) == materials)),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        levels = data.test["levels"]
        mean = data.train["levels"].mean(axis=0)
        return {
            "mean envelope": lambda: self.score(np.broadcast_to(mean, levels.shape), data.test),
            "true sound": lambda: self.score(levels, data.test),
        }

    def describe(self, outputs: Levels, examples: Examples, metadata: Metadata) -> list[str]:
        return [f"impacts: {', '.join(_impacts(levels, metadata)) or 'none'}" for levels in outputs]

    def predict(
        self, module: nn.Module, examples: Examples, metadata: Metadata, out: Path | None = None
    ) -> list[str]:
        lines = super().predict(module, examples, metadata)
        if out is None:
            return lines
        levels = self.outputs(module, examples.rows(slice(1)))[0]
        rate = metadata["rate"]
        samples = vocoded(levels, bands=metadata["bands"], rate=rate, fps=metadata["fps"])
        return [*lines, f"{write_wav(out, samples, rate)}: {len(samples) / rate:.2f} s"]


def _impacts(levels: Float[np.ndarray, "T K"], metadata: Metadata) -> list[str]:
    """Seconds and class of each impact."""
    profiles = [np.array(one) for one in metadata["profiles"]]
    starts, texts = onsets(levels), []
    for start, stop in pairwise([*starts, len(levels)]):
        part = levels[start : min(stop, start + REACH)]
        gaps = [
            float(((one[: len(part)] - part) ** 2).sum()) if one.size else np.inf
            for one in profiles
        ]
        texts.append(
            f"{metadata['classes'][int(np.argmin(gaps))]} at {start / metadata['fps']:.2f} s"
        )
    return texts
