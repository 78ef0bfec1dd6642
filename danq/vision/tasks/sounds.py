"""What does it sound like? The sound of blows, told from silent films of them."""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from danq.core import CnnRnn, FrameEncoder, Mlp, PerStep, step_regression
from danq.output import replacing
from danq.training.problem import Metrics
from danq.vision.blocks import image_cnn, temporal
from danq.vision.examples import Data, Examples
from danq.vision.impacts import (
    BANDS,
    FRAMES,
    MATERIALS,
    RATE,
    SIDE,
    STEPS,
    envelopes,
    impacts,
    resound,
)
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe


class Spacetime(nn.Module):
    """Frames with the grey ones around them: ``(B, T, 3, H, W) -> (B, T, 6, H, W)``.

    The three further channels are the frame before, the frame and the frame after in grey, which
    show motion to a network that sees one frame at a time; the clip's ends are repeated.

    Notes
    -----
    Owens et al., "Visually indicated sounds", CVPR 2016.
    """

    def forward(self, clip: Float[Tensor, "B T 3 H W"]) -> Float[Tensor, "B T 6 H W"]:
        grey = clip.mean(dim=2, keepdim=True)
        before = torch.cat([grey[:, :1], grey[:, :-1]], dim=1)
        after = torch.cat([grey[:, 1:], grey[:, -1:]], dim=1)
        return torch.cat([clip, before, grey, after], dim=2)


def hearer(
    facts: Mapping[str, Any],
    filters: Sequence[int],
    features: int,
    kind: str,
    spacetime: bool,
    **numbers: Any,
) -> nn.Module:
    """Frame CNN, over three frames in grey too where ``spacetime``; LSTM; levels at each step."""
    channels, *size = facts["shape"][1:]
    seen = channels + 3 if spacetime else channels
    frames = FrameEncoder(image_cnn([seen, *size], filters, features), features)
    encoder = nn.Sequential(Spacetime(), frames) if spacetime else frames
    rnn = temporal(kind, features, **numbers)
    return CnnRnn(encoder, rnn, None, PerStep(Mlp(rnn.out_features, ()), facts["levels"]))


def write_wav(path: str | Path, samples: Float[np.ndarray, " L"], rate: int) -> Path:
    """Write samples in [-1, 1] as a WAV file of 16 bits.

    Raises
    ------
    InputError
        When it cannot be written, or exists already.
    """
    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    return Path(path)


_CNN = {"filters": [16, 32], "features": 64, "kind": "lstm", "hidden": 96}


class Sounds(Task):
    """Levels of ten bands, ninety times a second, from a film of one or two blows."""

    name = "sounds"
    about = "sound of blows from silent films; squared error of levels, material told from them"
    inputs = ("clip",)
    systems = (
        System(
            "spacetime-lstm",
            "Frame(RGB with spacetime) -> LSTM -> PerStep regression",
            "Owens et al., CVPR 2016",
            hearer,
            _CNN | {"spacetime": True},
        ),
        System(
            "rgb-lstm",
            "Frame(RGB) -> LSTM -> PerStep regression",
            "Owens et al., CVPR 2016, without spacetime images",
            hearer,
            _CNN | {"spacetime": False},
        ),
    )
    recipe = recipe(epochs=15, lr=4e-3, batch_size=32)
    sizes = Sizes(1200, 100, 300)
    quick_sizes = Sizes(128, 24, 32)
    shown = ("mse", "material")
    targets = (
        Target(
            "error below the mean envelope",
            lambda m: m["spacetime-lstm"]["mse"] < m["mean envelope"]["mse"],
        ),
        Target(
            "material told from the predicted sound: 90 %",
            lambda m: m["spacetime-lstm"]["material"] >= 0.9,
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            made = impacts(count, rng)
            return {
                "clip": made.clips,
                "levels": envelopes(made.waves),
                "material": made.material.astype(np.int64),
            }

        facts = {
            "shape": [FRAMES, 3, SIDE, SIDE],
            "levels": STEPS * BANDS,
            "classes": list(MATERIALS),
        }
        return draw_splits(draw, seed, sizes, facts)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return step_regression(self.call(module, batch).float(), batch["levels"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.outputs(module, examples, device), examples)

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        right = data.test["levels"]
        mean = data.train["levels"].mean(axis=0)
        return {
            "mean envelope": lambda: _judged(np.broadcast_to(mean, right.shape), data.test),
            "true sound": lambda: _judged(right, data.test),
        }

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        samples, materials = resound(self.outputs(module, examples, device)[0])
        names = ", ".join(facts["classes"][kind] for kind in materials) or "none"
        lines = [f"blows: {names}"]
        if out is not None:
            lines.append(f"{write_wav(out, samples, RATE)}: {len(samples) / RATE:.2f} s")
        return lines


def _judged(found: Float[np.ndarray, "N T K"], examples: Examples) -> Metrics:
    """Squared error, and how often the first blow's nearest sound is of the right material."""
    told = [(resound(levels)[1] or [-1])[0] for levels in found]
    return {
        "mse": float(np.mean((found - examples["levels"]) ** 2)),
        "material": float(np.mean(np.array(told) == examples["material"])),
    }
