"""Which class is each pixel? Label maps that a network refines by reading its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from danq.core import DensePixel, Refine, conv_encoder, refinement_loss
from danq.training.problem import Metrics
from danq.vision.clips import write_png
from danq.vision.digits import draw_digits
from danq.vision.examples import Data, Examples
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe

SIDE, DIGITS = 16, 3
CLASSES = ("background", *(str(k) for k in range(10)))
INK = 80
"""Grey value from which a digit's pixel counts as its own."""
PALETTE = np.array(
    [
        (0, 0, 0),
        (230, 25, 75),
        (60, 180, 75),
        (255, 225, 25),
        (0, 130, 200),
        (245, 130, 48),
        (145, 30, 180),
        (70, 240, 240),
        (240, 50, 230),
        (210, 245, 60),
        (250, 190, 212),
    ],
    np.uint8,
)


def composed_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 1 H W"], Int64[np.ndarray, "N H W"]]:
    """Scenes of up to 3 digits, the later ones in front, on a noisy ground, and the class of each
    pixel: 0, or the digit + 1."""
    images = np.zeros((count, 1, SIDE, SIDE), np.uint8)
    labels = np.zeros((count, SIDE, SIDE), np.int64)
    for _ in range(DIGITS):
        digits, kinds = draw_digits(split, count, rng)
        places = rng.integers(0, SIDE - 7, (count, 2))
        for number, (y, x) in enumerate(places):
            ink = digits[number] >= INK
            window = (slice(y, y + 8), slice(x, x + 8))
            images[number, 0][window][ink] = digits[number][ink]
            labels[number][window][ink] = kinds[number] + 1
    noise = rng.integers(0, 60, images.shape, dtype=np.uint8)
    return np.maximum(images, noise), labels


def mean_iou(found: Int64[np.ndarray, "N H W"], right: Int64[np.ndarray, "N H W"]) -> float:
    """Intersection over union of each class over all pixels of all images, the mean over the
    classes that occur."""
    count = len(CLASSES)
    table = np.bincount(right.ravel() * count + found.ravel(), minlength=count**2)
    table = table.reshape(count, count)
    either = table.sum(axis=0) + table.sum(axis=1) - table.diagonal()
    return float((table.diagonal()[either > 0] / either[either > 0]).mean())


def labeller(
    facts: Mapping[str, Any], channels: Sequence[int], width: int, steps: int
) -> nn.Module:
    """One small network that is applied ``steps`` times."""
    classes = len(facts["classes"])
    encoder = conv_encoder(
        2, facts["shape"][0] + classes, channels, width=width, pool=1, norm=False
    )
    return Refine(nn.Sequential(encoder, DensePixel(channels[-1], classes)), classes, steps)


class SceneLabels(Task):
    """Label maps of overlapping digits, by one, two and three steps of the same small network."""

    name = "scene-labels"
    about = "class of each pixel of overlapping digits; mean IoU of 11 classes"
    inputs = ("image",)
    systems = tuple(
        System(
            f"refine-{steps}",
            f"Refine(steps {steps}) -> DensePixel",
            "rCNN: Pinheiro & Collobert, ICML 2014",
            labeller,
            {"channels": [32, 32], "width": 5, "steps": steps},
        )
        for steps in (3, 2, 1)
    )
    recipe = recipe(epochs=12, lr=5e-3, batch_size=16)
    quick_recipe = {"epochs": 2}  # noqa: RUF012
    sizes = Sizes(2000, 150, 400)
    quick_sizes = Sizes(96, 24, 32)
    shown = ("miou", "pixels")
    targets = (
        Target(
            "mean IoU rises over steps 1, 2, 3",
            lambda m: m["refine-1"]["miou"] < m["refine-2"]["miou"] < m["refine-3"]["miou"],
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            image, label = composed_digits(split, count, rng)
            return {"image": image, "label": label}

        return draw_splits(draw, seed, sizes, {"shape": [1, SIDE, SIDE], "classes": list(CLASSES)})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return refinement_loss(self.call(module, batch).float(), batch["label"])

    def maps(
        self, module: nn.Module, examples: Examples, device: torch.device
    ) -> Int64[np.ndarray, "N H W"]:
        """The likeliest class of each pixel after the last step."""
        return self.outputs(module, examples, device)[:, -1].argmax(axis=1)

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.maps(module, examples, device), examples["label"])

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        test = data.test

        def grey() -> Metrics:
            """The most frequent class of each grey value."""
            count = len(CLASSES)
            pairs = data.train["image"].ravel().astype(np.int64) * count
            table = np.bincount(pairs + data.train["label"].ravel(), minlength=256 * count)
            usual = table.reshape(256, count).argmax(axis=1)
            return _judged(usual[test["image"][:, 0]], test["label"])

        return {"pixel alone": grey}

    def tell(
        self,
        module: nn.Module,
        examples: Examples,
        facts: Mapping[str, Any],
        device: torch.device,
        out: Path | None,
    ) -> list[str]:
        found = self.maps(module, examples, device)[0]
        counts = np.bincount(found.ravel(), minlength=len(CLASSES))
        lines = [f"{facts['classes'][k]}: {n} pixels" for k, n in enumerate(counts) if n]
        if out is not None:
            picture = PALETTE[found].transpose(2, 0, 1)
            lines.append(f"{write_png(out, picture, zoom=8)}: label map")
        return lines


def _judged(found: np.ndarray, right: np.ndarray) -> Metrics:
    return {"miou": mean_iou(found, right), "pixels": float((found == right).mean())}
