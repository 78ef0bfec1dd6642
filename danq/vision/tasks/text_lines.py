"""Recognition of lines of digits, by CTC or by a decoder with attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    CnnRnn,
    ColumnEncoder,
    ConvEncoder,
    ConvStage,
    Mlp,
    PerStep,
    Recurrent,
    SequenceDecoder,
    ctc_greedy,
    ctc_loss,
    greedy,
)
from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_rows
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.captcha_images import HEIGHT, LONGEST, SYMBOLS, WIDTH, text_lines
from danq.vision.model_blocks import next_word_loss
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    at_least,
    task_recipe,
)
from danq.vision.vocabulary import END, PAD, START, Vocabulary

LENGTH = LONGEST + 2
"""Symbols of a line, start and end included."""


def line_reader(metadata: Metadata, channels: Sequence[int], hidden: int) -> CnnRnn:
    """Convolutions with three pools in height and two in width; columns; BiLSTM."""
    pools = [(2, 2), (2, 2), (2, 1)]
    stages = [
        ConvStage(2, before, after, 3, padding=1, pool=pool, norm=True)
        for before, after, pool in zip(
            [metadata["shape"][0], *channels], channels, pools, strict=False
        )
    ]
    encoder = ColumnEncoder(ConvEncoder(stages), metadata["shape"][1])
    return CnnRnn(encoder, Recurrent(encoder.out_features, hidden), None, None)


class CtcReader(nn.Module):
    """Columns, BiLSTM, a symbol or the blank at each column."""

    def __init__(self, metadata: Metadata, **hyperparameters: Any) -> None:
        super().__init__()
        self.words = tuple(metadata["vocabulary"])
        self.body = line_reader(metadata, **hyperparameters)
        # The index of the blank is that of padding, 0.
        self.head = PerStep(Mlp(self.body.out_features, ()), len(metadata["vocabulary"]))

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """CTC loss of the line without start and end symbols."""
        target = words[:, 1:].masked_fill(words[:, 1:] == END, PAD)
        logits = self.head(self.body(image)).float()
        return ctc_loss(logits, target, target_mask=target != PAD)

    def transcribe(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Symbols of each line."""
        return ctc_greedy(self.head(self.body(image)).float())


class AttentionReader(nn.Module):
    """Columns, BiLSTM, a decoder with attention to the columns."""

    def __init__(
        self, metadata: Metadata, *, embedding: int, state: int, attend: int, **hyperparameters: Any
    ) -> None:
        super().__init__()
        self.words, self.length = tuple(metadata["vocabulary"]), metadata["length"]
        self.body = line_reader(metadata, **hyperparameters)
        features = self.body.out_features
        pool = AttentionPool(features, attend, query_features=state)
        self.decoder = SequenceDecoder(
            features, len(metadata["vocabulary"]), embedding=embedding, hidden=state, attention=pool
        )

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy of each symbol after those before it."""
        return next_word_loss(self.decoder(self.body(image), words[:, :-1]), words)

    def transcribe(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Symbols of each line."""
        state = self.decoder.begin(self.body(image))
        lines = greedy(self.decoder.step, state, start=START, end=END, limit=self.length)
        return [line.symbols for line in lines]


def edit_distance(first: str, second: str) -> int:
    """Least number of symbols to change, insert or delete (Levenshtein 1966)."""
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(second, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


_BODY = {"channels": [16, 32, 48], "hidden": 64}


class TextLines(Task):
    """Lines of 3 to 5 digits of the captcha package; share of lines without an error."""

    name = "text-lines"
    data_source = "made (captcha)"
    fields = layout(image="uint8 C H W", words="int64 S")
    inputs = ("image", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "crnn",
            "Column -> BiLSTM -> CTC",
            "Shi et al., TPAMI 2017; CTC of Graves et al., ICML 2006",
            CtcReader,
            _BODY,
        ),
        ModelDefinition(
            "attention",
            "Column -> BiLSTM -> SequenceDecoder(attend)",
            "Deng et al. 2016",
            AttentionReader,
            _BODY | {"embedding": 16, "state": 96, "attend": 64},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count", inverted="flag")
    recipe = task_recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(3000, 200, 500)
    quick_sizes = Sizes(96, 16, 32)
    reported_metrics = ("lines", "symbols")
    targets = (
        Target("CTC: 90 % of lines without an error", at_least("lines", "crnn", 0.9)),
        Target(
            "both above equal cuts with 1-NN",
            above("lines", ["crnn", "attention"], ["equal cuts, 1-NN"]),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [1, HEIGHT, WIDTH],
            "vocabulary": list(Vocabulary(SYMBOLS).words),
            "length": LENGTH,
            "inverted": True,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "words": (metadata["length"],)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, texts = text_lines(count, rng)
        return {"image": images, "words": Vocabulary(SYMBOLS).encode_all(texts, LENGTH, ends=True)}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return self.call(module, batch)

    def outputs(self, module: nn.Module, examples: Examples) -> list[str]:
        """Text of each line."""
        assert isinstance(module, CtcReader | AttentionReader)
        batches = evaluation_batches(module, examples)
        rows = [row for part in batches for row in module.transcribe(part["image"])]
        return _texts(rows, module.words)

    def score(self, predictions: Sequence[str], examples: Examples) -> Metrics:
        true = _texts(examples["words"], examples.metadata["vocabulary"])
        pairs = list(zip(predictions, true, strict=True))
        wrong = sum(edit_distance(one, other) for one, other in pairs)
        return {
            "lines": float(np.mean([one == other for one, other in pairs])),
            "symbols": 1 - wrong / sum(len(text) for _, text in pairs),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def cuts() -> Metrics:
            """Each line cut into as many equal parts as it has symbols, and the nearest parts."""
            known, symbols = _parts(data.train)
            queries, _ = _parts(data.test)
            nearest = symbols[nearest_rows(known, queries)]
            texts = _texts(data.test["words"], data.metadata["vocabulary"])
            ends = np.cumsum([0, *map(len, texts)])
            return self.score(["".join(nearest[a:b]) for a, b in pairwise(ends)], data.test)

        return {"equal cuts, 1-NN": cuts}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        image = super().read_input(source, metadata, text)["image"]
        # A user's text is dark on light; training images may be inverted.
        return Examples({"image": 255 - image if metadata["inverted"] else image})

    def describe(self, outputs: list[str], examples: Examples, metadata: Metadata) -> list[str]:
        return outputs


def _texts(rows: Sequence[Sequence[int]] | np.ndarray, words: Sequence[str]) -> list[str]:
    known = Vocabulary(words)
    return ["".join(known.decode(int(n) for n in row)) for row in rows]


def _parts(examples: Examples) -> tuple[Float[np.ndarray, "M D"], np.ndarray]:
    """Equal parts of all lines, resized to one width, and their symbols."""
    texts = _texts(examples["words"], examples.metadata["vocabulary"])
    parts, symbols = [], []
    for image, text in zip(examples["image"][:, 0], texts, strict=True):
        ends = np.linspace(0, image.shape[1], len(text) + 1)
        for start, stop, symbol in zip(ends[:-1], ends[1:], text, strict=True):
            columns = np.linspace(start, stop - 1, 12).round().astype(int)
            parts.append(image[:, columns].ravel())
            symbols.append(symbol)
    return np.array(parts, np.float32), np.array(symbols)
