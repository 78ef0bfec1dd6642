"""Sound of impacts as waveforms of the nearest examples of the training data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_rows
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.impact_videos import REACH, envelopes, impacts, onsets
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Target,
    above,
    at_least,
    below,
    task_recipe,
)
from danq.vision.tasks.impact_sounds import Levels, Sounds, sound_model, write_wav

Waves = Float[np.ndarray, "N L"]


@dataclass(frozen=True)
class Impacts:
    """Levels, waveform and class of single impacts in the frames after each, 0 after their end."""

    levels: Float[np.ndarray, "M R K"]
    waves: Float[np.ndarray, "M S"]
    kinds: Int64[np.ndarray, " M"]

    def nearest(self, levels: Float[np.ndarray, "R K"]) -> int:
        """Index of the impact with the nearest levels."""
        return int(((self.levels[:, : len(levels)] - levels) ** 2).sum(axis=(1, 2)).argmin())


class Heard(NamedTuple):
    """Predicted levels, the waveforms that were looked up, and the class of the first impact."""

    levels: Levels
    waves: Waves
    kinds: Int64[np.ndarray, " N"]


def known_impacts(examples: Examples, most: int) -> Impacts:
    """The first ``most`` impacts of examples, each until the next or at most `REACH` frames."""
    steps, width = examples["levels"].shape[1:]
    size = examples["wave"].shape[1] // steps
    levels, waves = np.zeros((most, REACH, width)), np.zeros((most, REACH * size))
    kinds: list[int] = []
    for row, clip in enumerate(examples["levels"]):
        for start, stop in _segments(clip):
            if len(kinds) == most:
                break
            sound = examples["wave"][row, start * size : stop * size]
            levels[len(kinds), : stop - start] = clip[start:stop]
            waves[len(kinds), : len(sound)] = sound
            kinds.append(int(examples["material"][row]))
    count = len(kinds)
    return Impacts(levels[:count], waves[:count], np.array(kinds, np.int64))


def looked_up(levels: Levels, known: Impacts) -> Heard:
    """Waveforms with the nearest known impact at each onset; silent without known impacts."""
    size = known.waves.shape[1] // REACH
    waves = np.zeros((len(levels), levels.shape[1] * size))
    kinds = np.full(len(levels), -1)
    for row, clip in enumerate(levels):
        for start, stop in _segments(clip) if len(known.kinds) else ():
            number = known.nearest(clip[start:stop])
            sound = known.waves[number][: waves.shape[1] - start * size]
            waves[row, start * size : start * size + len(sound)] += sound
            kinds[row] = known.kinds[number] if kinds[row] < 0 else kinds[row]
    return Heard(levels, waves.clip(-1, 1), kinds)


def loudness_and_centroid(
    levels: Levels, bands: int
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Greatest sum of the levels of a step, and the mean band of this step."""
    steps = levels.reshape(len(levels), -1, bands)
    loudness = steps.sum(axis=2)
    at = steps[np.arange(len(steps)), loudness.argmax(axis=1)]
    total = at.sum(axis=1)
    return total, (at * np.arange(bands)).sum(axis=1) / np.where(total > 0, total, 1.0)


class SoundLookup(nn.Module):
    """Levels of a clip by ``body``, and known impacts whose sounds are looked up.

    The impacts are stored with the weights.

    Parameters
    ----------
    body
        ``(B, T, C, H, W) -> (B, T, K)``.
    metadata
        Shape of the clips, levels per frame, and rates of samples and frames.
    impacts
        Greatest number of known impacts.
    """

    levels: Tensor
    waves: Tensor
    kinds: Tensor

    def __init__(self, body: nn.Module, metadata: Metadata, impacts: int) -> None:
        super().__init__()
        self.body = body
        size = metadata["rate"] // metadata["fps"]
        self.register_buffer("levels", torch.zeros(impacts, REACH, metadata["levels"]))
        self.register_buffer("waves", torch.zeros(impacts, REACH * size))
        self.register_buffer("kinds", torch.full((impacts,), -1))

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, "B T K"]:
        return self.body(clip)

    def learn(self, examples: Examples) -> None:
        """Store the impacts of examples."""
        found = known_impacts(examples, len(self.kinds))
        for name in ("levels", "waves", "kinds"):
            values = torch.from_numpy(getattr(found, name))
            getattr(self, name)[: len(values)] = values

    def known(self) -> Impacts:
        """The stored impacts."""
        rows = self.kinds >= 0
        arrays = [x[rows].cpu().numpy() for x in (self.levels, self.waves, self.kinds)]
        return Impacts(*arrays)


def lookup_model(metadata: Metadata, impacts: int, **hyperparameters: Any) -> nn.Module:
    """Make a `SoundLookup` of the levels of `sound_model`."""
    return SoundLookup(sound_model(metadata, **hyperparameters), metadata, impacts)


