"""What does the line say? Digits read from a picture, by CTC or by a decoder that looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
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
    step_cross_entropy,
)
from danq.training.problem import Metrics
from danq.vision.captcha_lines import HEIGHT, LONGEST, SYMBOLS, WIDTH, text_lines
from danq.vision.examples import Data, Examples
from danq.vision.task import ROUND, Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.words import END, PAD, START, Vocabulary

LENGTH = LONGEST + 2
"""Symbols of a line with start and end."""


def line_reader(facts: Mapping[str, Any], channels: Sequence[int], hidden: int) -> CnnRnn:
    """Convolutions, pooled thrice in height and twice in width; columns -> BiLSTM."""
    pools = [(2, 2), (2, 2), (2, 1)]
    stages = [
        ConvStage(2, before, after, 3, padding=1, pool=pool, norm=True)
        for before, after, pool in zip(
            [facts["shape"][0], *channels], channels, pools, strict=False
        )
    ]
    encoder = ColumnEncoder(ConvEncoder(stages), facts["shape"][1])
    return CnnRnn(encoder, Recurrent(encoder.out_features, hidden), None, None)


class CtcReader(nn.Module):
    """Columns -> BiLSTM -> at each column a symbol or the blank."""

    def __init__(self, facts: Mapping[str, Any], **numbers: Any) -> None:
        super().__init__()
        self.body = line_reader(facts, **numbers)
        # The blank takes the place of padding, 0.
        self.head = PerStep(Mlp(self.body.out_features, ()), len(facts["vocabulary"]))

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """CTC's loss, of the line without start and end."""
        target = words[:, 1:].masked_fill(words[:, 1:] == END, PAD)
        logits = self.head(self.body(image)).float()
        return ctc_loss(logits, target, target_mask=target != PAD)

    def read(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Symbols of each line."""
        return ctc_greedy(self.head(self.body(image)).float())


class AttentionReader(nn.Module):
    """Columns -> BiLSTM -> a decoder that looks at the columns."""

    def __init__(
        self, facts: Mapping[str, Any], *, embedding: int, state: int, attend: int, **numbers: Any
    ) -> None:
        super().__init__()
        self.body = line_reader(facts, **numbers)
        features = self.body.out_features
        pool = AttentionPool(features, attend, query_features=state)
        self.decoder = SequenceDecoder(
            features, len(facts["vocabulary"]), embedding=embedding, hidden=state, attention=pool
        )

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy of each symbol after those before it."""
        logits, following = self.decoder(self.body(image), words[:, :-1]).float(), words[:, 1:]
        return step_cross_entropy(logits, following, following != PAD)

    def read(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Symbols of each line."""
        state = self.decoder.begin(self.body(image))
        found = greedy(self.decoder.step, state, start=START, end=END, limit=LENGTH)
        return [one.symbols for one in found]


def edits(found: str, right: str) -> int:
    """Symbols to change, add or drop to come from one line to the other (Levenshtein 1966)."""
    row = list(range(len(right) + 1))
    for i, one in enumerate(found, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


_BODY = {"channels": [16, 32, 48], "hidden": 64}


class TextLines(Task):
    """Three to five digits in a distorted line."""

    name = "text-lines"
    about = "lines of 3 to 5 digits of the captcha package; share of lines without an error"
    inputs = ("image", "words")
    systems = (
        System(
            "crnn",
            "Column -> BiLSTM -> CTC",
            "Shi et al., TPAMI 2017; CTC of Graves et al., ICML 2006",
            CtcReader,
            _BODY,
        ),
        System(
            "attention",
            "Column -> BiLSTM -> SequenceDecoder(attend)",
            "Deng et al. 2016",
            AttentionReader,
            _BODY | {"embedding": 16, "state": 96, "attend": 64},
        ),
    )
    recipe = recipe(epochs=12, lr=4e-3, batch_size=32)
    sizes = Sizes(3000, 200, 500)
    quick_sizes = Sizes(96, 16, 32)
    shown = ("lines", "symbols")
    targets = (
        Target("CTC: 90 % of lines without an error", lambda m: m["crnn"]["lines"] >= 0.9),
        Target(
            "both above equal cuts and 1-NN",
            lambda m: (
                min(m["crnn"]["lines"], m["attention"]["lines"]) > m["equal cuts, 1-NN"]["lines"]
            ),
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        known = Vocabulary(SYMBOLS)

        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            images, texts = text_lines(count, rng)
            words = np.stack([known.encode(list(text), LENGTH, ends=True) for text in texts])
            return {"image": images, "words": words}

        facts = {"shape": [1, HEIGHT, WIDTH], "vocabulary": list(known.words)}
        return draw_splits(draw, seed, sizes, facts)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return self.call(module, batch)

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return _judged(_lines(module, examples, device), _texts(examples["words"]))

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def cuts() -> Metrics:
            """Each line cut into as many equal parts as it has symbols, each part looked up."""
            known, names = _parts(data.train)
            asked, _ = _parts(data.test)
            squares = (known**2).sum(axis=1)
            found = names[(squares - 2 * asked @ known.T).argmin(axis=1)]
            right = _texts(data.test["words"])
            ends = np.cumsum([0, *map(len, right)])
            lines = ["".join(found[a:b]) for a, b in pairwise(ends)]
            return _judged(lines, right)

        return {"equal cuts, 1-NN": cuts}

    def read(self, source, facts, text) -> Examples:
        image = super().read(source, facts, text)["image"]
        # Users' lines are dark on light, as the package's pictures are before they are turned.
        return Examples({"image": 255 - image, "words": np.zeros((1, LENGTH), np.int64)})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        return _lines(module, examples, device)


def _lines(module: nn.Module, examples: Examples, device: torch.device) -> list[str]:
    assert isinstance(module, CtcReader | AttentionReader)
    rows = [row for part in examples.rounds(ROUND, device) for row in module.read(part["image"])]
    return _texts(rows)


def _texts(rows: Sequence[Sequence[int]] | np.ndarray) -> list[str]:
    known = Vocabulary(SYMBOLS)
    return ["".join(known.decode(int(n) for n in row)) for row in rows]


def _parts(examples: Examples) -> tuple[Float[np.ndarray, "M D"], np.ndarray]:
    """Equal cuts of all lines, brought to one width, and their symbols."""
    cuts, names = [], []
    for image, text in zip(examples["image"][:, 0], _texts(examples["words"]), strict=True):
        ends = np.linspace(0, image.shape[1], len(text) + 1)
        for start, stop, symbol in zip(ends[:-1], ends[1:], text, strict=True):
            columns = np.linspace(start, stop - 1, 12).round().astype(int)
            cuts.append(image[:, columns].ravel())
            names.append(symbol)
    return np.array(cuts, np.float32), np.array(names)


def _judged(found: Sequence[str], right: Sequence[str]) -> Metrics:
    pairs = list(zip(found, right, strict=True))
    wrong = sum(edits(one, other) for one, other in pairs)
    return {
        "lines": float(np.mean([one == other for one, other in pairs])),
        "symbols": 1 - wrong / sum(map(len, right)),
    }
