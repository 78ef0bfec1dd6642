"""What is in each box? A phrase for every region of a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import Mlp, RegionAlign, SequenceDecoder, conv_encoder, greedy, step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.clips import fitted, read_clip
from danq.vision.examples import Data, Examples
from danq.vision.scenes import COLOURS, SHAPES, paint
from danq.vision.task import ROUND, Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.words import END, PAD, START, Vocabulary

SIDE, REGIONS, LENGTH = 40, 4, 7
LARGE = 5.0
"""Radius in pixels from which a thing is called large."""

Boxes = Float[np.ndarray, "N R 4"]


def described_regions(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], Boxes, list[list[str]]]:
    """Pictures of four things, one in each quarter, some of which touch; a box around each, as
    loose as a detector's; and a phrase for each."""
    images = np.full((count, 3, SIDE, SIDE), 20, np.uint8)
    images += rng.integers(0, 20, images.shape, dtype=np.uint8)
    boxes = np.empty((count, REGIONS, 4), np.float32)
    phrases = []
    names = list(COLOURS)
    for number in range(count):
        row = []
        for place, corner in enumerate(rng.permutation(REGIONS)):
            y, x = np.array(divmod(int(corner), 2)) * SIDE / 2 + rng.uniform(7, SIDE / 2 - 7, 2)
            large = rng.random() < 0.5
            radius = rng.uniform(LARGE + 0.3, LARGE + 2) if large else rng.uniform(2.8, LARGE - 0.3)
            shape, colour = SHAPES[rng.integers(len(SHAPES))], names[rng.integers(len(names))]
            paint(images[number], shape, colour, y, x, radius)
            loose = rng.uniform(0.0, 2.0, 4)
            box = np.array([x, y, x, y]) + (radius + loose) * [-1, -1, 1, 1] + 0.5
            boxes[number, place] = (box / SIDE).clip(0, 1)
            row.append(f"a {'large' if large else 'small'} {colour} {shape}")
        phrases.append(row)
    return images, boxes, phrases


class RegionCaptioner(nn.Module):
    """Map of a picture -> aligned regions -> a decoder that writes about each.

    Parameters
    ----------
    vocabulary
        Number of words.
    channels, pools
        Of the picture's network: channels of all stages, and how many of them, the first ones,
        halve the map.
    size
        Cells of a region along each side; 0 gives every region the whole picture instead.
    features, embedding, hidden
        Width of a region, of a word, and of the decoder's state.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        channels: Sequence[int],
        pools: int,
        size: int,
        features: int,
        embedding: int,
        hidden: int,
    ) -> None:
        super().__init__()
        halved = conv_encoder(2, 3, channels[:pools])
        kept = conv_encoder(2, channels[pools - 1], channels[pools:], pool=1)
        self.encoder = nn.Sequential(halved, kept)
        self.align = RegionAlign(size) if size else None
        cells = max(1, size)
        # Normalised, a region counts as much as a word from the first.
        self.dense = nn.Sequential(
            Mlp(channels[-1] * cells**2 + 4, (features,)), nn.LayerNorm(features)
        )
        self.decoder = SequenceDecoder(features, vocabulary, embedding=embedding, hidden=hidden)

    def memory(
        self, image: Float[Tensor, "B 3 H W"], boxes: Float[Tensor, "B R 4"]
    ) -> Float[Tensor, "M 1 F"]:
        """One token for each region of each picture, ``M = B R``."""
        maps = self.encoder(image)
        if self.align is None:
            seen = maps.mean(dim=(2, 3)).unsqueeze(1).expand(-1, boxes.shape[1], -1)
        else:
            seen = self.align(maps, boxes).flatten(2)
        return self.dense(torch.cat([seen, boxes], dim=2)).flatten(0, 1).unsqueeze(1)

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
        """Words for each region, picture after picture."""
        state = self.decoder.begin(self.memory(image, boxes))
        found = greedy(self.decoder.step, state, start=START, end=END, limit=LENGTH)
        return [one.symbols for one in found]


def captioner(facts: Mapping[str, Any], **numbers: Any) -> nn.Module:
    """A `RegionCaptioner` for the data's vocabulary."""
    return RegionCaptioner(len(facts["vocabulary"]), **numbers)


