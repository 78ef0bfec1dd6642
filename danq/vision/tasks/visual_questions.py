"""Questions about images: the data of the `easy-vqa` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    Classes,
    KernelAttention,
    LowRankBilinear,
    Mlp,
    Multiply,
    conv_encoder,
    map_tokens,
    step_cross_entropy,
)
from danq.errors import InputError, needs_package
from danq.training.problem import Metrics
from danq.vision.base_tasks import Classification
from danq.vision.clip_files import fitted, read_clip
from danq.vision.dataset import Dataset, Examples, Metadata, layout
from danq.vision.model_blocks import TextEncoder, image_cnn
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
from danq.vision.vocabulary import Vocabulary, split_words

SIDE, LENGTH = 32, 12
MOST_QUESTIONS = 21
"""Largest number of questions about one image."""


@cache
def questions(split: str) -> tuple[list[list[str]], list[str], list[int]]:
    """Words, answer and image number of each question of "train" or "test".

    Raises
    ------
    InputError
        When the package is not installed.
    """
    package = _package()
    texts, answers, numbers = getattr(package, f"get_{split}_questions")()
    return [split_words(text) for text in texts], list(answers), [int(n) for n in numbers]


def images(split: str, numbers: Sequence[int]) -> UInt8[np.ndarray, "M 3 H W"]:
    """Images by their numbers, resized from 64 to 32 pixels per side."""
    paths = getattr(_package(), f"get_{split}_image_paths")()
    shape = (1, 3, SIDE, SIDE)
    return np.stack([fitted(read_clip(paths[number]), shape)[0] for number in numbers])


class Answer(nn.Module):
    """Answers to all questions about each image, which is encoded once."""

    head: nn.Module

    def forward(
        self,
        image: Float[Tensor, "B 3 H W"],
        question: Int[Tensor, "B Q S"],
        asked: Bool[Tensor, "B Q"],
    ) -> Float[Tensor, "B Q K"]:
        """Logits of the answers; zeros without a question."""
        rows = asked.nonzero()[:, 0]
        logits = self.head(self.fused(image, rows, question[asked]))
        answers = logits.new_zeros(*asked.shape, logits.shape[1])
        answers[asked] = logits
        return answers

    def fused(
        self, image: Float[Tensor, "B 3 H W"], rows: Int[Tensor, " M"], question: Int[Tensor, "M S"]
    ) -> Float[Tensor, "M F"]:
        """A vector for each question; ``rows`` are the rows of its image."""
        raise NotImplementedError


class MultipliedAnswer(Answer):
    """Product of one vector of the image and one of the question; classes."""

    def __init__(
        self, metadata: Metadata, *, channels: Sequence[int], embed: int, hidden: int, features: int
    ) -> None:
        super().__init__()
        # As in Antol et al.; without the normalisation the model ignores the image.
        self.image = nn.Sequential(
            image_cnn(metadata["shape"], channels, features), nn.BatchNorm1d(features)
        )
        self.question = TextEncoder(len(metadata["vocabulary"]), embed, hidden)
        self.fusion = Multiply([features, hidden], features)
        self.head = Classes(Mlp(features, (features,)), len(metadata["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        return self.fusion([self.image(image)[rows], self.question(question)])


class StackedAnswer(Answer):
    """Stacked attention from the question to the positions of the image's map."""

    def __init__(
        self, metadata: Metadata, *, channels: Sequence[int], embed: int, hops: int
    ) -> None:
        super().__init__()
        width = channels[-1]
        self.image = conv_encoder(2, metadata["shape"][0], channels)
        self.question = TextEncoder(len(metadata["vocabulary"]), embed, width)
        self.pool = AttentionPool(width, width, query_features=width, hops=hops)
        self.head = Classes(Mlp(width, (width,)), len(metadata["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        words = self.question(question)
        return words + self.pool(map_tokens(self.image(image))[rows], None, words)


class BilinearAnswer(Answer):
    """Bilinear forms of one vector of the image and one of the question; classes.

    Both vectors pass a dense layer with tanh first. Ben-younes et al. also read a pretrained
    image network and attend to its map; both are left out.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        embed: int,
        hidden: int,
        features: int,
        rank: int,
    ) -> None:
        super().__init__()
        width = 2 * features
        self.image = nn.Sequential(
            image_cnn(metadata["shape"], channels, width),
            nn.BatchNorm1d(width),
            nn.Linear(width, features),
            nn.Tanh(),
        )
        words = TextEncoder(len(metadata["vocabulary"]), embed, hidden)
        self.question = nn.Sequential(words, nn.Linear(hidden, features), nn.Tanh())
        self.fusion = LowRankBilinear([features, features], features, rank=rank)
        self.head = Classes(Mlp(features, ()), len(metadata["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        return self.fusion([self.image(image)[rows], self.question(question)])


class KernelAnswer(Answer):
    """The question as a convolution kernel over the map, whose softmax weights the positions.

    The weighted mean of the map, its plain mean and the question are fused by a product. Chen et
    al. fuse them by a sum before a dense layer, and their image network is pretrained.
    """

    def __init__(
        self, metadata: Metadata, *, channels: Sequence[int], embed: int, width: int
    ) -> None:
        super().__init__()
        features = channels[-1]
        self.image = conv_encoder(2, metadata["shape"][0], channels)
        self.question = TextEncoder(len(metadata["vocabulary"]), embed, features)
        self.attention = KernelAttention(features, features, width=width)
        # The normalisation gives the image the scale of the question.
        self.norm = nn.BatchNorm1d(2 * features)
        self.fusion = Multiply([2 * features, features], 2 * features)
        self.head = Classes(Mlp(2 * features, (2 * features,)), len(metadata["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        maps, words = self.image(image)[rows], self.question(question)
        weighted = self.attention(maps, words).sum(dim=(2, 3))
        both = self.norm(torch.cat([weighted, maps.mean(dim=(2, 3))], dim=1))
        return self.fusion([both, words])


class QuestionOnly(Answer):
    """The question without the image."""

    def __init__(self, metadata: Metadata, *, embed: int, hidden: int) -> None:
        super().__init__()
        self.question = TextEncoder(len(metadata["vocabulary"]), embed, hidden)
        self.head = Classes(Mlp(hidden, ()), len(metadata["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        return self.question(question)


class VisualQuestions(Classification):
    """easy-vqa: 48,248 questions about 5,000 images, 13 answers."""

    name = "vqa"
    data_source = "made (easy-vqa)"
    fields = layout(image="uint8 C H W", question="int64 Q S", asked="bool Q", label="int64 Q")
    inputs = ("image", "question", "asked")
    models = (
        ModelDefinition(
            "vqa",
            "{image}, {tokens -> LSTM} -> Multiply -> Classes",
            "Antol et al., ICCV 2015",
            MultipliedAnswer,
            {"channels": [16, 32, 64], "embed": 32, "hidden": 64, "features": 256},
        ),
        ModelDefinition(
            "san",
            "{map}, {tokens -> LSTM} -> AttentionPool(query, hops=2) -> Classes",
            "Yang et al., CVPR 2016",
            StackedAnswer,
            {"channels": [16, 32, 64], "embed": 32, "hops": 2},
        ),
        ModelDefinition(
            "mutan",
            "{image}, {tokens -> LSTM} -> LowRankBilinear(rank=5) -> Classes",
            "Ben-younes et al., ICCV 2017; Kim et al., ICLR 2017",
            BilinearAnswer,
            {"channels": [16, 32, 64], "embed": 32, "hidden": 64, "features": 64, "rank": 5},
            {"epochs": 10},
        ),
        ModelDefinition(
            "abc-cnn",
            "{map}, {tokens -> LSTM} -> KernelAttention(query) -> Multiply -> Classes",
            "Chen et al., ABC-CNN, 2015",
            KernelAnswer,
            {"channels": [16, 32, 64], "embed": 32, "width": 3},
            {"epochs": 10},
        ),
        ModelDefinition(
            "question-only",
            "tokens -> LSTM -> Classes",
            "without the image",
            QuestionOnly,
            {"embed": 32, "hidden": 64},
            {"epochs": 2},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", classes="names", length="count")
    recipe = task_recipe(epochs=16, lr=4e-3, batch_size=32)
    quick_epochs = 4
    sizes = Sizes(3700, 300, 1000)
    quick_sizes = Sizes(200, 20, 40)
    targets = (
        Target("at least 95 % (peer project: 87.6 %)", at_least("accuracy", "vqa", 0.95)),
        Target("attention at least 95 %", at_least("accuracy", "san", 0.95)),
        Target("bilinear fusion at least 95 %", at_least("accuracy", "mutan", 0.95)),
        Target("question as kernel at least 95 %", at_least("accuracy", "abc-cnn", 0.95)),
        Target("question only near 67 %", at_most("accuracy", "question-only", 0.70)),
    )

    def metadata(self) -> dict[str, Any]:
        words, answers, _ = questions("train")
        known = Vocabulary(sorted({word for one in words for word in one}))
        return {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(known.words),
            "classes": sorted(set(answers)),
            "length": LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "question": (None, metadata["length"])}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"label": metadata["classes"], "question": metadata["vocabulary"]}

    def make(self, seed: int, sizes: Sizes) -> Dataset:
        metadata = self.metadata()
        rng = np.random.default_rng(seed)
        train, test = (rng.permutation(np.unique(questions(part)[2])) for part in ("train", "test"))
        return Dataset(
            train=_examples("train", train[: sizes.train], metadata),
            valid=_examples("train", train[len(train) - sizes.valid :], metadata),
            test=_examples("test", test[: sizes.test], metadata),
            metadata=metadata,
        )

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return step_cross_entropy(logits, batch["label"], batch["asked"])

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        """Share of questions whose predicted answer is correct."""
        correct = (predictions == examples["label"])[examples["asked"]]
        return {"accuracy": float(correct.mean())}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def majority() -> Metrics:
            answer = np.bincount(data.train["label"][data.train["asked"]]).argmax()
            return self.score(np.full_like(data.test["label"], answer), data.test)

        return {"most frequent answer": majority}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        if text is None:
            raise InputError(
                "an image without a question",
                remedy='Give a question as text: "what colour is it?"',
            )
        image = super().read_input(source, metadata, text)["image"]
        known = Vocabulary(metadata["vocabulary"])
        words = known.encode_input(split_words(text), metadata["length"], "question")
        return Examples(
            {"image": image, "question": words[None, None], "asked": np.ones((1, 1), bool)}
        )

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        return super().describe(outputs[examples["asked"]], examples, metadata)


def _examples(split: str, numbers: Int64[np.ndarray, " N"], metadata: Metadata) -> Examples:
    known, classes = Vocabulary(metadata["vocabulary"]), metadata["classes"]
    row_of = {int(number): row for row, number in enumerate(numbers)}
    question = np.zeros((len(numbers), MOST_QUESTIONS, LENGTH), np.int64)
    label = np.zeros((len(numbers), MOST_QUESTIONS), np.int64)
    asked = np.zeros((len(numbers), MOST_QUESTIONS), bool)
    for words, answer, image in zip(*questions(split), strict=True):
        if image in row_of:
            index = row_of[image], int(asked[row_of[image]].sum())
            question[index] = known.encode(words, metadata["length"])
            label[index], asked[index] = classes.index(answer), True
    image = images(split, numbers.tolist())
    return Examples({"image": image, "question": question, "asked": asked, "label": label})


def _package():
    with needs_package("the questions are in the package easy-vqa", "vision"):
        import easy_vqa
    return easy_vqa
