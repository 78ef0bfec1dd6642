"""Captions of regions: a phrase for each given box of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from danq.core import Mlp, RegionAlign, SequenceDecoder, conv_encoder, greedy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_rows
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.shape_images import COLOURS, SHAPES, dark_images, paint
from danq.vision.model_blocks import next_word_loss
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    at_least,
    task_recipe,
)
from danq.vision.vocabulary import END, START, Vocabulary, without_special

SIDE, REGIONS, LENGTH = 40, 4, 7
LARGE = 5.0
"""Least radius in pixels of an object that is called large."""

Boxes = Float[np.ndarray, "N R 4"]
Phrases = Sequence[tuple[int, ...]]
VOCABULARY = Vocabulary(["a", "large", "small", *COLOURS, *SHAPES])


def described_regions(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], Boxes, list[list[str]]]:
    """Draw images of four objects, one in each quarter; some of them touch.

    Returns
    -------
    Images; a box (x0, y0, x1, y1 as shares of the side) around each object, up to 2 pixels wider
    on each side; and a phrase for each.
    """
    images = dark_images(count, SIDE, rng)
    boxes = np.empty((count, REGIONS, 4), np.float32)
    phrases = []
    names = list(COLOURS)
    for number in range(count):
        row = []
        for index, corner in enumerate(rng.permutation(REGIONS)):
            y, x = np.array(divmod(int(corner), 2)) * SIDE / 2 + rng.uniform(7, SIDE / 2 - 7, 2)
            large = rng.random() < 0.5
            radius = rng.uniform(LARGE + 0.3, LARGE + 2) if large else rng.uniform(2.8, LARGE - 0.3)
            shape, colour = SHAPES[rng.integers(len(SHAPES))], names[rng.integers(len(names))]
            paint(images[number], shape, colour, y, x, radius)
            margin = rng.uniform(0.0, 2.0, 4)
            box = np.array([x, y, x, y]) + (radius + margin) * [-1, -1, 1, 1] + 0.5
            boxes[number, index] = (box / SIDE).clip(0, 1)
            row.append(f"a {'large' if large else 'small'} {colour} {shape}")
        phrases.append(row)
    return images, boxes, phrases


class RegionCaptioner(nn.Module):
    """Image encoder, aligned regions, a decoder that writes a phrase for each.

    Parameters
    ----------
    metadata
        Shape of the images, vocabulary and length of the phrases.
    channels, pools
        Channels of the stages of the image encoder, and the number of first stages that halve
        the map.
    size
        Cells of a region along each side; 0 replaces every region by the whole image.
    features, embedding, hidden
        Widths of a region, of the word embedding, and of the decoder's state.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        pools: int,
        size: int,
        features: int,
        embedding: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.length = metadata["length"]
        halved = conv_encoder(2, metadata["shape"][0], channels[:pools])
        kept = conv_encoder(2, channels[pools - 1], channels[pools:], pool=1)
        self.encoder = nn.Sequential(halved, kept)
        self.align = RegionAlign(size) if size else None
        cells = max(1, size)
        # The normalisation gives a region the scale of the word embedding.
        self.dense = nn.Sequential(
            Mlp(channels[-1] * cells**2 + 4, (features,)), nn.LayerNorm(features)
        )
        self.decoder = SequenceDecoder(
            features, len(metadata["vocabulary"]), embedding=embedding, hidden=hidden
        )

    def memory(
        self, image: Float[Tensor, "B 3 H W"], boxes: Float[Tensor, "B R 4"]
    ) -> Float[Tensor, "M 1 F"]:
        """One token for each region of each image, ``M = B R``."""
        return self.tokens(self.encoder(image), boxes)

    def tokens(
        self, maps: Float[Tensor, "B F h w"], boxes: Float[Tensor, "B R 4"]
    ) -> Float[Tensor, "M 1 F"]:
        """One token for each region of each map of the encoder, ``M = B R``."""
        if self.align is None:
            regions = maps.mean(dim=(2, 3)).unsqueeze(1).expand(-1, boxes.shape[1], -1)
        else:
            regions = self.align(maps, boxes).flatten(2)
        return self.dense(torch.cat([regions, boxes], dim=2)).flatten(0, 1).unsqueeze(1)

    def forward(
        self,
        image: Float[Tensor, "B 3 H W"],
        boxes: Float[Tensor, "B R 4"],
        words: Int[Tensor, "B R S"],
    ) -> Float[Tensor, "B R S V"]:
        logits = self.decoder(self.memory(image, boxes), words.flatten(0, 1))
        return logits.unflatten(0, words.shape[:2])

    def write(
        self, image: Float[Tensor, "B 3 H W"], boxes: Float[Tensor, "B R 4"]
    ) -> list[tuple[int, ...]]:
        """Words of the phrase of each region, ordered by image."""
        state = self.decoder.begin(self.memory(image, boxes))
        phrases = greedy(self.decoder.step, state, start=START, end=END, limit=self.length)
        return [phrase.symbols for phrase in phrases]


