"""Which shape is nearest to the red one? Questions that take more than one thing to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, Mlp, conv_encoder, map_tokens, step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import image_cnn
from danq.vision.clips import fitted, read_clip
from danq.vision.examples import Data, Examples
from danq.vision.scenes import COLOURS, paint
from danq.vision.task import ROUND, Classification, Sizes, System, Target, draw_splits, recipe
from danq.vision.words import split_words

SIDE, APART = 32, 8
"""Pixels of a side, and between any two things."""
NAMES = tuple(COLOURS)
SHAPES = ("circle", "square")
ANSWERS = ("yes", "no", *SHAPES, *(str(k) for k in range(1, len(NAMES) + 1)))
QUESTIONS = {
    "shape of": "what shape is the {}",
    "left": "is the {} on the left",
    "top": "is the {} at the top",
    "nearest": "what shape is nearest to the {}",
    "farthest": "what shape is farthest from the {}",
    "count": "how many have the shape of the {}",
}
ASKED = 12
"""Questions about each picture."""
RELATIONAL = 3
"""Number of the first question about more than one thing."""


def scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], Float[np.ndarray, "N 6 2"], Int64[np.ndarray, "N 6"]]:
    """Pictures of six things, one of each colour, each a circle or a square.

    Returns
    -------
    Pictures, centres (row, column), and number of the shape in `SHAPES`; one row a colour.
    """
    images = np.full((count, 3, SIDE, SIDE), 235, np.uint8)
    places = np.empty((count, len(NAMES), 2))
    shapes = rng.integers(2, size=(count, len(NAMES)))
    for number in range(count):
        taken: list[np.ndarray] = []
        while len(taken) < len(NAMES):
            one = rng.uniform(3.5, SIDE - 4.5, 2)
            # Begin anew where there is no room left.
            near = [other for other in taken if np.hypot(*(one - other)) < APART]
            taken = [*taken, one] if not near else (taken if rng.random() < 0.98 else [])
        places[number] = taken
        for colour, place, shape in zip(NAMES, taken, shapes[number], strict=True):
            paint(images[number], SHAPES[shape], colour, place[0], place[1], 3.2)
    return images, places, shapes


def answers(
    places: Float[np.ndarray, "N 6 2"], shapes: Int64[np.ndarray, "N 6"]
) -> Int64[np.ndarray, "N 6 6"]:
    """Number in `ANSWERS` for each kind of question about each colour."""
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    near = (gaps + 1e6 * np.eye(len(NAMES))).argmin(axis=2)
    far = gaps.argmax(axis=2)
    shape_of = [np.take_along_axis(shapes, other, axis=1) for other in (near, far)]
    alike = (shapes[:, :, None] == shapes[:, None]).sum(axis=2)
    found = [
        ANSWERS.index(SHAPES[0]) + shapes,
        (places[..., 1] >= (SIDE - 1) / 2).astype(int),
        (places[..., 0] >= (SIDE - 1) / 2).astype(int),
        *(ANSWERS.index(SHAPES[0]) + shape for shape in shape_of),
        ANSWERS.index("1") + alike - 1,
    ]
    return np.stack(found, axis=1).astype(np.int64)


class Asked(nn.Module):
    """Kind and colour of questions as vectors: ``(B, Q, 2) -> (B, Q, F)``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.kind = nn.Embedding(len(QUESTIONS), features)
        self.colour = nn.Embedding(len(NAMES), features)
        self.dense = Mlp(2 * features, (features,))
        self.out_features = features

    def forward(self, question: Int[Tensor, "B Q 2"]) -> Float[Tensor, "B Q F"]:
        kind, colour = question.unbind(dim=2)
        return self.dense(torch.cat([self.kind(kind), self.colour(colour)], dim=2))


