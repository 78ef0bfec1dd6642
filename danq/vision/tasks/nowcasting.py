"""What comes next? Frames forecast from frames: moving digits, and rain-like fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.core import ConvRecurrent, EncoderForecaster, FrameForecaster
from danq.training.problem import Metrics
from danq.vision.clips import write_gif
from danq.vision.digits import draw_digits
from danq.vision.examples import Data, Examples
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe

SIDE, SEEN, AHEAD = 32, 10, 10
RAIN = 0.5
"""Pixels above it count as rain."""
RAIN_WEIGHT = 3.0
"""Weight of such a pixel in the loss."""
LIFE = 30
"""Frames from a shower's rise to its end."""

Clips = UInt8[np.ndarray, "N T 1 H W"]


def bouncing_digits(split: str, count: int, rng: np.random.Generator) -> Clips:
    """Two digits that move straight at up to 2 pixels a frame and bounce off the walls."""
    clips = np.zeros((count, SEEN + AHEAD, 1, SIDE, SIDE), np.uint8)
    room = SIDE - 8
    for _ in range(2):
        digits, _ = draw_digits(split, count, rng)
        start = rng.random((count, 2)) * room
        angle = rng.random(count) * 2 * np.pi
        speed = rng.uniform(0.8, 2.0, count)
        step = np.stack([np.sin(angle), np.cos(angle)], axis=1) * speed[:, None]
        for frame in range(SEEN + AHEAD):
            # A path between two mirrors is a straight one folded.
            place = np.rint(room - np.abs((start + frame * step) % (2 * room) - room)).astype(int)
            for number, (y, x) in enumerate(place):
                window = clips[number, frame, 0, y : y + 8, x : x + 8]
                np.maximum(window, digits[number], out=window)
    return clips


def drifting_fields(count: int, rng: np.random.Generator, life: float = LIFE) -> Clips:
    """Showers that a constant wind carries while they rise and fall.

    They are what is above zero of a smooth random field, the real part of a complex one that
    turns by half a circle in ``life`` frames: so a shower's frames tell whether it grows or
    decays, while over many places as much rain falls. With ``life`` infinite showers only drift.
    """
    side, chunk = 2 * SIDE, 256
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    smooth = np.exp(-(fy**2 + fx**2) * (2 * np.pi * 3.0) ** 2 / 2).astype(np.float32)
    clips = np.empty((count, SEEN + AHEAD, 1, SIDE, SIDE), np.uint8)
    for start in range(0, count, chunk):
        part = clips[start : start + chunk, :, 0]
        noise = rng.standard_normal((len(part), 2, side, side), np.float32)
        spectrum = np.fft.fft2(noise[:, 0] + 1j * noise[:, 1]) * smooth
        # By Parseval's theorem: real and imaginary part each of mean square 1.
        power = (np.abs(spectrum) ** 2).sum(axis=(1, 2), keepdims=True)
        spectrum *= side**2 / np.sqrt(power / 2)
        wind = rng.uniform(-1.5, 1.5, (len(part), 2, 1, 1))
        for frame in range(SEEN + AHEAD):
            turns = frame * (0.5 / life - fy * wind[:, 0] - fx * wind[:, 1])
            turned = spectrum * np.exp(2j * np.pi * turns).astype(np.complex64)
            field = np.fft.ifft2(turned).real[:, :SIDE, :SIDE]
            part[:, frame] = np.rint(np.clip(field / 2, 0, 1) * 255)
    return clips


def forecaster(
    facts: Mapping[str, Any], patch: int, hidden: Sequence[int], width: int, state_width: int
) -> nn.Module:
    """Patches -> ConvLSTM; its states forecast the frames."""
    channels = facts["shape"][1] * patch**2
    encoder, decoder = (
        ConvRecurrent(channels, hidden, width, state_width=state_width) for _ in range(2)
    )
    ahead = FrameForecaster(decoder, channels, feedback=True)
    # Most pixels are dark: to learn that first would take a good part of the training.
    nn.init.constant_(ahead.output.bias, -3.0)  # type: ignore[arg-type]
    return EncoderForecaster(encoder, ahead, steps=facts["ahead"], patch=patch)


def squared_error(found: Float[np.ndarray, "..."], right: UInt8[np.ndarray, "..."]) -> float:
    """Mean over all pixels; frames in [0, 1] against pixels of 0 to 255."""
    return float(np.mean((found - right.astype(np.float32) / 255) ** 2))


def rain_scores(found: np.ndarray, right: np.ndarray) -> Metrics:
    """Critical success index and false alarm rate of pixels above `RAIN`."""
    said, fell = found > RAIN, right > RAIN * 255
    hits, alarms = float((said & fell).sum()), float((said & ~fell).sum())
    misses = float((fell & ~said).sum())
    return {
        "csi": hits / max(1.0, hits + alarms + misses),
        "far": alarms / max(1.0, hits + alarms),
    }


def advected(seen: Float[np.ndarray, "T H W"], ahead: int) -> Float[np.ndarray, "S H W"]:
    """The last frame, carried on by the optical flow between the last two."""
    from scipy.ndimage import map_coordinates
    from skimage.registration import optical_flow_ilk

    flow = optical_flow_ilk(seen[-1], seen[-2], radius=5)
    grid = np.stack(np.meshgrid(*map(np.arange, seen.shape[1:]), indexing="ij"))
    return np.stack(
        [map_coordinates(seen[-1], grid + n * flow, order=1) for n in range(1, ahead + 1)]
    )


