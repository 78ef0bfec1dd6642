"""Questions like those of bAbI's first task: the location of a person in a story."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import AttentionPool, Classes, CnnRnn, Concat, Last, Mlp, Recurrent
from danq.errors import InputError
from danq.vision.base_tasks import Classification
from danq.vision.dataset import Examples, Fields, Metadata, layout
from danq.vision.input_files import read_lines
from danq.vision.model_blocks import TextEncoder
from danq.vision.task import ModelDefinition, SeedMetrics, Sizes, Symbols, Target, task_recipe
from danq.vision.vocabulary import PAD, Vocabulary, split_words

PEOPLE = ("daniel", "john", "mary", "sandra")
PLACES = ("bathroom", "bedroom", "garden", "hallway", "kitchen", "office")
MOVES = ("moved to", "went to", "went back to", "journeyed to", "travelled to")
MOST_SENTENCES = 10
STORY_LENGTH, QUESTION_LENGTH = 6 * MOST_SENTENCES, 3
VOCABULARY = Vocabulary(sorted({"where", "is", "the", *PEOPLE, *PLACES, *" ".join(MOVES).split()}))


def stories(
    count: int, rng: np.random.Generator
) -> tuple[list[list[str]], list[list[str]], list[str]]:
    """Draw stories of 2 to 10 sentences, a question about one person each, and its answer."""
    texts, questions, answers = [], [], []
    for _ in range(count):
        where: dict[str, str] = {}
        text: list[str] = []
        for _ in range(2 * int(rng.integers(1, MOST_SENTENCES // 2 + 1))):
            person = PEOPLE[rng.integers(len(PEOPLE))]
            where[person] = PLACES[rng.integers(len(PLACES))]
            move = MOVES[rng.integers(len(MOVES))]
            text += f"{person} {move} the {where[person]}".split()
        person = list(where)[rng.integers(len(where))]
        texts.append(text)
        questions.append(["where", "is", person])
        answers.append(where[person])
    return texts, questions, answers


class MergedStory(nn.Module):
    """A recurrent layer each for story and question; both vectors concatenated; classes."""

    def __init__(self, metadata: Metadata, *, kind: str, embed: int, hidden: int) -> None:
        super().__init__()
        words, answers = len(metadata["vocabulary"]), len(metadata["classes"])
        self.story = TextEncoder(words, embed, hidden, kind=kind)
        self.question = TextEncoder(words, embed, hidden, kind=kind)
        self.fusion = Concat([hidden, hidden])
        self.head = Classes(Mlp(2 * hidden, (hidden,)), answers)

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        return self.head(self.fusion([self.story(story), self.question(question)]))


class ConditionedStory(nn.Module):
    """The vector of the question is concatenated to every word of the story."""

    def __init__(self, metadata: Metadata, *, kind: str, embed: int, hidden: int) -> None:
        super().__init__()
        words, answers = len(metadata["vocabulary"]), len(metadata["classes"])
        self.question = TextEncoder(words, embed, hidden, kind=kind)
        self.embedding = nn.Embedding(words, embed, padding_idx=PAD)
        mix = Mlp(embed + hidden, (hidden,))
        rnn = Recurrent(hidden, hidden, kind=kind, bidirectional=False)
        self.body = CnnRnn(mix, rnn, Last(hidden), Classes(Mlp(hidden, ()), answers))

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        query = self.question(question).unsqueeze(1).expand(-1, story.shape[1], -1)
        return self.body(torch.cat([self.embedding(story), query], dim=2), story != PAD)


class AttendedStory(nn.Module):
    """Stacked attention from the question to the words of the story."""

    def __init__(
        self, metadata: Metadata, *, kind: str, embed: int, hidden: int, hops: int
    ) -> None:
        super().__init__()
        words, answers = len(metadata["vocabulary"]), len(metadata["classes"])
        self.story = TextEncoder(words, embed, hidden, kind=kind, bidirectional=True, pooling=None)
        self.question = TextEncoder(words, embed, 2 * hidden, kind=kind)
        self.pool = AttentionPool(2 * hidden, 64, query_features=2 * hidden, hops=hops)
        self.head = Classes(Mlp(2 * hidden, ()), answers)

    def forward(
        self, story: Int[Tensor, "B S"], question: Int[Tensor, "B Q"]
    ) -> Float[Tensor, "B K"]:
        query = self.question(question)
        answer = self.pool(self.story(story), story != PAD, query)
        return self.head(answer + query)


class StoryQuestions(Classification):
    """bAbI-style QA1: location of a person after 2 to 10 moves; 1,000 stories, 6 answers."""

    name = "story"
    fields = layout(story="int64 S", question="int64 Q", label="int64")
    inputs = ("story", "question")
    models = (
        ModelDefinition(
            "asked-gru",
            "{story + question} -> GRU -> Last -> Classes",
            "Keras babi_rnn (question at every word)",
            ConditionedStory,
            {"kind": "gru", "embed": 32, "hidden": 64},
        ),
        ModelDefinition(
            "attention",
            "{story -> BiGRU}, {question -> GRU} -> AttentionPool(query, hops=2) -> Classes",
            "SAN: Yang et al., CVPR 2016, on words",
            AttendedStory,
            {"kind": "gru", "embed": 32, "hidden": 32, "hops": 2},
        ),
        ModelDefinition(
            "merged-lstm",
            "{story -> LSTM}, {question -> LSTM} -> Concat -> Classes",
            "Weston et al. 2015 (LSTM 50 %)",
            MergedStory,
            {"kind": "lstm", "embed": 32, "hidden": 64},
        ),
    )
    metadata_kinds = layout(
        vocabulary="vocabulary", classes="names", length="count", question_length="count"
    )
    recipe = task_recipe(epochs=40, batch_size=32, lr=4e-3)
    quick_epochs = 3
    sizes = Sizes(1000, 200, 1000)
    quick_sizes = Sizes(300, 50, 100)
    targets = (
        Target("best model at least 95 %", lambda m: _best(m) - 0.95),
        Target("above the merged LSTM", lambda m: _best(m) - m["merged-lstm"]["accuracy"]),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "vocabulary": list(VOCABULARY.words),
            "classes": list(PLACES),
            "length": STORY_LENGTH,
            "question_length": QUESTION_LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"story": (metadata["length"],), "question": (metadata["question_length"],)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        words = metadata["vocabulary"]
        return {"label": metadata["classes"], "story": words, "question": words}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        texts, questions, answers = stories(count, rng)
        return {
            "story": VOCABULARY.encode_all(texts, STORY_LENGTH),
            "question": VOCABULARY.encode_all(questions, QUESTION_LENGTH),
            "label": np.array([PLACES.index(answer) for answer in answers]),
        }

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        if text is None:
            raise InputError(
                "a story without a question", remedy='Give a question as text: "where is mary"'
            )
        known = Vocabulary(metadata["vocabulary"])
        words, question = split_words(" ".join(read_lines(source))), split_words(text)
        story = known.encode_input(words, metadata["length"], "story")
        asked = known.encode_input(question, metadata["question_length"], "question")
        return Examples({"story": story[None], "question": asked[None]})


def _best(seed: SeedMetrics) -> float:
    return max(seed[name]["accuracy"] for name in ("asked-gru", "attention"))