class PlainAnswer(nn.Module):
    """One vector of the picture beside the question, then dense layers."""

    def __init__(
        self, facts: Mapping[str, Any], *, channels: Sequence[int], features: int, width: int
    ) -> None:
        super().__init__()
        # Normalised, the picture counts as much as the question from the first.
        self.image = nn.Sequential(
            image_cnn(facts["shape"], channels, features), nn.BatchNorm1d(features)
        )
        self.question = Asked(width)
        self.head = Classes(Mlp(features + width, (features, features)), len(facts["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B Q 2"]
    ) -> Float[Tensor, "B Q K"]:
        asked = self.question(question)
        seen = self.image(image).unsqueeze(1).expand(-1, asked.shape[1], -1)
        return self.head(torch.cat([seen, asked], dim=2))


class AttendedAnswer(nn.Module):
    """The question asks the map's positions in hops: what one hop finds asks in the next."""

    def __init__(
        self,
        facts: Mapping[str, Any],
        *,
        channels: Sequence[int],
        pools: int,
        width: int,
        attend: int,
        hops: int,
    ) -> None:
        super().__init__()
        first = conv_encoder(2, facts["shape"][0], channels[:pools])
        rest = conv_encoder(2, channels[pools - 1], channels[pools:], pool=1)
        self.image = nn.Sequential(first, rest)
        self.token = nn.Sequential(Mlp(channels[-1] + 2, (width, width)), nn.LayerNorm(width))
        self.question = Asked(width)
        self.pool = AttentionPool(width, attend, query_features=width, hops=hops)
        self.head = Classes(Mlp(2 * width, (width, width)), len(facts["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B Q 2"]
    ) -> Float[Tensor, "B Q K"]:
        maps = self.image(image)
        tokens = self.token(torch.cat([map_tokens(maps), _places(maps)], dim=2))
        asked = self.question(question)
        rows, questions = asked.shape[:2]
        every = tokens.unsqueeze(1).expand(-1, questions, -1, -1).flatten(0, 1)
        found = self.pool(every, None, asked.flatten(0, 1)).unflatten(0, (rows, questions))
        return self.head(torch.cat([found, asked], dim=2))


def _places(maps: Float[Tensor, "B F H W"]) -> Float[Tensor, "B N 2"]:
    """Row and column of each position, from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, n, device=maps.device) for n in maps.shape[2:])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    return grid.flatten(0, 1).to(maps.dtype).expand(len(maps), -1, -1)


class Relations(Classification):
    """Six kinds of questions about six things, three of them about more than one."""

    name = "relations"
    about = "questions about six things in a picture; accuracy on relations, and on single things"
    inputs = ("image", "question")
    systems = (
        System(
            "attention",
            "{map}, {question} -> AttentionPool(query, hops=3) -> Classes",
            "Yang et al., CVPR 2016; questions of Santoro et al., NIPS 2017",
            AttendedAnswer,
            {
                "channels": [24, 32, 48, 48],
                "pools": 2,
                "width": 48,
                "attend": 64,
                "hops": 3,
            },
        ),
        System(
            "plain",
            "{image}, {question} -> Concat -> Mlp -> Classes",
            "CNN + MLP of Santoro et al., NIPS 2017",
            PlainAnswer,
            {"channels": [24, 32, 48], "features": 128, "width": 64},
        ),
    )
    recipe = recipe(epochs=16, lr=3e-3, batch_size=32)
    quick_recipe = {"epochs": 2}  # noqa: RUF012
    sizes = Sizes(3000, 200, 400)
    quick_sizes = Sizes(96, 24, 32)
    shown = ("relational", "single")
    targets = (
        Target(
            "attention 8 points above plain on relations",
            lambda m: m["attention"]["relational"] >= m["plain"]["relational"] + 0.08,
        ),
        Target("plain at most 70 % on relations", lambda m: m["plain"]["relational"] <= 0.70),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            images, places, shapes = scenes(count, rng)
            right = answers(places, shapes).reshape(len(images), -1)
            every = np.broadcast_to(np.arange(right.shape[1]), right.shape)
            drawn = rng.permuted(every, axis=1)[:, :ASKED]
            question = np.stack(np.divmod(drawn, len(NAMES)), axis=2)
            label = np.take_along_axis(right, drawn, axis=1)
            return {"image": images, "question": question, "label": label}

        return draw_splits(draw, seed, sizes, {"shape": [3, SIDE, SIDE], "classes": list(ANSWERS)})

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return step_cross_entropy(self.call(module, batch).float(), batch["label"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.outputs(module, examples, device).argmax(axis=2), examples)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def usual() -> Metrics:
            known, asked = (split["question"][..., 0] for split in (data.train, data.test))
            best = [
                np.bincount(data.train["label"][known == kind]).argmax()
                for kind in range(len(QUESTIONS))
            ]
            return _judged(np.array(best)[asked], data.test)

        return {"most frequent answer": usual}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        words = split_words(text or "")
        for kind, pattern in enumerate(QUESTIONS.values()):
            for colour, name in enumerate(NAMES):
                if words[: len(pattern.split())] == split_words(pattern.format(name)):
                    image = fitted(read_clip(source), facts["shape"])
                    return Examples(
                        {"image": image[None], "question": np.array([[[kind, colour]]])}
                    )
        known = "; ".join(pattern.format("COLOUR") for pattern in QUESTIONS.values())
        raise InputError(
            f"'{text or ''}' is none of the questions",
            remedy=f"Ask with --text one of: {known}; COLOUR is one of {', '.join(NAMES)}",
        )

    def tell(self, module, examples, facts, device, out) -> list[str]:
        (part,) = examples.rounds(ROUND, device)
        (row,) = self.call(module, part)[0].softmax(dim=1)
        best = row.argsort(descending=True)[:3].tolist()
        return ["  ".join(f"{facts['classes'][k]} {row[k]:.3f}" for k in best)]


def _judged(found: Int64[np.ndarray, "N Q"], examples: Examples) -> Metrics:
    right = found == examples["label"]
    relational = examples["question"][..., 0] >= RELATIONAL
    return {
        "relational": float(right[relational].mean()),
        "single": float(right[~relational].mean()),
    }
