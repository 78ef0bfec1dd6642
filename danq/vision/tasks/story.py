"""Text questions in the manner of bAbI's first task: people walk about; where is one of them?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, CnnRnn, Concat, Last, Mlp, Recurrent
from danq.errors import InputError
from danq.vision.blocks import Words
from danq.vision.examples import Data, Examples
from danq.vision.task import Classification, Sizes, System, Target, draw_splits, recipe
from danq.vision.tasks.slots import read_lines
from danq.vision.words import PAD, Vocabulary, split_words

PEOPLE = ("daniel", "john", "mary", "sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
MOVES = ("moved to", "went to", "went back to", "journeyed to", "travelled to")
MOST_SENTENCES = 10
STORY_LENGTH, QUESTION_LENGTH = 6 * MOST_SENTENCES, 3


def stories(
    count: int, rng: np.random.Generator
) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """Stories of 2 to 10 sentences, a question about one of the people, its answer."""
    texts, questions, answers = [], [], []
    for _ in range(count):
        where: dict[str, str] = {}
        text: list[str] = []
        for _ in range(2 * int(rng.integers(1, MOST_SENTENCES // 2 + 1))):
            person = PEOPLE[rng.integers(len(PEOPLE))]
            where[person] = PLACES[rng.integers(len(PLACES))]
            move = MOVES[rng.integers(len(MOVES))]
            text += f"{person} {move} the {where[person]}".split()
        asked = list(where)[rng.integers(len(where))]
        texts.append(text)
        questions.append(["where", "is", asked])
        answers.append(where[asked])
    return texts, questions, answers


class MergedStory(nn.Module):
    """Story and question, each by a recurrent layer, side by side, then classes."""

    def __init__(self, words: int, answers: int, *, kind: str, embed: int, hidden: int) -> None:
        super().__init__()
        self.story = Words(words, embed, hidden, kind=kind)
        self.question = Words(words, embed, hidden, kind=kind)
        self.fusion = Concat([hidden, hidden])
        self.head = Classes(Mlp(2 * hidden, (hidden,)), answers)

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        return self.head(self.fusion([self.story(story), self.question(question)]))


class AskedStory(nn.Module):
    """The question is read first, and stands beside every word of the story."""

    def __init__(self, words: int, answers: int, *, kind: str, embed: int, hidden: int) -> None:
        super().__init__()
        self.question = Words(words, embed, hidden, kind=kind)
        self.embedding = nn.Embedding(words, embed, padding_idx=PAD)
        mix = Mlp(embed + hidden, (hidden,))
        rnn = Recurrent(hidden, hidden, kind=kind, bidirectional=False)
        self.body = CnnRnn(mix, rnn, Last(hidden), Classes(Mlp(hidden, ()), answers))

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        asked = self.question(question).unsqueeze(1).expand(-1, story.shape[1], -1)
        return self.body(torch.cat([self.embedding(story), asked], dim=2), story != PAD)


class AttendedStory(nn.Module):
    """The question asks the states of the story's words, in hops (stacked attention)."""

    def __init__(
        self, words: int, answers: int, *, kind: str, embed: int, hidden: int, hops: int
    ) -> None:
        super().__init__()
        self.story = Words(words, embed, hidden, kind=kind, bidirectional=True, pooling=None)
        self.question = Words(words, embed, 2 * hidden, kind=kind)
        self.pool = AttentionPool(2 * hidden, 64, query_features=2 * hidden, hops=hops)
        self.head = Classes(Mlp(2 * hidden, ()), answers)

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        asked = self.question(question)
        found = self.pool(self.story(story), story != PAD, asked)
        return self.head(found + asked)


def _builder(kind: type[nn.Module]):
    def build(facts: Mapping[str, Any], **numbers: Any) -> nn.Module:
        return kind(len(facts["vocabulary"]), len(facts["classes"]), **numbers)

    return build


class StoryQuestions(Classification):
    """Where is Mary? 1,000 training stories, as in bAbI."""

    name = "story"
    about = "bAbI-style QA1: where is a person, after 2 to 10 moves; 1,000 stories, 6 answers"
    inputs = ("story", "question")
    systems = (
        System(
            "asked-gru",
            "{story + question} -> GRU -> Last -> Classes",
            "Keras babi_rnn (merged at every word)",
            _builder(AskedStory),
            {"kind": "gru", "embed": 32, "hidden": 64},
        ),
        System(
            "attention",
            "{story -> BiGRU}, {question -> GRU} -> AttentionPool(query, hops=2) -> Classes",
            "SAN: Yang et al., CVPR 2016, on words",
            _builder(AttendedStory),
            {"kind": "gru", "embed": 32, "hidden": 32, "hops": 2},
        ),
        System(
            "merged-lstm",
            "{story -> LSTM}, {question -> LSTM} -> Concat -> Classes",
            "Weston et al. 2015 (LSTM 50 %)",
            _builder(MergedStory),
            {"kind": "lstm", "embed": 32, "hidden": 64},
        ),
    )
    recipe = recipe(epochs=40, batch_size=32, lr=4e-3)
    quick_recipe = {"epochs": 3}  # noqa: RUF012
    sizes = Sizes(1000, 200, 1000)
    quick_sizes = Sizes(300, 50, 100)
    targets = (
        Target("best of ours at least 95 %", lambda m: _best(m) >= 0.95),
        Target("above the merged LSTM", lambda m: _best(m) > m["merged-lstm"]["accuracy"]),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        moves = " ".join(MOVES).split()
        known = Vocabulary(sorted({"where", "is", "the", *PEOPLE, *PLACES, *moves}))

        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            texts, questions, answers = stories(count, rng)
            return {
                "story": np.stack([known.encode(text, STORY_LENGTH) for text in texts]),
                "question": np.stack([known.encode(q, QUESTION_LENGTH) for q in questions]),
                "label": np.array([PLACES.index(answer) for answer in answers]),
            }

        return draw_splits(
            draw, seed, sizes, {"vocabulary": list(known.words), "classes": list(PLACES)}
        )

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        if text is None:
            raise InputError("a story without a question", remedy='Ask with --text "where is mary"')
        known = Vocabulary(facts["vocabulary"])
        words = split_words(" ".join(read_lines(source)))
        if len(words) > STORY_LENGTH:
            raise InputError(f"{len(words)} words, above {STORY_LENGTH}", file=source)
        story, question = known.encode(words, STORY_LENGTH), split_words(text)
        return Examples(
            {"story": story[None], "question": known.encode(question, QUESTION_LENGTH)[None]}
        )


def _best(means: Mapping[str, Mapping[str, float]]) -> float:
    return max(means[name]["accuracy"] for name in ("asked-gru", "attention"))
