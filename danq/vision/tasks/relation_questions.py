"""Questions about relations, such as the shape of the object nearest to the red one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, Mlp, conv_encoder, map_tokens, step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.base_tasks import Classification
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.shape_images import COLOURS, paint
from danq.vision.model_blocks import image_cnn
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    at_least,
    at_most,
    task_recipe,
)
from danq.vision.vocabulary import split_words

SIDE, APART = 32, 8
"""Pixels per side, and least distance between two objects."""
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
QUESTIONS_PER_IMAGE = 12
RELATIONAL = ("nearest", "farthest", "count")
"""Kinds of questions about more than one object."""


def scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], Float[np.ndarray, "N 6 2"], Int64[np.ndarray, "N 6"]]:
    """Draw images of six objects, one of each colour; each is a circle or a square.

    Returns
    -------
    Images, and for each colour the centre (row, column) and the index of the shape in `SHAPES`.
    """
    images = np.full((count, 3, SIDE, SIDE), 235, np.uint8)
    centres = np.empty((count, len(NAMES), 2))
    shapes = rng.integers(2, size=(count, len(NAMES)))
    for number in range(count):
        found: list[np.ndarray] = []
        while len(found) < len(NAMES):
            one = rng.uniform(3.5, SIDE - 4.5, 2)
            # Restart at random, because the remaining space may be too small.
            near = [other for other in found if np.hypot(*(one - other)) < APART]
            found = [*found, one] if not near else (found if rng.random() < 0.98 else [])
        centres[number] = found
        for colour, (y, x), shape in zip(NAMES, found, shapes[number], strict=True):
            paint(images[number], SHAPES[shape], colour, y, x, 3.2)
    return images, centres, shapes


def answers(
    centres: Float[np.ndarray, "N 6 2"], shapes: Int64[np.ndarray, "N 6"]
) -> Int64[np.ndarray, "N 6 6"]:
    """Index in `ANSWERS` for each kind of question about each colour."""
    distances = np.linalg.norm(centres[:, :, None] - centres[:, None], axis=-1)
    near = (distances + 1e6 * np.eye(len(NAMES))).argmin(axis=2)
    far = distances.argmax(axis=2)
    shape_of = [np.take_along_axis(shapes, other, axis=1) for other in (near, far)]
    same = (shapes[:, :, None] == shapes[:, None]).sum(axis=2)
    found = [
        ANSWERS.index(SHAPES[0]) + shapes,
        (centres[..., 1] >= (SIDE - 1) / 2).astype(int),
        (centres[..., 0] >= (SIDE - 1) / 2).astype(int),
        *(ANSWERS.index(SHAPES[0]) + shape for shape in shape_of),
        ANSWERS.index("1") + same - 1,
    ]
    return np.stack(found, axis=1).astype(np.int64)


class QuestionEmbedding(nn.Module):
    """Vectors of the kind and object of questions: ``(B, Q, 2) -> (B, Q, F)``."""

    def __init__(self, metadata: Metadata, features: int) -> None:
        super().__init__()
        self.kind = nn.Embedding(len(metadata["questions"]), features)
        self.colour = nn.Embedding(len(metadata["names"]), features)
        self.dense = Mlp(2 * features, (features,))
        self.out_features = features

    def forward(self, question: Int[Tensor, "B Q 2"]) -> Float[Tensor, "B Q F"]:
        kind, colour = question.unbind(dim=2)
        return self.dense(torch.cat([self.kind(kind), self.colour(colour)], dim=2))


class PlainAnswer(nn.Module):
    """One vector of the image concatenated to the question; dense layers."""

    def __init__(
        self, metadata: Metadata, *, channels: Sequence[int], features: int, width: int
    ) -> None:
        super().__init__()
        # The normalisation gives the image the scale of the question.
        self.image = nn.Sequential(
            image_cnn(metadata["shape"], channels, features), nn.BatchNorm1d(features)
        )
        self.question = QuestionEmbedding(metadata, width)
        self.head = Classes(Mlp(features + width, (features, features)), len(metadata["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B Q 2"]
    ) -> Float[Tensor, "B Q K"]:
        query = self.question(question)
        vector = self.image(image).unsqueeze(1).expand(-1, query.shape[1], -1)
        return self.head(torch.cat([vector, query], dim=2))


class AttendedAnswer(nn.Module):
    """Stacked attention from the question to the positions of the image's map."""

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        pools: int,
        width: int,
        attend: int,
        hops: int,
    ) -> None:
        super().__init__()
        first = conv_encoder(2, metadata["shape"][0], channels[:pools])
        rest = conv_encoder(2, channels[pools - 1], channels[pools:], pool=1)
        self.image = nn.Sequential(first, rest)
        self.token = nn.Sequential(Mlp(channels[-1] + 2, (width, width)), nn.LayerNorm(width))
        self.question = QuestionEmbedding(metadata, width)
        self.pool = AttentionPool(width, attend, query_features=width, hops=hops)
        self.head = Classes(Mlp(2 * width, (width, width)), len(metadata["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B Q 2"]
    ) -> Float[Tensor, "B Q K"]:
        maps = self.image(image)
        tokens = self.token(torch.cat([map_tokens(maps), _positions(maps)], dim=2))
        query = self.question(question)
        rows, questions = query.shape[:2]
        every = tokens.unsqueeze(1).expand(-1, questions, -1, -1).flatten(0, 1)
        found = self.pool(every, None, query.flatten(0, 1)).unflatten(0, (rows, questions))
        return self.head(torch.cat([found, query], dim=2))


class ModulatedBlock(nn.Module):
    """Residual convolutions whose channels a question scales and shifts."""

    def __init__(self, channels: int, query: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + 2, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulation = nn.Linear(query, 2 * channels)

    def forward(
        self,
        x: Float[Tensor, "M F H W"],
        grid: Float[Tensor, "M 2 H W"],
        query: Float[Tensor, "M Q"],
    ) -> Float[Tensor, "M F H W"]:
        x = self.first(torch.cat([x, grid], dim=1)).relu()
        scale, shift = self.modulation(query)[..., None, None].chunk(2, dim=1)
        return x + (self.norm(self.conv(x)) * (1 + scale) + shift).relu()


class ModulatedAnswer(nn.Module):
    """Residual blocks over the image's map, modulated by the question; maximum over positions.

    Notes
    -----
    FiLM of Perez et al., AAAI 2018.
    """

    def __init__(
        self, metadata: Metadata, *, channels: Sequence[int], width: int, blocks: int
    ) -> None:
        super().__init__()
        self.image = conv_encoder(2, metadata["shape"][0], channels)
        self.question = QuestionEmbedding(metadata, width)
        self.blocks = nn.ModuleList(ModulatedBlock(channels[-1], width) for _ in range(blocks))
        self.head = Classes(Mlp(channels[-1], (2 * width,)), len(metadata["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B Q 2"]
    ) -> Float[Tensor, "B Q K"]:
        maps, query = self.image(image), self.question(question)
        rows, questions = query.shape[:2]
        grid = _positions(maps).transpose(1, 2).unflatten(2, maps.shape[2:])
        x, grid = (
            one.unsqueeze(1).expand(-1, questions, -1, -1, -1).flatten(0, 1) for one in (maps, grid)
        )
        for block in self.blocks:
            x = block(x, grid, query.flatten(0, 1))
        return self.head(x.amax(dim=(2, 3))).unflatten(0, (rows, questions))


def _positions(maps: Float[Tensor, "B F H W"]) -> Float[Tensor, "B N 2"]:
    """Row and column of each position, from -1 to 1."""
    rows, columns = (torch.linspace(-1, 1, n, device=maps.device) for n in maps.shape[2:])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1)
    return grid.flatten(0, 1).to(maps.dtype).expand(len(maps), -1, -1)


class Relations(Classification):
    """Questions about six objects in an image; accuracy on relations and on single objects."""

    name = "relations"
    fields = layout(image="uint8 C H W", question="int64 Q D", label="int64 Q")
    inputs = ("image", "question")
    models = (
        ModelDefinition(
            "film",
            "{map}, {question} -> residual Conv(2) modulated by the question -> Max -> Classes",
            "FiLM: Perez et al., AAAI 2018; questions of Santoro et al., NIPS 2017",
            ModulatedAnswer,
            {"channels": [32, 48], "width": 64, "blocks": 3},
            # With a rate of 3e-3, it does not learn which colour is where.
            {"epochs": 24, "lr": 7e-4, "batch_size": 8},
        ),
        ModelDefinition(
            "attention",
            "{map}, {question} -> AttentionPool(query, hops=3) -> Classes",
            "Yang et al., CVPR 2016; questions of Santoro et al., NIPS 2017",
            AttendedAnswer,
            {"channels": [24, 32, 48, 48], "pools": 2, "width": 48, "attend": 64, "hops": 3},
        ),
        ModelDefinition(
            "plain",
            "{image}, {question} -> Concat -> Mlp -> Classes",
            "CNN + MLP of Santoro et al., NIPS 2017",
            PlainAnswer,
            {"channels": [24, 32, 48], "features": 128, "width": 64},
        ),
    )
    metadata_kinds = layout(
        shape="sizes", classes="names", questions="patterns", names="names", relational="names"
    )
    recipe = task_recipe(epochs=16, lr=3e-3, batch_size=32)
    quick_epochs = 2
    sizes = Sizes(3000, 200, 400)
    quick_sizes = Sizes(96, 24, 32)
    reported_metrics = ("relational", "single")
    targets = (
        Target(
            "FiLM 8 points above plain on relations",
            lambda m: m["film"]["relational"] - m["plain"]["relational"] - 0.08,
        ),
        Target("FiLM: 90 % on single objects", at_least("single", "film", 0.9)),
        Target("plain at most 70 % on relations", at_most("relational", "plain", 0.70)),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [3, SIDE, SIDE],
            "classes": list(ANSWERS),
            "questions": QUESTIONS,
            "names": list(NAMES),
            "relational": list(RELATIONAL),
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "question": (None, 2)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        kinds_and_names = (len(metadata["questions"]), len(metadata["names"]))
        return {**super().symbols(metadata, split), "question": kinds_and_names}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, centres, shapes = scenes(count, rng)
        every = answers(centres, shapes).reshape(len(images), -1)
        numbers = np.broadcast_to(np.arange(every.shape[1]), every.shape)
        drawn = rng.permuted(numbers, axis=1)[:, :QUESTIONS_PER_IMAGE]
        question = np.stack(np.divmod(drawn, len(NAMES)), axis=2)
        label = np.take_along_axis(every, drawn, axis=1)
        return {"image": images, "question": question, "label": label}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return step_cross_entropy(self.call(module, batch).float(), batch["label"])

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        correct = predictions == examples["label"]
        metadata, kinds = examples.metadata, examples["question"][..., 0]
        relational = np.array([name in metadata["relational"] for name in metadata["questions"]])
        groups = {"relational": relational[kinds], "single": ~relational[kinds]}
        return {name: float(correct[group].mean()) for name, group in groups.items() if group.any()}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def majority() -> Metrics:
            kinds, test_kinds = (s["question"][..., 0] for s in (data.train, data.test))
            best = [
                np.bincount(data.train["label"][kinds == kind]).argmax()
                for kind in range(len(QUESTIONS))
            ]
            return self.score(np.array(best)[test_kinds], data.test)

        return {"most frequent answer": majority}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        words, patterns = split_words(text or ""), metadata["questions"].values()
        found = [
            (len(asked), kind, number)
            for kind, pattern in enumerate(patterns)
            for number, name in enumerate(metadata["names"])
            if (asked := split_words(pattern.replace("{}", name))) == words[: len(asked)]
        ]
        if found:
            image = super().read_input(source, metadata, text)["image"]
            return Examples({"image": image, "question": np.array([[max(found)[1:]]])})
        known = "; ".join(pattern.replace("{}", "NAME") for pattern in patterns)
        raise InputError(
            f"'{text or ''}' is none of the questions",
            remedy=f"Give one of these as text: {known}; NAME is one of "
            f"{', '.join(metadata['names'])}",
        )
