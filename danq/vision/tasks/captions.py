"""A picture in words: two shapes and how they stand to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    Hypothesis,
    Mlp,
    SequenceDecoder,
    beam_search,
    conv_encoder,
    greedy,
    map_tokens,
    step_cross_entropy,
)
from danq.training.problem import Metrics
from danq.vision.bleu import bleu
from danq.vision.examples import Data, Examples
from danq.vision.scenes import COLOURS, SHAPES, paint
from danq.vision.task import ROUND, Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.words import END, PAD, START, Vocabulary

SIDE, LENGTH, BEAM = 32, 12, 3
OPPOSITE = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}


def captioned_scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], list[tuple[str, str]]]:
    """Pictures of two shapes, and both ways to say each: from the one and from the other."""
    images = np.full((count, 3, SIDE, SIDE), 20, np.uint8)
    images += rng.integers(0, 20, images.shape, dtype=np.uint8)
    texts = []
    colours = list(COLOURS)
    for image in images:
        things = [
            (SHAPES[rng.integers(len(SHAPES))], colours[rng.integers(len(colours))])
            for _ in range(2)
        ]
        relation = list(OPPOSITE)[rng.integers(4)]
        along, across = rng.integers(7, 10, 2), rng.integers(8, SIDE - 8, 1).repeat(2)
        across = across + rng.integers(-1, 2, 2)
        ends = np.array([along[0], SIDE - 1 - along[1]])
        if relation in ("right of", "below"):
            ends = ends[::-1]
        for number, (shape, colour) in enumerate(things):
            place = (across[number], ends[number])
            y, x = place if "of" in relation else place[::-1]
            paint(image, shape, colour, y, x, rng.uniform(4, 6))
        first, second = (f"a {colour} {shape}" for shape, colour in things)
        texts.append(
            (f"{first} {relation} {second}", f"{second} {OPPOSITE[relation]} {first}"),
        )
    return images, texts


class Captioner(nn.Module):
    """Map of an image -> decoder, with attention over the map or on one vector of it.

    Without attention each position goes through dense layers, as convolutions of width 1, before
    the mean over all of them. The vector is normalised over the batch, since pictures differ by
    little of their mean.
    """

    def __init__(
        self,
        vocabulary: int,
        *,
        channels: Sequence[int],
        embedding: int,
        hidden: int,
        attend: int,
        positions: int,
        width: int = 0,
    ) -> None:
        super().__init__()
        self.encoder = conv_encoder(2, 3, channels)
        features = channels[-1]
        self.place = nn.Parameter(torch.zeros(positions, features))
        self.point = None if attend else Mlp(features, (width, width))
        self.norm = None if attend else nn.BatchNorm1d(width)
        if not attend:
            # A mean forgets places that are not told apart before it.
            nn.init.normal_(self.place)
        pool = AttentionPool(features, attend, query_features=hidden) if attend else None
        self.decoder = SequenceDecoder(
            features if attend else width,
            vocabulary,
            embedding=embedding,
            hidden=hidden,
            attention=pool,
        )

    def memory(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B M F"]:
        """What the decoder reads: the map's positions, or one vector of them all."""
        tokens = map_tokens(self.encoder(image)) + self.place
        if self.point is None or self.norm is None:
            return tokens
        return self.norm(self.point(tokens).mean(dim=1)).unsqueeze(1)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B S V"]:
        return self.decoder(self.memory(image), words)


def captioner(facts: Mapping[str, Any], channels: Sequence[int], **numbers: Any) -> nn.Module:
    """A `Captioner` for the data's pictures and vocabulary."""
    positions = (facts["shape"][1] >> len(channels)) * (facts["shape"][2] >> len(channels))
    return Captioner(len(facts["vocabulary"]), channels=channels, positions=positions, **numbers)


def write(module: nn.Module, image: Float[Tensor, "B 3 H W"], *, width: int) -> list[Hypothesis]:
    """The best caption of each picture that a beam of ``width`` finds; width 1 is greedy."""
    assert isinstance(module, Captioner)
    decoder = module.decoder
    state = decoder.begin(module.memory(image))
    if width == 1:
        return greedy(decoder.step, state, start=START, end=END, limit=LENGTH)
    found = beam_search(
        decoder.step, state, start=START, end=END, limit=LENGTH, width=width, alpha=0.7
    )
    return [rows[0] for rows in found]