_HYPERPARAMETERS = {
    "channels": [16, 32, 48],
    "pools": 2,
    "features": 96,
    "embedding": 24,
    "hidden": 64,
}


class Regions(Task):
    """A phrase for each of 4 given boxes of an image; share of correct phrases."""

    name = "regions"
    fields = layout(image="uint8 C H W", boxes="float32 R D", words="int64 R S")
    inputs = ("image", "boxes", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "densecap",
            "given boxes -> RoIAlign -> SequenceDecoder",
            "DenseCap: Johnson et al., CVPR 2016, without its detector",
            RegionCaptioner,
            _HYPERPARAMETERS | {"size": 4},
        ),
        ModelDefinition(
            "whole-image",
            "mean of the map, given boxes -> SequenceDecoder",
            "without RoIAlign",
            RegionCaptioner,
            _HYPERPARAMETERS | {"size": 0},
            {"epochs": 4},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count")
    recipe = task_recipe(epochs=12, lr=3e-3, batch_size=16)
    quick_epochs = 4
    sizes = Sizes(3000, 100, 300)
    quick_sizes = Sizes(400, 32, 48)
    reported_metrics = ("exact",)
    targets = (
        Target("90 % correct phrases", at_least("exact", "densecap", 0.9)),
        Target(
            "above the phrase of the nearest crop", above("exact", ["densecap"], ["nearest crop"])
        ),
    )

    def metadata(self) -> dict[str, Any]:
        words = list(VOCABULARY.words)
        return {"shape": [3, SIDE, SIDE], "vocabulary": words, "length": LENGTH}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        words = (None, metadata["length"])
        return {"image": metadata["shape"], "boxes": (None, 4), "words": words}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, boxes, phrases = described_regions(count, rng)
        words = [
            VOCABULARY.encode_all([p.split() for p in row], LENGTH, ends=True) for row in phrases
        ]
        return {"image": images, "boxes": boxes, "words": np.stack(words)}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        logits = module(batch["image"], batch["boxes"], words[..., :-1])
        return next_word_loss(logits.flatten(0, 1), words.flatten(0, 1))

    def outputs(self, module: nn.Module, examples: Examples) -> Phrases:
        """Words of the phrase of each region."""
        assert isinstance(module, RegionCaptioner)
        batches = evaluation_batches(module, examples)
        return [row for part in batches for row in module.write(part["image"], part["boxes"])]

    def score(self, predictions: Phrases, examples: Examples) -> Metrics:
        true = _phrases(examples)
        return {"exact": float(np.mean([a == b for a, b in zip(predictions, true, strict=True)]))}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            known = _phrases(data.train)
            crops = [region_crops(e["image"], e["boxes"]) for e in (data.train, data.test)]
            near = nearest_rows(*crops)
            return self.score([known[row] for row in near], data.test)

        return {"nearest crop": nearest}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        """Read an image; ``text`` has the boxes in pixels, ``x0,y0,x1,y1 x0,y0,x1,y1``."""
        clip = read_clip(source)
        height, width = clip.shape[2:]
        try:
            rows = [[float(n) for n in box.split(",")] for box in (text or "").split()]
            boxes = np.array(rows, np.float32) / [width, height, width, height]
        except ValueError:
            boxes = np.empty(0)
        fits = boxes.ndim == 2 and (boxes >= 0).all() and (boxes <= 1).all()
        if not fits or not (boxes[:, :2] < boxes[:, 2:]).all():
            raise InputError(
                f"no boxes within {width} x {height} pixels in '{text or ''}'",
                file=source,
                remedy='Give boxes in pixels as text: "x0,y0,x1,y1 x0,y0,x1,y1"',
            )
        image = fitted(clip, metadata["shape"])[None]
        return Examples({"image": image, "boxes": boxes[None].astype(np.float32)})

    def describe(self, outputs: Phrases, examples: Examples, metadata: Metadata) -> list[str]:
        known = Vocabulary(metadata["vocabulary"])
        return [" ".join(known.decode(row)) for row in outputs]


def _phrases(examples: Examples) -> list[tuple[int, ...]]:
    return [without_special(row) for row in np.concatenate(examples["words"])]


def region_crops(
    images: UInt8[np.ndarray, "N 3 H W"], boxes: Boxes, cells: int = 8
) -> Float[np.ndarray, "M D"]:
    """Pixels of all boxes in [0, 1], resized to 8 x 8."""
    crops = RegionAlign(cells)(torch.from_numpy(images).float() / 255, torch.from_numpy(boxes))
    return crops.flatten(0, 1).flatten(1).numpy()
