"""Forecast of the next frames of moving digits and of rain-like fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from danq.core import ConvRecurrent, EncoderForecaster, FrameForecaster
from danq.training.problem import Metrics
from danq.vision.clip_writer import write_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.frame_similarity import signal_to_noise, structural_similarity
from danq.vision.generators.digit_images import draw_digits
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Target,
    Task,
    above,
    below,
    task_recipe,
)

SIDE, SEEN, AHEAD = 32, 10, 10
RAIN = 0.5
"""Values in [0, 1] above it count as rain."""
RAIN_WEIGHT = 3.0
"""Weight of a pixel with rain in the loss."""
LIFE = 30
"""Frames between the start and the end of a shower."""

Clips = UInt8[np.ndarray, "N T 1 H W"]
Logits = Float[np.ndarray, "N S 1 H W"]
Frames = Float[np.ndarray, "N S 1 H W"]


def bouncing_digits(split: str, count: int, rng: np.random.Generator) -> Clips:
    """Draw two digits that move straight at 0.8 to 2 pixels per frame and bounce off the edges."""
    clips = np.zeros((count, SEEN + AHEAD, 1, SIDE, SIDE), np.uint8)
    room = SIDE - 8
    for _ in range(2):
        digits, _ = draw_digits(split, count, rng)
        start = rng.random((count, 2)) * room
        angle = rng.random(count) * 2 * np.pi
        speed = rng.uniform(0.8, 2.0, count)
        step = np.stack([np.sin(angle), np.cos(angle)], axis=1) * speed[:, None]
        for frame in range(SEEN + AHEAD):
            # Reflection folds the straight path.
            corner = np.rint(room - np.abs((start + frame * step) % (2 * room) - room)).astype(int)
            for number, (y, x) in enumerate(corner):
                window = clips[number, frame, 0, y : y + 8, x : x + 8]
                np.maximum(window, digits[number], out=window)
    return clips


def drifting_fields(count: int, rng: np.random.Generator, life: float = LIFE) -> Clips:
    """Draw showers that drift with a constant wind while they grow and decay.

    A shower is a region where a smooth random field is above zero. The field is the real part of
    a complex field whose phase turns by half a circle in ``life`` frames. The frames of a shower
    therefore show whether it grows or decays, and the mean rain over many clips is constant. With
    an infinite ``life`` showers only drift.
    """
    side, chunk = 2 * SIDE, 256
    fy, fx = np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]
    smooth = np.exp(-(fy**2 + fx**2) * (2 * np.pi * 3.0) ** 2 / 2).astype(np.float32)
    clips = np.empty((count, SEEN + AHEAD, 1, SIDE, SIDE), np.uint8)
    for start in range(0, count, chunk):
        part = clips[start : start + chunk, :, 0]
        noise = rng.standard_normal((len(part), 2, side, side), np.float32)
        spectrum = np.fft.fft2(noise[:, 0] + 1j * noise[:, 1]) * smooth
        # Parseval's theorem: the real and the imaginary part get mean square 1.
        power = (np.abs(spectrum) ** 2).sum(axis=(1, 2), keepdims=True)
        spectrum *= side**2 / np.sqrt(power / 2)
        wind = rng.uniform(-1.5, 1.5, (len(part), 2, 1, 1))
        for frame in range(SEEN + AHEAD):
            turns = frame * (0.5 / life - fy * wind[:, 0] - fx * wind[:, 1])
            shifted = spectrum * np.exp(2j * np.pi * turns).astype(np.complex64)
            field = np.fft.ifft2(shifted).real[:, :SIDE, :SIDE]
            part[:, frame] = np.rint(np.clip(field / 2, 0, 1) * 255)
    return clips


def forecaster(
    metadata: Metadata, patch: int, hidden: Sequence[int], width: int, state_width: int
) -> nn.Module:
    """Patches, ConvLSTM; its states forecast the frames."""
    channels = metadata["shape"][1] * patch**2
    encoder, decoder = (
        ConvRecurrent(channels, hidden, width, state_width=state_width) for _ in range(2)
    )
    ahead = FrameForecaster(decoder, channels, feedback=True)
    # Most pixels are dark; without this bias the model spends much of the training on that.
    nn.init.constant_(ahead.output.bias, -3.0)  # type: ignore[arg-type]
    return EncoderForecaster(encoder, ahead, steps=metadata["ahead"], patch=patch)


def squared_error(frames: Float[np.ndarray, "..."], future: UInt8[np.ndarray, "..."]) -> float:
    """Mean squared error of frames in [0, 1] against pixels of 0 to 255."""
    return float(np.mean((frames - future.astype(np.float32) / 255) ** 2))


def rain_scores(frames: np.ndarray, future: np.ndarray) -> Metrics:
    """Critical success index and false alarm ratio of pixels above `RAIN`."""
    forecast, rain = frames > RAIN, future > RAIN * 255
    hits, alarms = float((forecast & rain).sum()), float((forecast & ~rain).sum())
    misses = float((rain & ~forecast).sum())
    return {"csi": hits / max(1.0, hits + alarms + misses), "far": alarms / max(1.0, hits + alarms)}


def advected(seen: Float[np.ndarray, "T H W"], ahead: int) -> Float[np.ndarray, "S H W"]:
    """Move the last frame on along the optical flow between the last two frames."""
    from scipy.ndimage import map_coordinates
    from skimage.registration import optical_flow_ilk

    flow = optical_flow_ilk(seen[-1], seen[-2], radius=5)
    grid = np.stack(np.meshgrid(*map(np.arange, seen.shape[1:]), indexing="ij"))
    return np.stack(
        [map_coordinates(seen[-1], grid + n * flow, order=1) for n in range(1, ahead + 1)]
    )


_BASELINES = ("last frame", "mean of input", "mean of pixel", "optical flow")


class Nowcasting(Task):
    """Two moving digits, 10 frames -> 10 frames of 32 x 32; mean squared error."""

    name = "nowcasting"
    data_source = "made from real digits"
    fields = layout(clip="uint8 T C H W", future="uint8 T C H W")
    inputs = ("clip",)
    models = tuple(
        ModelDefinition(
            f"convlstm-{width}",
            f"patches -> ConvLSTM(state {width} x {width}) -> FrameForecaster",
            "Shi et al., NIPS 2015" if width > 1 else "Shi et al., without spread of states",
            forecaster,
            {"patch": 4, "hidden": [24], "width": 5, "state_width": width},
        )
        for width in (5, 1)
    )
    metadata_kinds = layout(shape="sizes", ahead="count")
    recipe = task_recipe(epochs=4, lr=1e-2, batch_size=8)
    sizes = Sizes(1500, 100, 300)
    quick_sizes = Sizes(64, 16, 16)
    errors = frozenset({"mse"})
    reported_metrics = ("mse", "ssim", "psnr")
    targets = (
        Target("below every baseline", below("mse", ["convlstm-5"], _BASELINES)),
        Target("state kernel 5 below kernel 1", below("mse", ["convlstm-5"], ["convlstm-1"])),
    )

    def clips(self, split: str, count: int, rng: np.random.Generator) -> Clips:
        """Draw clips of 20 frames."""
        return bouncing_digits(split, count, rng)

    def metadata(self) -> dict[str, Any]:
        return {"shape": [SEEN, 1, SIDE, SIDE], "ahead": AHEAD}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        shape = metadata["shape"]
        return {"clip": shape, "future": [metadata["ahead"], *shape[1:]]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clips = self.clips(split, count, rng)
        return {"clip": clips[:, :SEEN], "future": clips[:, SEEN:]}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return F.binary_cross_entropy_with_logits(logits, batch["future"])

    def decode(self, outputs: Logits) -> Frames:
        """Forecast frames in [0, 1]."""
        return torch.from_numpy(outputs).sigmoid().numpy()

    def score(self, predictions: Frames, examples: Examples) -> Metrics:
        future = examples["future"]
        error = squared_error(predictions, future)
        frames = np.broadcast_to(predictions, future.shape)
        return {
            "mse": error,
            "ssim": structural_similarity(frames, future.astype(np.float32) / 255),
            "psnr": signal_to_noise(error),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        future = data.test["future"]
        seen = data.test["clip"].astype(np.float32) / 255

        def repeated(frame: np.ndarray) -> Metrics:
            return self.score(np.broadcast_to(frame, future.shape), data.test)

        def flow() -> Metrics:
            frames = np.stack([advected(clip[:, 0], future.shape[1]) for clip in seen])
            return self.score(frames[:, :, None], data.test)

        mean_pixel = data.train["clip"].mean(axis=(0, 1), dtype=np.float32) / 255
        return {
            "last frame": lambda: repeated(seen[:, -1:]),
            "mean of input": lambda: repeated(seen.mean(axis=1, keepdims=True)),
            "mean of pixel": lambda: repeated(mean_pixel),
            "optical flow": flow,
        }

    def describe(self, outputs: Logits, examples: Examples, metadata: Metadata) -> list[str]:
        return [f"{outputs.shape[1]} frames; an output file (GIF or mp4) shows them"]

    def predict(
        self, module: nn.Module, examples: Examples, metadata: Metadata, out: Path | None = None
    ) -> list[str]:
        lines = super().predict(module, examples, metadata, out)
        return lines if out is None else lines[1:]

    def write_output(self, out: Path, outputs: Logits) -> list[str]:
        frames = (self.decode(outputs[:1])[0] * 255).round().astype(np.uint8)
        return [f"{write_clip(out, frames)}: {len(frames)} frames"]


class Rain(Nowcasting):
    """Showers that drift, grow and decay, 10 frames -> 10; CSI and FAR of pixels above 0.5."""

    name = "rain"
    data_source = "made"
    models = (
        ModelDefinition(
            "convlstm",
            "patches -> ConvLSTM -> FrameForecaster",
            "Shi et al., NIPS 2015; loss of Shi et al., NIPS 2017",
            forecaster,
            # Patches of 4 hide the motion of these smooth fields, a pixel or less.
            {"patch": 2, "hidden": [16], "width": 3, "state_width": 3},
        ),
    )
    recipe = task_recipe(epochs=6, lr=1e-2, batch_size=8)
    sizes = Sizes(3000, 100, 300)
    errors = frozenset({"far", "mse"})
    reported_metrics = ("csi", "far", "mse", "ssim", "psnr")
    targets = (
        Target("CSI above the last frame", above("csi", ["convlstm"], ["last frame"])),
        Target("CSI above optical flow", above("csi", ["convlstm"], ["optical flow"])),
    )

    def clips(self, split: str, count: int, rng: np.random.Generator) -> Clips:
        return drifting_fields(count, rng)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy with a greater weight on pixels with rain, which are rarer."""
        logits, future = self.call(module, batch).float(), batch["future"]
        weight = torch.where(future > RAIN, RAIN_WEIGHT, 1.0)
        return F.binary_cross_entropy_with_logits(logits, future, weight)

    def score(self, predictions: Frames, examples: Examples) -> Metrics:
        rain = rain_scores(predictions, examples["future"])
        return super().score(predictions, examples) | rain