_MAP = {"channels": [16, 32, 64], "embedding": 32, "hidden": 96}


class Captions(Task):
    """Captions of two shapes, either of which may be named first."""

    name = "captions"
    about = "two coloured shapes in words; share of true captions, BLEU-4 against both"
    inputs = ("image", "words")
    systems = (
        System(
            "show-attend-tell",
            "map -> SequenceDecoder(attend), beam 3",
            "Xu et al., ICML 2015",
            captioner,
            _MAP | {"attend": 64},
        ),
        System(
            "nic",
            "map -> Mlp -> Mean -> SequenceDecoder, beam 3",
            "Vinyals et al., CVPR 2015 (im2txt)",
            captioner,
            _MAP | {"attend": 0, "width": 256, "embedding": 96, "hidden": 160},
            {"lr": 2e-3, "epochs": 12},
        ),
    )
    recipe = recipe(epochs=20, lr=3e-3, batch_size=16)
    sizes = Sizes(6000, 200, 500)
    quick_sizes = Sizes(200, 32, 48)
    shown = ("exact", "bleu4", "exact_greedy")
    targets = (
        Target("attention: 95 % true captions", lambda m: m["show-attend-tell"]["exact"] >= 0.95),
        Target(
            "both above the nearest picture's caption",
            lambda m: (
                min(m["nic"]["exact"], m["show-attend-tell"]["exact"])
                > m["nearest picture"]["exact"]
            ),
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        relations = " ".join(OPPOSITE).split()
        known = Vocabulary(sorted({"a", *COLOURS, *SHAPES, *relations}))

        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            images, texts = captioned_scenes(count, rng)
            rows = [[known.encode(t.split(), LENGTH, ends=True) for t in pair] for pair in texts]
            both = np.array(rows)
            said = both[np.arange(len(both)), rng.integers(2, size=len(both))]
            return {"image": images, "words": said, "references": both}

        return draw_splits(
            draw, seed, sizes, {"shape": [3, SIDE, SIDE], "vocabulary": list(known.words)}
        )

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        logits = module(batch["image"], words[:, :-1]).float()
        return step_cross_entropy(logits, words[:, 1:], words[:, 1:] != PAD)

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        found: dict[int, list[tuple[int, ...]]] = {1: [], BEAM: []}
        for part in examples.rounds(ROUND, device):
            for width, rows in found.items():
                rows += [one.symbols for one in write(module, part["image"], width=width)]
        figures = self.judged(found[BEAM], examples["references"])
        return figures | {"exact_greedy": self.judged(found[1], examples["references"])["exact"]}

    def judged(
        self, found: Sequence[Sequence[int]], references: Int64[np.ndarray, "N 2 S"]
    ) -> Metrics:
        """Share of captions that are one of their references, and BLEU-4."""
        texts = [[str(n) for n in row] for row in found]
        known = [
            [[str(n) for n in one if n not in (PAD, START, END)] for one in pair]
            for pair in references.tolist()
        ]
        exact = [text in pair for text, pair in zip(texts, known, strict=True)]
        return {"exact": float(np.mean(exact)), "bleu4": bleu(texts, known)}

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def nearest() -> Metrics:
            train, test = (
                split["image"].reshape(len(split), -1).astype(np.float32)
                for split in (data.train, data.test)
            )
            squares = (train**2).sum(axis=1)
            near = (squares - 2 * test @ train.T).argmin(axis=1)
            said = data.train["words"][near]
            found = [[n for n in row if n not in (PAD, START, END)] for row in said.tolist()]
            return self.judged(found, data.test["references"])

        return {"nearest picture": nearest}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        image = super().read(source, facts, text)["image"]
        return Examples({"image": image, "words": np.zeros((1, LENGTH), np.int64)})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        known = Vocabulary(facts["vocabulary"])
        (part,) = examples.rounds(ROUND, device)
        found = write(module, part["image"], width=BEAM)
        return [" ".join(known.decode(one.symbols)) for one in found]