_NUMBERS = {
    "channels": [16, 32, 48],
    "pools": 2,
    "features": 96,
    "embedding": 24,
    "hidden": 64,
}


class Regions(Task):
    """A phrase for each of four given boxes."""

    name = "regions"
    about = "a phrase for each of 4 given boxes of a picture; share of true phrases"
    inputs = ("image", "boxes", "words")
    systems = (
        System(
            "densecap",
            "given boxes -> RoIAlign -> SequenceDecoder",
            "DenseCap: Johnson et al., CVPR 2016, without its detector",
            captioner,
            _NUMBERS | {"size": 4},
        ),
        System(
            "whole-picture",
            "mean of the map, given boxes -> SequenceDecoder",
            "without RoIAlign",
            captioner,
            _NUMBERS | {"size": 0},
            {"epochs": 4},
        ),
    )
    recipe = recipe(epochs=12, lr=3e-3, batch_size=16)
    quick_recipe = {"epochs": 4}  # noqa: RUF012
    sizes = Sizes(3000, 100, 300)
    quick_sizes = Sizes(400, 32, 48)
    shown = ("exact",)
    targets = (
        Target("90 % true phrases", lambda m: m["densecap"]["exact"] >= 0.9),
        Target(
            "above the phrase of the nearest crop",
            lambda m: m["densecap"]["exact"] > m["nearest crop"]["exact"],
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        known = Vocabulary(["a", "large", "small", *COLOURS, *SHAPES])

        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            images, boxes, phrases = described_regions(count, rng)
            words = [[known.encode(p.split(), LENGTH, ends=True) for p in row] for row in phrases]
            return {"image": images, "boxes": boxes, "words": np.array(words)}

        return draw_splits(
            draw, seed, sizes, {"shape": [3, SIDE, SIDE], "vocabulary": list(known.words)}
        )

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        logits = module(batch["image"], batch["boxes"], words[..., :-1]).float()
        following = words[..., 1:].flatten(0, 1)
        return step_cross_entropy(logits.flatten(0, 1), following, following != PAD)

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(_phrases(module, examples, device), examples)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def nearest() -> Metrics:
            known, asked = (_crops(split) for split in (data.train, data.test))
            squares = (known**2).sum(axis=1)
            near = (squares - 2 * asked @ known.T).argmin(axis=1)
            words = data.train["words"].reshape(-1, LENGTH)[near]
            return _judged([_bare(row) for row in words], data.test)

        return {"nearest crop": nearest}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
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
                remedy='Say where to look, in pixels: --text "x0,y0,x1,y1 x0,y0,x1,y1"',
            )
        words = np.zeros((1, len(boxes), LENGTH), np.int64)
        image = fitted(clip, facts["shape"])[None]
        return Examples({"image": image, "boxes": boxes[None].astype(np.float32), "words": words})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        known = Vocabulary(facts["vocabulary"])
        return [" ".join(known.decode(row)) for row in _phrases(module, examples, device)]


def _phrases(module: nn.Module, examples: Examples, device: torch.device) -> list[tuple[int, ...]]:
    assert isinstance(module, RegionCaptioner)
    rounds = examples.rounds(ROUND, device)
    return [row for part in rounds for row in module.write(part["image"], part["boxes"])]


def _bare(words: Int64[np.ndarray, " S"]) -> tuple[int, ...]:
    return tuple(int(n) for n in words if n not in (PAD, START, END))


def _crops(examples: Examples, cells: int = 8) -> Float[np.ndarray, "M D"]:
    """Pixels within all boxes, each brought to 8 x 8."""
    images = torch.from_numpy(examples["image"]).float() / 255
    crops = RegionAlign(cells)(images, torch.from_numpy(examples["boxes"]))
    return crops.flatten(0, 1).flatten(1).numpy()


def _judged(found: Sequence[tuple[int, ...]], examples: Examples) -> Metrics:
    right = [_bare(row) for row in examples["words"].reshape(-1, LENGTH)]
    return {"exact": float(np.mean([a == b for a, b in zip(found, right, strict=True)]))}
