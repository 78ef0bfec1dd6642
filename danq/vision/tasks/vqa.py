"""Questions about pictures: the set of the `easy-vqa` package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    Mlp,
    Multiply,
    conv_encoder,
    map_tokens,
    step_cross_entropy,
)
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import Words, image_cnn
from danq.vision.clips import fitted, read_clip
from danq.vision.examples import Data, Examples
from danq.vision.task import ROUND, Classification, Sizes, System, Target, recipe
from danq.vision.words import Vocabulary, split_words

SIDE, LENGTH = 32, 12
MOST = 21
"""Questions about one picture."""


@cache
def questions(split: str) -> tuple[list[list[str]], list[str], list[int]]:
    """Words of each question of ``"train"`` or ``"test"``, its answer, and its image's number.

    Raises
    ------
    InputError
        When the package is not installed.
    """
    package = _package()
    asked, answers, images = getattr(package, f"get_{split}_questions")()
    return [split_words(one) for one in asked], list(answers), [int(n) for n in images]


def pictures(split: str, numbers: Sequence[int]) -> UInt8[np.ndarray, "M 3 H W"]:
    """Images of the set by their numbers, brought from 64 to 32 pixels a side."""
    paths = getattr(_package(), f"get_{split}_image_paths")()
    shape = (1, 3, SIDE, SIDE)
    return np.stack([fitted(read_clip(paths[number]), shape)[0] for number in numbers])


class Answer(nn.Module):
    """Answers to all questions about each picture, whose network runs once for all of them."""

    head: nn.Module

    def forward(
        self,
        image: Float[Tensor, "B 3 H W"],
        question: Int[Tensor, "B Q S"],
        asked: Bool[Tensor, "B Q"],
    ) -> Float[Tensor, "B Q K"]:
        """Logits of the answers; zeros where nothing was asked."""
        rows = asked.nonzero()[:, 0]
        logits = self.head(self.fused(image, rows, question[asked]))
        answers = logits.new_zeros(*asked.shape, logits.shape[1])
        answers[asked] = logits
        return answers

    def fused(
        self,
        image: Float[Tensor, "B 3 H W"],
        rows: Int[Tensor, " M"],
        question: Int[Tensor, "M S"],
    ) -> Float[Tensor, "M F"]:
        """A vector for each question about the picture in its row."""
        raise NotImplementedError


class MultipliedAnswer(Answer):
    """Image and question, each as one vector, multiplied; then classes."""

    def __init__(
        self,
        facts: Mapping[str, Any],
        *,
        channels: Sequence[int],
        embed: int,
        hidden: int,
        features: int,
    ) -> None:
        super().__init__()
        # Normalised, as by Antol et al.: else the product falls back on the question alone.
        self.image = nn.Sequential(
            image_cnn(facts["shape"], channels, features), nn.BatchNorm1d(features)
        )
        self.question = Words(len(facts["vocabulary"]), embed, hidden)
        self.fusion = Multiply([features, hidden], features)
        self.head = Classes(Mlp(features, (features,)), len(facts["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        return self.fusion([self.image(image)[rows], self.question(question)])


class StackedAnswer(Answer):
    """The question asks the positions of the image's map, in hops."""

    def __init__(
        self, facts: Mapping[str, Any], *, channels: Sequence[int], embed: int, hops: int
    ) -> None:
        super().__init__()
        width = channels[-1]
        self.image = conv_encoder(2, facts["shape"][0], channels)
        self.question = Words(len(facts["vocabulary"]), embed, width)
        self.pool = AttentionPool(width, width, query_features=width, hops=hops)
        self.head = Classes(Mlp(width, (width,)), len(facts["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        words = self.question(question)
        return words + self.pool(map_tokens(self.image(image))[rows], None, words)


class QuestionAlone(Answer):
    """The question, without a look at the image."""

    def __init__(self, facts: Mapping[str, Any], *, embed: int, hidden: int) -> None:
        super().__init__()
        self.question = Words(len(facts["vocabulary"]), embed, hidden)
        self.head = Classes(Mlp(hidden, ()), len(facts["classes"]))

    def fused(self, image: Tensor, rows: Tensor, question: Tensor) -> Tensor:
        return self.question(question)


class VisualQuestions(Classification):
    """Shape and colour of the one thing in a picture, and yes or no."""

    name = "vqa"
    about = "easy-vqa: 48,248 questions about 5,000 pictures, 13 answers"
    inputs = ("image", "question", "asked")
    systems = (
        System(
            "vqa",
            "{image}, {tokens -> LSTM} -> Multiply -> Classes",
            "Antol et al., ICCV 2015",
            MultipliedAnswer,
            {"channels": [16, 32, 64], "embed": 32, "hidden": 64, "features": 256},
        ),
        System(
            "san",
            "{map}, {tokens -> LSTM} -> AttentionPool(query, hops=2) -> Classes",
            "Yang et al., CVPR 2016",
            StackedAnswer,
            {"channels": [16, 32, 64], "embed": 32, "hops": 2},
        ),
        System(
            "question-alone",
            "tokens -> LSTM -> Classes",
            "without the image",
            QuestionAlone,
            {"embed": 32, "hidden": 64},
            {"epochs": 2},
        ),
    )
    recipe = recipe(epochs=16, lr=4e-3, batch_size=32)
    quick_recipe = {"epochs": 4}  # noqa: RUF012
    sizes = Sizes(3700, 300, 1000)
    quick_sizes = Sizes(200, 20, 40)
    targets = (
        Target("at least 95 % (peer 87.6 %)", lambda m: m["vqa"]["accuracy"] >= 0.95),
        Target("attention at least 95 %", lambda m: m["san"]["accuracy"] >= 0.95),
        Target("question alone near 67 %", lambda m: m["question-alone"]["accuracy"] <= 0.70),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        asked, answers, _ = questions("train")
        known = Vocabulary(sorted({word for one in asked for word in one}))
        classes = sorted(set(answers))
        rng = np.random.default_rng(seed)
        train, test = (rng.permutation(np.unique(questions(part)[2])) for part in ("train", "test"))
        parts = {
            "train": ("train", train[: sizes.train]),
            "valid": ("train", train[len(train) - sizes.valid :]),
            "test": ("test", test[: sizes.test]),
        }
        splits = {
            split: _examples(source, numbers, known, classes)
            for split, (source, numbers) in parts.items()
        }
        facts = {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(known.words),
            "classes": classes,
        }
        return Data(facts=facts, **splits)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return step_cross_entropy(logits, batch["label"], batch["asked"])

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(self.outputs(module, examples, device).argmax(axis=2), examples)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def majority() -> Metrics:
            usual = np.bincount(data.train["label"][data.train["asked"]]).argmax()
            return _judged(np.full_like(data.test["label"], usual), data.test)

        return {"most frequent answer": majority}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        if text is None:
            raise InputError(
                "a picture without a question", remedy='Ask with --text "what colour is it?"'
            )
        image = fitted(read_clip(source), facts["shape"])
        words = Vocabulary(facts["vocabulary"]).encode(split_words(text), LENGTH)
        return Examples(
            {
                "image": image[None],
                "question": words[None, None],
                "asked": np.ones((1, 1), bool),
            }
        )

    def tell(self, module, examples, facts, device, out) -> list[str]:
        (part,) = examples.rounds(ROUND, device)
        (row,) = self.call(module, part)[0].float().softmax(dim=1)
        best = row.argsort(descending=True)[:3].tolist()
        return ["  ".join(f"{facts['classes'][k]} {row[k]:.3f}" for k in best)]


def _examples(
    split: str, numbers: Int64[np.ndarray, " N"], known: Vocabulary, classes: Sequence[str]
) -> Examples:
    row_of = {int(number): row for row, number in enumerate(numbers)}
    question = np.zeros((len(numbers), MOST, LENGTH), np.int64)
    label = np.zeros((len(numbers), MOST), np.int64)
    asked = np.zeros((len(numbers), MOST), bool)
    for words, answer, image in zip(*questions(split), strict=True):
        if image in row_of:
            place = row_of[image], int(asked[row_of[image]].sum())
            question[place] = known.encode(words, LENGTH)
            label[place], asked[place] = classes.index(answer), True
    image = pictures(split, numbers.tolist())
    return Examples({"image": image, "question": question, "asked": asked, "label": label})


def _judged(found: Int64[np.ndarray, "..."], examples: Examples) -> Metrics:
    return {"accuracy": float((found == examples["label"])[examples["asked"]].mean())}


def _package():
    try:
        import easy_vqa
    except ImportError as error:
        raise InputError(
            "the questions come with the package easy-vqa, which is not installed",
            remedy="Install it with pip install 'danq[vision]'",
        ) from error
    return easy_vqa
