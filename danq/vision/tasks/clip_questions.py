"""Questions about clips, most of which no single frame answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
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
from danq.vision.base_tasks import Classification
from danq.vision.clip_reader import ClipReader, middle_frame
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.generators.event_clips import (
    ACTIONS,
    CLIP_COLOURS,
    FRAMES,
    SIDE,
    STOPS,
    Events,
    event_clips,
)
from danq.vision.generators.shape_images import SHAPES
from danq.vision.model_blocks import TextEncoder
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    above,
    at_least,
    at_most,
    task_recipe,
)
from danq.vision.vocabulary import Vocabulary, split_words

LENGTH = 6
"""Words of the longest question."""
ANSWERS = ("yes", "no", *SHAPES, *CLIP_COLOURS, *ACTIONS, STOPS)
TEMPORAL = {
    "what happens first",
    "what happens last",
    "which shape changes first",
    "which colour changes last",
    "does the {} change",
}
"""Questions that no single frame answers."""
STILL = {"what shape is the {} one", "what colour is the {}"}
WORDS = sorted(
    {word for text in TEMPORAL | STILL for word in split_words(text)} | {*SHAPES, *CLIP_COLOURS}
)


def questions(events: Events, rng: np.random.Generator) -> Iterator[tuple[str, str, bool]]:
    """Yield questions about a clip, their answers, and whether they need several frames."""
    asked, one, other = (int(rng.integers(2)) for _ in range(3))
    first, last = events.objects
    yield "what happens first", events.actions[0], True
    yield "what happens last", events.actions[1], True
    yield "which shape changes first", events.shapes[first], True
    yield "which colour changes last", events.colours[last], True
    changes = "yes" if asked in events.objects else "no"
    yield f"does the {events.shapes[asked]} change", changes, True
    yield f"what shape is the {events.colours[one]} one", events.shapes[one], False
    yield f"what colour is the {events.shapes[other]}", events.colours[other], False


class ClipAnswer(nn.Module):
    """Answers to all questions about each clip, which is encoded once.

    Parameters
    ----------
    metadata
        Shape of the clips, vocabulary of the questions and classes of the answers.
    embed, hidden
        Width of the word embedding, and units of the encoders of questions and clips.
    attend
        Units of the attentions from the question to the frames, and to the positions of the map
        of the middle frame; 0 ignores the clip.
    channels
        Channels of the CNN of frames.
    reader
        Further parameters of `danq.vision.clip_reader.ClipReader`.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        embed: int,
        hidden: int,
        attend: int,
        channels: Sequence[int] = (),
        **reader: Any,
    ) -> None:
        super().__init__()
        self.question = TextEncoder(len(metadata["vocabulary"]), embed, hidden)
        self.head = Classes(Mlp(hidden, (hidden,)), len(metadata["classes"]))
        if attend:
            self.reader = ClipReader(metadata, channels=channels, hidden=hidden, **reader)
            self.frames = AttentionPool(hidden, attend, query_features=hidden)
            self.still = conv_encoder(2, metadata["shape"][1], channels)
            self.positions = AttentionPool(channels[-1], attend, query_features=hidden)
            # As in the questions about images, the clip gets the scale of the question.
            self.norm = nn.BatchNorm1d(hidden + channels[-1])
            self.fusion = Multiply([hidden + channels[-1], hidden], hidden)
        self.attend = attend

    def forward(
        self,
        clip: Float[Tensor, "B T C H W"],
        real: Bool[Tensor, "B T"],
        question: Int[Tensor, "B Q S"],
        asked: Bool[Tensor, "B Q"],
    ) -> Float[Tensor, "B Q K"]:
        """Logits of the answers; zeros without a question."""
        words = self.question(question[asked])
        if self.attend:
            rows = asked.nonzero()[:, 0]
            tokens, mask, _ = self.reader(clip, real)
            places = map_tokens(self.still(middle_frame(clip, real)))
            found = [
                self.frames(tokens[rows], mask[rows], words),
                self.positions(places[rows], None, words),
            ]
            words = self.fusion([self.norm(torch.cat(found, dim=1)), words])
        logits = self.head(words)
        answers = logits.new_zeros(*asked.shape, logits.shape[1])
        answers[asked] = logits
        return answers


_READER = {"channels": [8, 24, 48], "features": 96}
_QUESTION = {"embed": 24, "hidden": 96}
_RIVALS = ("one-frame", "question-only", "most frequent answer")


