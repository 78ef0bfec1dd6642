"""Class of each pixel, by a network that refines its own label map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from colorsys import hsv_to_rgb
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from danq.core import DensePixel, Refine, conv_encoder, refinement_loss
from danq.training.problem import Metrics
from danq.vision.clip_files import write_png
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.task import Baselines, ModelDefinition, Sizes, Symbols, Target, Task, task_recipe

LabelMaps = Int64[np.ndarray, "N H W"]

SIDE, DIGITS = 16, 3
CLASSES = ("background", *(str(k) for k in range(10)))
INK = 80
"""Least grey value of a pixel that belongs to a digit."""
_HEX = "000000 e6194b 3cb44b ffe119 0082c8 f58230 911eb4 46f0f0 f032e6 d2f53c fabed4"


def palette(count: int) -> UInt8[np.ndarray, "K 3"]:
    """RGB colours of classes, all different: first those of the digits, then made ones."""
    colours = [list(bytes.fromhex(code)) for code in _HEX.split()]
    number = 0
    while len(colours) < count:
        # The golden ratio spreads the hues.
        red, green, blue = hsv_to_rgb(
            number * 0.618034 % 1, (0.5, 1.0)[number % 2], 0.95 - 0.35 * (number // 64 % 2)
        )
        colour = [round(255 * value) for value in (red, green, blue)]
        if colour not in colours:
            colours.append(colour)
        number += 1
    return np.array(colours, np.uint8)


def composed_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 1 H W"], LabelMaps]:
    """Draw scenes of 3 digits, the later ones in front, on a noisy background.

    Returns
    -------
    Images, and the class of each pixel: 0 for the background, or the digit + 1.
    """
    images = np.zeros((count, 1, SIDE, SIDE), np.uint8)
    labels = np.zeros((count, SIDE, SIDE), np.int64)
    for _ in range(DIGITS):
        digits, kinds = draw_digits(split, count, rng)
        corners = rng.integers(0, SIDE - 7, (count, 2))
        for number, (y, x) in enumerate(corners):
            ink = digits[number] >= INK
            window = (slice(y, y + 8), slice(x, x + 8))
            images[number, 0][window][ink] = digits[number][ink]
            labels[number][window][ink] = kinds[number] + 1
    noise = rng.integers(0, 60, images.shape, dtype=np.uint8)
    return np.maximum(images, noise), labels


def mean_iou(predictions: LabelMaps, labels: LabelMaps) -> float:
    """Intersection over union over all pixels, averaged over the classes that occur."""
    count = int(max(labels.max(), predictions.max())) + 1
    table = np.bincount(labels.ravel() * count + predictions.ravel(), minlength=count**2)
    table = table.reshape(count, count)
    either = table.sum(axis=0) + table.sum(axis=1) - table.diagonal()
    return float((table.diagonal()[either > 0] / either[either > 0]).mean())


def labeller(metadata: Metadata, channels: Sequence[int], width: int, steps: int) -> nn.Module:
    """A small network that is applied ``steps`` times."""
    classes = len(metadata["classes"])
    encoder = conv_encoder(
        2, metadata["shape"][0] + classes, channels, width=width, pool=1, norm=False
    )
    return Refine(nn.Sequential(encoder, DensePixel(channels[-1], classes)), classes, steps)


class SceneLabels(Task):
    """Class of each pixel of overlapping digits; mean IoU of 11 classes."""

    name = "scene-labels"
    data_source = "made from real digits"
    fields = layout(image="uint8 C H W", label="int64 H W")
    inputs = ("image",)
    models = tuple(
        ModelDefinition(
            f"refine-{steps}",
            f"Refine(steps {steps}) -> DensePixel",
            "rCNN: Pinheiro & Collobert, ICML 2014",
            labeller,
            {"channels": [32, 32], "width": 5, "steps": steps},
        )
        for steps in (3, 2, 1)
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    recipe = task_recipe(epochs=12, lr=5e-3, batch_size=16)
    quick_epochs = 2
    sizes = Sizes(2000, 150, 400)
    quick_sizes = Sizes(96, 24, 32)
    reported_metrics = ("miou", "pixels")
    targets = (
        Target(
            "mean IoU increases over steps 1, 2, 3",
            lambda m: min(
                m["refine-2"]["miou"] - m["refine-1"]["miou"],
                m["refine-3"]["miou"] - m["refine-2"]["miou"],
            ),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [1, SIDE, SIDE], "classes": list(CLASSES)}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "label": metadata["shape"][1:]}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"label": metadata["classes"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        image, label = composed_digits(split, count, rng)
        return {"image": image, "label": label}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return refinement_loss(self.call(module, batch).float(), batch["label"])

    def decode(self, outputs: Float[np.ndarray, "N S K H W"]) -> LabelMaps:
        """The most likely class of each pixel after the last step."""
        return outputs[:, -1].argmax(axis=1)

    def score(self, predictions: LabelMaps, examples: Examples) -> Metrics:
        labels = examples["label"]
        return {
            "miou": mean_iou(predictions, labels),
            "pixels": float((predictions == labels).mean()),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def majority_of_grey() -> Metrics:
            """The most frequent class of each grey value."""
            count = len(CLASSES)
            pairs = data.train["image"].ravel().astype(np.int64) * count
            table = np.bincount(pairs + data.train["label"].ravel(), minlength=256 * count)
            majority = table.reshape(256, count).argmax(axis=1)
            return self.score(majority[data.test["image"][:, 0]], data.test)

        return {"single pixel": majority_of_grey}

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        lines = []
        for labels in self.decode(outputs):
            counts = enumerate(np.bincount(labels.ravel()))
            lines += [f"{metadata['classes'][k]}: {n} pixels" for k, n in counts if n]
        return lines

    def write_output(self, out: Path, outputs: np.ndarray) -> list[str]:
        image = palette(outputs.shape[2])[self.decode(outputs)[0]].transpose(2, 0, 1)
        return [f"{write_png(out, image, zoom=8)}: label map"]