class Nowcasting(Task):
    """Ten frames of two moving digits, forecast from the ten before."""

    name = "nowcasting"
    about = "two moving digits, 10 frames -> 10 frames of 32 x 32; squared error of a pixel"
    inputs = ("clip",)
    systems = tuple(
        System(
            f"convlstm-{width}",
            f"patches -> ConvLSTM(state {width} x {width}) -> FrameForecaster",
            "Shi et al., NIPS 2015" if width > 1 else "Shi et al., states that do not spread",
            forecaster,
            {"patch": 4, "hidden": [24], "width": 5, "state_width": width},
        )
        for width in (5, 1)
    )
    recipe = recipe(epochs=4, lr=1e-2, batch_size=8)
    sizes = Sizes(1500, 100, 300)
    quick_sizes = Sizes(64, 16, 16)
    shown = ("mse",)
    targets = (
        Target("below every baseline", lambda m: _error(m, "convlstm-5") < _least_baseline(m)),
        Target(
            "state kernel 5 below kernel 1",
            lambda m: _error(m, "convlstm-5") < _error(m, "convlstm-1"),
        ),
    )

    def clips(self, split: str, count: int, rng: np.random.Generator) -> Clips:
        """Clips of 20 frames."""
        return bouncing_digits(split, count, rng)

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            clips = self.clips(split, count, rng)
            return {"clip": clips[:, :SEEN], "future": clips[:, SEEN:]}

        return draw_splits(draw, seed, sizes, {"shape": [SEEN, 1, SIDE, SIDE], "ahead": AHEAD})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return F.binary_cross_entropy_with_logits(logits, batch["future"])

    def judged(self, found: np.ndarray, right: np.ndarray) -> Metrics:
        """Figures of forecast frames in [0, 1] against the true ones."""
        return {"mse": squared_error(found, right)}

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        logits = torch.from_numpy(self.outputs(module, examples, device))
        return self.judged(logits.sigmoid().numpy(), examples["future"])

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        right = data.test["future"]
        seen = data.test["clip"].astype(np.float32) / 255

        def repeated(frame: np.ndarray) -> Metrics:
            return self.judged(np.broadcast_to(frame, right.shape), right)

        def flow() -> Metrics:
            found = np.stack([advected(clip[:, 0], right.shape[1]) for clip in seen])
            return self.judged(found[:, :, None], right)

        mean_pixel = data.train["clip"].mean(axis=(0, 1), dtype=np.float32) / 255
        return {
            "last frame": lambda: repeated(seen[:, -1:]),
            "mean of input": lambda: repeated(seen.mean(axis=1, keepdims=True)),
            "mean of pixel": lambda: repeated(mean_pixel),
            "optical flow": flow,
        }

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        logits = torch.from_numpy(self.outputs(module, examples, device))
        frames = (logits.sigmoid().numpy()[0] * 255).round().astype(np.uint8)
        if out is None:
            return [f"{len(frames)} frames; name a GIF to write them to"]
        return [f"{write_gif(out, frames)}: {len(frames)} frames"]


class Rain(Nowcasting):
    """The same on showers that drift, rise and fall, judged as rain is."""

    name = "rain"
    about = "drifting showers that rise and fall, 10 frames -> 10; CSI and FAR above one half"
    systems = (
        System(
            "convlstm",
            "patches -> ConvLSTM -> FrameForecaster",
            "Shi et al., NIPS 2015; loss of Shi et al., NIPS 2017",
            forecaster,
            # Patches of 4 hide what these smooth fields move by: a pixel or less.
            {"patch": 2, "hidden": [16], "width": 3, "state_width": 3},
        ),
    )
    recipe = recipe(epochs=6, lr=1e-2, batch_size=8)
    sizes = Sizes(3000, 100, 300)
    shown = ("csi", "far", "mse")
    targets = (
        Target("CSI above the last frame", lambda m: m["convlstm"]["csi"] > m["last frame"]["csi"]),
        Target("CSI above optical flow", lambda m: m["convlstm"]["csi"] > m["optical flow"]["csi"]),
    )

    def clips(self, split: str, count: int, rng: np.random.Generator) -> Clips:
        return drifting_fields(count, rng)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy in which rain, the rarer, has the greater weight."""
        logits, future = self.call(module, batch).float(), batch["future"]
        weight = torch.where(future > RAIN, RAIN_WEIGHT, 1.0)
        return F.binary_cross_entropy_with_logits(logits, future, weight)

    def judged(self, found: np.ndarray, right: np.ndarray) -> Metrics:
        return super().judged(found, right) | rain_scores(found, right)


_BASELINES = ("last frame", "mean of input", "mean of pixel", "optical flow")


def _error(means: Mapping[str, Mapping[str, float]], name: str) -> float:
    return means[name]["mse"]


def _least_baseline(means: Mapping[str, Mapping[str, float]]) -> float:
    return min(_error(means, name) for name in _BASELINES)
