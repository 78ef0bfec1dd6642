"""Questions about pictures: the set of the `easy-vqa` package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, Mlp, Multiply, conv_encoder, map_tokens
from danq.errors import InputError
from danq.training.problem import Figures
from danq.vision.blocks import Words, image_cnn
from danq.vision.clips import fitted, read_clip
from danq.vision.examples import Data, Examples, Shared
from danq.vision.task import Classification, Sizes, System, Target, recipe
from danq.vision.words import Vocabulary, split_words

SIDE, LENGTH = 32, 12


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


class MultipliedAnswer(nn.Module):
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
        self.image = image_cnn(facts["shape"], channels, features)
        self.question = Words(len(facts["vocabulary"]), embed, hidden)
        self.fusion = Multiply([features, hidden], features)
        self.head = Classes(Mlp(features, (features,)), len(facts["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        return self.head(self.fusion([self.image(image), self.question(question)]))


class StackedAnswer(nn.Module):
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

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        asked = self.question(question)
        return self.head(asked + self.pool(map_tokens(self.image(image)), None, asked))


class QuestionAlone(nn.Module):
    """The question, without a look at the image."""

    def __init__(self, facts: Mapping[str, Any], *, embed: int, hidden: int) -> None:
        super().__init__()
        self.question = Words(len(facts["vocabulary"]), embed, hidden)
        self.head = Classes(Mlp(hidden, ()), len(facts["classes"]))

    def forward(
        self, image: Float[Tensor, "B 3 H W"], question: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B K"]:
        return self.head(self.question(question))


class VisualQuestions(Classification):
    """Shape and colour of the one thing in a picture, and yes or no."""

    name = "vqa"
    about = "easy-vqa: 48,248 questions about 5,000 pictures, 13 answers"
    inputs = ("image", "question")
    systems = (
        System(
            "vqa",
            "{image}, {tokens -> LSTM} -> Multiply -> Classes",
            "Antol et al., ICCV 2015",
            MultipliedAnswer,
            {"channels": [16, 32, 32], "embed": 32, "hidden": 64, "features": 64},
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
    recipe = recipe(epochs=6, lr=2e-3, batch_size=64)
    quick_recipe = {"epochs": 1}  # noqa: RUF012
    sizes = Sizes(36_000, 2_500, 9_673)
    quick_sizes = Sizes(1000, 100, 200)
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
        images = np.array(questions("train")[2])
        # Pictures of the validation split are in no training question.
        held = rng.permutation(np.unique(images))[: len(np.unique(images)) // 15]
        train, valid = (
            rng.permutation(np.flatnonzero(np.isin(images, held, invert=out)))
            for out in (True, False)
        )
        test = rng.permutation(len(questions("test")[0]))
        parts = {
            "train": ("train", train[: sizes.train]),
            "valid": ("train", valid[: sizes.valid]),
            "test": ("test", test[: sizes.test]),
        }
        splits = {
            split: _examples(source, rows, known, classes)
            for split, (source, rows) in parts.items()
        }
        facts = {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(known.words),
            "classes": classes,
        }
        return Data(facts=facts, **splits)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Figures]]:
        def majority() -> Figures:
            usual = Counter(data.train["label"].tolist()).most_common(1)[0][0]
            return {"accuracy": float((data.test["label"] == usual).mean())}

        return {"most frequent answer": majority}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        if text is None:
            raise InputError(
                "a picture without a question", remedy='Ask with --text "what colour is it?"'
            )
        image = fitted(read_clip(source), facts["shape"])
        asked = Vocabulary(facts["vocabulary"]).encode(split_words(text), LENGTH)
        return Examples({"image": image[None], "question": asked[None]})


def _examples(split: str, rows: np.ndarray, known: Vocabulary, classes: Sequence[str]) -> Examples:
    asked, answers, images = questions(split)
    used, index = np.unique([images[row] for row in rows], return_inverse=True)
    return Examples(
        {
            "image": Shared(pictures(split, used.tolist()), index),
            "question": np.stack([known.encode(asked[row], LENGTH) for row in rows]),
            "label": np.array([classes.index(answers[row]) for row in rows]),
        }
    )


def _package():
    try:
        import easy_vqa
    except ImportError as error:
        raise InputError(
            "the questions come with the package easy-vqa, which is not installed",
            remedy="Install it with pip install 'danq[vision]'",
        ) from error
    return easy_vqa