class ClipQuestions(Classification):
    """Questions about the events of a clip of 7 to 10 frames; accuracy on events and on objects.

    Made data: the clips of `clip-captions`. Questions about events need several frames; those
    about colour and shape of an object need one. Jang et al. (CVPR 2017) attend to frames and to
    the positions of every frame, and read features of pretrained networks; here the attention to
    positions is to those of the middle frame, and the networks are small.
    """

    name = "clip-questions"
    fields = layout(
        clip="uint8 T C H W",
        real="bool T",
        question="int64 Q S",
        asked="bool Q",
        temporal="bool Q",
        label="int64 Q",
    )
    inputs = ("clip", "real", "question", "asked")
    models = (
        ModelDefinition(
            "attention",
            "{Frame -> LSTM}, {map}, {tokens -> LSTM} -> AttentionPool(query) -> Multiply",
            "Jang et al., TGIF-QA, CVPR 2017",
            ClipAnswer,
            _READER | _QUESTION | {"attend": 48},
        ),
        ModelDefinition(
            "one-frame",
            "{middle frame}, {map}, {tokens -> LSTM} -> AttentionPool(query) -> Multiply",
            "without the other frames",
            ClipAnswer,
            _READER | _QUESTION | {"attend": 48, "one_frame": True},
            {"epochs": 6},
        ),
        ModelDefinition(
            "question-only",
            "tokens -> LSTM -> Classes",
            "without the clip",
            ClipAnswer,
            _QUESTION | {"attend": 0},
            {"epochs": 2},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", classes="names", length="count")
    recipe = task_recipe(epochs=24, lr=3e-3, batch_size=32)
    quick_epochs = 3
    sizes = Sizes(3000, 200, 500)
    quick_sizes = Sizes(96, 16, 32)
    reported_metrics = ("temporal", "still")
    targets = (
        Target("85 % on events", at_least("temporal", "attention", 0.85)),
        Target(
            "above one frame, the question alone and the most frequent answer",
            above(
                "temporal", ["attention"], ["one-frame", "question-only", "most frequent answer"]
            ),
        ),
        Target("one frame at most 60 % on events", at_most("temporal", "one-frame", 0.60)),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [FRAMES, 3, SIDE, SIDE],
            "vocabulary": list(Vocabulary(WORDS).words),
            "classes": list(ANSWERS),
            "length": LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        shape = metadata["shape"]
        return {"clip": shape, "real": shape[:1], "question": (None, metadata["length"])}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"label": metadata["classes"], "question": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        clip, real, events = event_clips(count, rng)
        known = Vocabulary(WORDS)
        asked = [list(questions(one, rng)) for one in events]
        texts = [[text.split() for text, _, _ in one] for one in asked]
        label = np.array([[ANSWERS.index(answer) for _, answer, _ in one] for one in asked])
        return {
            "clip": clip,
            "real": real,
            "question": np.stack([known.encode_all(one, LENGTH) for one in texts]),
            "asked": np.ones(label.shape, bool),
            "temporal": np.array([[temporal for _, _, temporal in one] for one in asked]),
            "label": label,
        }

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return step_cross_entropy(logits, batch["label"], batch["asked"])

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        """Shares of correct answers to questions that need several frames, and to the others."""
        correct, asked = predictions == examples["label"], examples["asked"]
        kinds = {"temporal": examples["temporal"], "still": ~examples["temporal"]}
        return {
            name: float(correct[asked & kind].sum() / max(1, (asked & kind).sum()))
            for name, kind in kinds.items()
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def majority() -> Metrics:
            """The most frequent answer to questions with the same first two words."""
            known = {}
            kinds, test_kinds = (split["question"][..., :2] for split in (data.train, data.test))
            for kind in np.unique(kinds[data.train["asked"]], axis=0):
                same = (kinds == kind).all(axis=2) & data.train["asked"]
                known[tuple(kind)] = np.bincount(data.train["label"][same]).argmax()
            found = [[known.get(tuple(kind), 0) for kind in row] for row in test_kinds]
            return self.score(np.array(found), data.test)

        return {"most frequent answer": majority}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        if text is None:
            raise InputError(
                "a clip without a question", remedy='Give a question as text: "what happens first?"'
            )
        known = Vocabulary(metadata["vocabulary"])
        words = known.encode_input(split_words(text), metadata["length"], "question")
        clip = super().read_input(source, metadata, text)["clip"]
        return Examples(
            {
                "clip": clip,
                "real": np.ones(clip.shape[:2], bool),
                "question": words[None, None],
                "asked": np.ones((1, 1), bool),
            }
        )

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        return super().describe(outputs[examples["asked"]], examples, metadata)
