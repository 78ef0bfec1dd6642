"""Class of each pixel of a clip, by a network that refines its own label maps over frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn

from danq.core import ClipRefine, DensePixel, Refine, conv_encoder, refinement_loss
from danq.training.problem import Metrics
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.digit_images import draw_digits
from danq.vision.task import Baselines, ModelDefinition, Sizes, Target, Task, above, task_recipe
from danq.vision.tasks.scene_labels import CLASSES, INK

LabelClips = Int64[np.ndarray, "N T H W"]

SIDE, DIGITS, FRAMES = 16, 3, 6
NONE = -1
"""Label of pixels without a class, such as those of padded frames."""
ERASED = 0.1
"""Share of the pixels of a frame that show only the background; their labels remain."""


def moving_digit_labels(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 1 H W"], Bool[np.ndarray, "N T"], LabelClips]:
    """Draw clips of 3 digits that move up to 1.5 pixels per frame, the later ones in front.

    Returns
    -------
    Clips of 3 to 6 frames, 0 at padding; the mask of real frames; and the class of each pixel: 0
    for the background, the digit + 1, `NONE` at padding.
    """
    clips = np.zeros((count, FRAMES, 1, SIDE, SIDE), np.uint8)
    labels = np.zeros((count, FRAMES, SIDE, SIDE), np.int64)
    room = SIDE - 8
    for _ in range(DIGITS):
        digits, kinds = draw_digits(split, count, rng)
        start = rng.random((count, 2)) * room
        step = rng.uniform(-1.5, 1.5, (count, 2))
        for frame in range(FRAMES):
            # Reflection folds the straight path.
            corner = np.rint(room - np.abs((start + frame * step) % (2 * room) - room)).astype(int)
            for number, (y, x) in enumerate(corner):
                ink = digits[number] >= INK
                window = (slice(y, y + 8), slice(x, x + 8))
                clips[number, frame, 0][window][ink] = digits[number][ink]
                labels[number, frame][window][ink] = kinds[number] + 1
    clips[rng.random(clips.shape) < ERASED] = 0
    clips = np.maximum(clips, rng.integers(0, 60, clips.shape, dtype=np.uint8))
    real = np.arange(FRAMES) < rng.integers(FRAMES // 2, FRAMES + 1, (count, 1))
    clips[~real], labels[~real] = 0, NONE
    return clips, real, labels


def class_iou(predictions: Int64[np.ndarray, "..."], labels: Int64[np.ndarray, "..."]) -> float:
    """Intersection over union over all pixels with a class, averaged over the classes."""
    found, right = predictions[labels >= 0], labels[labels >= 0]
    count = int(max(found.max(), right.max())) + 1
    table = np.bincount(right * count + found, minlength=count**2).reshape(count, count)
    either = table.sum(axis=0) + table.sum(axis=1) - table.diagonal()
    return float((table.diagonal()[either > 0] / either[either > 0]).mean())


def clip_labeller(
    metadata: Metadata,
    channels: Sequence[int],
    width: int,
    scales: Sequence[float],
    recurrent: bool,
) -> nn.Module:
    """A small network that is applied to each frame once at each of ``scales``."""
    classes = len(metadata["classes"])
    encoder = conv_encoder(
        2, metadata["shape"][1] + classes, channels, width=width, pool=1, norm=False
    )
    network = nn.Sequential(encoder, DensePixel(channels[-1], classes))
    refine = Refine(network, classes, len(scales), scales=scales)
    return ClipRefine(refine, recurrent=recurrent)


_CNN = {"channels": [24, 24], "width": 5}


class SceneClips(Task):
    """Class of each pixel of a noisy clip of overlapping digits; mean IoU of 11 classes."""

    name = "scene-clips"
    data_source = "made from real digits"
    fields = layout(clip="uint8 T C H W", real="bool T", label="int64 T H W")
    inputs = ("clip", "real")
    models = (
        ModelDefinition(
            "rcnn-rescaled",
            "ClipRefine(scales 1/2, 1) -> DensePixel",
            "rCNN: Pinheiro & Collobert, ICML 2014, with recurrence over frames",
            clip_labeller,
            _CNN | {"scales": [0.5, 1.0], "recurrent": True},
        ),
        ModelDefinition(
            "rcnn",
            "ClipRefine(scales 1, 1) -> DensePixel",
            "rCNN: Pinheiro & Collobert, ICML 2014, without rescaled images",
            clip_labeller,
            _CNN | {"scales": [1.0, 1.0], "recurrent": True},
        ),
        ModelDefinition(
            "frames-rescaled",
            "Refine(scales 1/2, 1) -> DensePixel, each frame alone",
            "rCNN: Pinheiro & Collobert, ICML 2014, on images",
            clip_labeller,
            _CNN | {"scales": [0.5, 1.0], "recurrent": False},
        ),
        ModelDefinition(
            "frames-once",
            "Refine(1 step) -> DensePixel, each frame alone",
            "one plain CNN",
            clip_labeller,
            _CNN | {"scales": [1.0], "recurrent": False},
        ),
    )
    metadata_kinds = layout(shape="sizes", classes="names")
    recipe = task_recipe(epochs=12, lr=1e-2, batch_size=4)
    sizes = Sizes(600, 60, 150)
    quick_sizes = Sizes(64, 16, 24)
    reported_metrics = ("miou", "pixels")
    targets = (
        Target(
            "recurrence over frames above single frames",
            above("miou", ["rcnn-rescaled"], ["frames-rescaled"]),
        ),
        Target("rescaled images above one scale", above("miou", ["rcnn-rescaled"], ["rcnn"])),
        Target("two steps above one", above("miou", ["frames-rescaled"], ["frames-once"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"shape": [FRAMES, 1, SIDE, SIDE], "classes": list(CLASSES)}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        frames, _, *size = metadata["shape"]
        return {"clip": metadata["shape"], "label": [frames, *size]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clip, real, label = moving_digit_labels(split, count, rng)
        return {"clip": clip, "real": real, "label": label}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Cross-entropy of pixels with a class, averaged over frames and steps."""
        logits = self.call(module, batch).float().flatten(0, 1)
        return refinement_loss(logits, batch["label"].flatten(0, 1), ignore=NONE)

    def decode(self, outputs: Float[np.ndarray, "N T S K H W"]) -> LabelClips:
        """The most likely class of each pixel after the last step."""
        return outputs[:, :, -1].argmax(axis=2)

    def score(self, predictions: LabelClips, examples: Examples) -> Metrics:
        labels = examples["label"]
        correct = (predictions == labels)[labels != NONE]
        return {"miou": class_iou(predictions, labels), "pixels": float(correct.mean())}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def majority_of_grey() -> Metrics:
            """The most frequent class of each grey value."""
            count = len(data.metadata["classes"])
            labels, grey = data.train["label"], data.train["clip"][:, :, 0].astype(np.int64)
            pairs = (grey * count + labels)[labels != NONE]
            table = np.bincount(pairs, minlength=256 * count).reshape(256, count)
            return self.score(table.argmax(axis=1)[data.test["clip"][:, :, 0]], data.test)

        return {"single pixel": majority_of_grey}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        clip = fitted(read_clip(source), metadata["shape"])[None]
        return Examples({"clip": clip, "real": np.ones(clip.shape[:2], bool)})

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        """Number of pixels of each class, one line per frame."""
        lines = []
        for number, frame in enumerate(self.decode(outputs)[0]):
            kinds, counts = np.unique(frame, return_counts=True)
            found = (f"{metadata['classes'][k]} {n}" for k, n in zip(kinds, counts, strict=True))
            lines.append(f"frame {number + 1}: {', '.join(found)}")
        return lines