class SoundExamples(Sounds):
    """Waveforms of impacts from silent videos, by the nearest example of the training data."""

    name = "sound-examples"
    fields = layout(clip="uint8 T C H W", levels="float32 T K", wave="float32 L", material="int64")
    models = (
        ModelDefinition(
            "lookup",
            "Frame(RGB with spacetime) -> LSTM -> PerStep regression -> nearest example",
            "Owens et al., CVPR 2016",
            lookup_model,
            {
                "filters": [16, 32],
                "features": 64,
                "kind": "lstm",
                "hidden": 96,
                "spacetime": True,
                "impacts": 600,
            },
        ),
    )
    recipe = task_recipe(epochs=15, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(96, 16, 24)
    reported_metrics = ("wave_mse", "loudness_r", "centroid_r", "material")
    targets = (
        Target(
            "error of the waveform below that of the nearest clip",
            below("wave_mse", ["lookup"], ["nearest clip", "random clip"]),
        ),
        Target(
            "loudness and pitch above the nearest clip",
            lambda m: min(
                above(metric, ["lookup"], ["nearest clip"])(m)
                for metric in ("loudness_r", "centroid_r")
            ),
        ),
        Target("material of the example: 90 %", at_least("material", "lookup", 0.9)),
    )

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        samples = metadata["shape"][0] * (metadata["rate"] // metadata["fps"])
        return {**super().shapes(metadata), "wave": (samples,)}

    def facts(self, data: Dataset) -> dict[str, Any]:
        return {}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        made = impacts(count, rng)
        return {
            "clip": made.clips,
            "levels": envelopes(made.waves),
            "wave": made.waves.astype(np.float32),
            "material": made.material.astype(np.int64),
        }

    def prepare(self, module: nn.Module, examples: Examples) -> None:
        assert isinstance(module, SoundLookup)
        module.learn(examples)

    def outputs(self, module: nn.Module, examples: Examples) -> Heard:
        """Levels, and the waveforms that are looked up with them."""
        assert isinstance(module, SoundLookup)
        return looked_up(super().outputs(module, examples), module.known())

    def score(self, predictions: Heard, examples: Examples) -> Metrics:
        """Errors of the levels and of the waveform's levels; correlation over clips.

        Loudness is the greatest sum of the levels of a step, the centroid the mean band there.
        ``material`` is the share of clips whose first looked up impact has their material.
        """
        metadata, true = examples.metadata, examples["levels"]
        levels = envelopes(
            predictions.waves,
            rate=metadata["rate"],
            fps=metadata["fps"],
            steps=metadata["levels"] // metadata["bands"],
            bands=metadata["bands"],
        )
        found = loudness_and_centroid(levels, metadata["bands"])
        right = loudness_and_centroid(true, metadata["bands"])
        return {
            "mse": float(np.mean((predictions.levels - true) ** 2)),
            "wave_mse": float(np.mean((levels - true) ** 2)),
            "loudness_r": correlation(found[0], right[0]),
            "centroid_r": correlation(found[1], right[1]),
            "material": float(np.mean(predictions.kinds == examples["material"])),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        train, test = data.train, data.test

        def of_clips(rows: np.ndarray) -> Metrics:
            """The whole sound of a training clip for each test clip."""
            parts = (train[name][rows] for name in ("levels", "wave", "material"))
            return self.score(Heard(*parts), test)

        def nearest() -> Metrics:
            flat = [e["clip"].reshape(len(e), -1).astype(np.float32) for e in (train, test)]
            return of_clips(nearest_rows(*flat))

        def random() -> Metrics:
            return of_clips(np.random.default_rng(0).integers(len(train), size=len(test)))

        def true_levels() -> Metrics:
            most = int(self.models[0].hyperparameters["impacts"])
            return self.score(looked_up(test["levels"], known_impacts(train, most)), test)

        return {"nearest clip": nearest, "random clip": random, "true levels": true_levels}

    def describe(self, outputs: Heard, examples: Examples, metadata: Metadata) -> list[str]:
        """Times of the impacts, and the class of the first."""
        lines = []
        for levels, kind in zip(outputs.levels, outputs.kinds, strict=True):
            times = ", ".join(f"{start / metadata['fps']:.2f} s" for start in onsets(levels))
            name = metadata["classes"][kind] if kind >= 0 else "no example"
            lines.append(f"impacts: {times or 'none'}; nearest example: {name}")
        return lines

    def predict(
        self, module: nn.Module, examples: Examples, metadata: Metadata, out: Path | None = None
    ) -> list[str]:
        outputs = self.outputs(module, examples)
        lines = self.describe(outputs, examples, metadata)
        if out is None:
            return lines
        samples, rate = outputs.waves[0], metadata["rate"]
        return [*lines, f"{write_wav(out, samples, rate)}: {len(samples) / rate:.2f} s"]


def correlation(first: Float[np.ndarray, " N"], second: Float[np.ndarray, " N"]) -> float:
    """Pearson's correlation; 0 where one does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _segments(levels: Float[np.ndarray, "T K"]) -> list[tuple[int, int]]:
    """First frame of each impact, and the frame after its last."""
    starts = onsets(levels)
    ends = [*starts[1:], len(levels)][: len(starts)]
    return [(a, min(b, a + REACH)) for a, b in zip(starts, ends, strict=True)]
