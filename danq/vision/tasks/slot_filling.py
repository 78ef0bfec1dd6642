"""Slot filling: origin, destination and time in the words of a travel request."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from danq.core import Mlp, PerStep, step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, layout
from danq.vision.input_files import read_lines
from danq.vision.model_blocks import TextEncoder
from danq.vision.task import (
    Baselines,
    ModelDefinition,
    Sizes,
    Symbols,
    Target,
    Task,
    above,
    at_least,
    at_most,
    task_recipe,
)
from danq.vision.vocabulary import PAD, UNKNOWN, Vocabulary, split_words

# fmt: off
KNOWN = [
    "boston", "denver", "atlanta", "dallas", "oakland", "memphis", "seattle", "houston",
    "phoenix", "detroit", "new york", "san francisco", "los angeles", "salt lake city",
    "las vegas", "kansas city",
]
UNSEEN = [
    "tampa", "cleveland", "nashville", "toronto", "miami", "san jose", "fort worth", "saint paul",
]
# fmt: on
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
TIMES = ["morning", "noon", "afternoon", "evening", "six am", "nine am", "four pm", "late night"]
PATTERNS: tuple[str, ...] = (
    "show me flights from {from} to {to}",
    "show me flights to {to} from {from}",
    "i want to fly from {from} to {to} on {day}",
    "i need to be in {to} on {day} and i leave from {from}",
    "what leaves {from} for {to} in the {time}",
    "is there anything to {to} that leaves {from} on {day}",
    "on {day} take me from {from} to {to} in the {time}",
    "{from} to {to} please",
    "{to} from {from} on {day}",
    "which planes that arrive in {to} start in {from}",
    "list what departs {from} and arrives {to} {day} {time}",
    "{to} is where i want to go and {from} is where i am",
)
SLOTS = ("from", "to", "day", "time")
LABELS = ("O", *(f"{mark}-{slot}" for slot in SLOTS for mark in "BI"))
LENGTH = 20
DROPPED = 0.15
"""Share of city words that training replaces by the unknown word, so that the context counts."""

_VALUES: dict[str, list[str]] = {"day": DAYS, "time": TIMES}
_FIXED = [word for word in " ".join(PATTERNS).split() if not word.startswith("{")]
VOCABULARY = Vocabulary(sorted({*_FIXED, *" ".join([*KNOWN, *DAYS, *TIMES]).split()}))
"""Words of the patterns and of all values except the unseen cities."""


def requests(
    count: int, cities: Sequence[str], rng: np.random.Generator
) -> tuple[list[list[str]], list[list[str]]]:
    """Draw requests, and the label of each word: O, or B- and I- of a slot."""
    texts, labels = [], []
    for _ in range(count):
        text, label = [], []
        origin, destination = rng.choice(len(cities), size=2, replace=False)
        values: dict[str, str] = {"from": cities[int(origin)], "to": cities[int(destination)]}
        values |= {slot: known[rng.integers(len(known))] for slot, known in _VALUES.items()}
        for word in PATTERNS[rng.integers(len(PATTERNS))].split():
            slot = word.strip("{}")
            parts = values[slot].split() if word.startswith("{") else [word]
            text += parts
            if word.startswith("{"):
                label += [f"{'I' if number else 'B'}-{slot}" for number in range(len(parts))]
            else:
                label.append("O")
        texts.append(text)
        labels.append(label)
    return texts, labels


def spans(labels: Sequence[str]) -> set[tuple[str, int, int]]:
    """Slots of a labelled request, each with its first word and the one after its last.

    As in the CoNLL evaluation, an I label without a preceding label of its slot starts a slot.
    """
    found, start = set(), None
    for index, label in enumerate([*labels, "O"]):
        mark, _, slot = label.partition("-")
        if start is not None and (mark != "I" or slot != start[0]):
            found.add((*start, index))
            start = None
        if mark != "O" and start is None:
            start = (slot, index)
    return found


def span_f1(predicted: Sequence[Sequence[str]], true: Sequence[Sequence[str]]) -> float:
    """F1 of whole slots over all requests."""
    pairs = [(spans(a), spans(b)) for a, b in zip(predicted, true, strict=True)]
    hits = sum(len(a & b) for a, b in pairs)
    total = sum(len(a) + len(b) for a, b in pairs)
    return 2 * hits / total if total else 1.0


def tagger(metadata: Metadata, bidirectional: bool, **hyperparameters: Any) -> nn.Module:
    """Words, recurrent layer, a label at every step."""

    def head(width: int) -> nn.Module:
        return PerStep(Mlp(width, ()), len(metadata["labels"]))

    size = len(metadata["vocabulary"])
    return TextEncoder(
        size, pooling=None, bidirectional=bidirectional, head=head, **hyperparameters
    )


class Slots(Task):
    """Slots of travel requests, with cities that only the test split has; F1 of slots."""

    name = "slots"
    fields = layout(words="int64 S", labels="int64 S")
    inputs = ("words",)
    models = (
        ModelDefinition(
            "bilstm",
            "Token -> BiLSTM -> PerStep",
            "Mesnil et al. 2013",
            tagger,
            {"embed": 32, "hidden": 48, "bidirectional": True, "dropout": 0.2},
        ),
        ModelDefinition(
            "lstm",
            "Token -> LSTM -> PerStep",
            "Mesnil et al. 2013, one direction",
            tagger,
            {"embed": 32, "hidden": 96, "bidirectional": False, "dropout": 0.2},
        ),
    )
    metadata_kinds = layout(vocabulary="vocabulary", labels="names", length="count")
    recipe = task_recipe(epochs=10, batch_size=32, lr=5e-3)
    sizes = Sizes(2000, 300, 1000)
    quick_sizes = Sizes(500, 100, 200)
    reported_metrics = ("f1",)
    targets = (
        Target("BiLSTM F1 at least .98", at_least("f1", "bilstm", 0.98)),
        Target("single words at most .70", at_most("f1", "single word", 0.70)),
        Target("BiLSTM above LSTM", above("f1", ["bilstm"], ["lstm"])),
    )

    def metadata(self) -> dict[str, Any]:
        return {"vocabulary": list(VOCABULARY.words), "labels": list(LABELS), "length": LENGTH}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"words": (metadata["length"],), "labels": (metadata["length"],)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"], "labels": metadata["labels"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        texts, labels = requests(count, UNSEEN if split == "test" else KNOWN, rng)
        words = VOCABULARY.encode_all(texts, LENGTH)
        target = np.zeros_like(words)
        for row, label in zip(target, labels, strict=True):
            row[: len(label)] = [LABELS.index(one) for one in label]
        cities = [LABELS.index(f"{mark}-{slot}") for mark in "BI" for slot in ("from", "to")]
        hidden = np.isin(target, cities) & (rng.random(target.shape) < DROPPED)
        return {"words": np.where(hidden, UNKNOWN, words), "labels": target}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return step_cross_entropy(logits, batch["labels"], batch["words"] != PAD)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """The most likely label of each word."""
        return outputs.argmax(axis=2)

    def score(self, predictions: np.ndarray, examples: Examples) -> Metrics:
        predicted, true = (_names(one, examples) for one in (predictions, examples["labels"]))
        return {"f1": span_f1(predicted, true)}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def single_word() -> Metrics:
            """The most frequent label of each word."""
            counts: dict[int, Counter[int]] = defaultdict(Counter)
            words, labels = (data.train[field].ravel() for field in ("words", "labels"))
            for word, label in zip(words, labels, strict=True):
                counts[int(word)][int(label)] += 1
            majority = {word: count.most_common(1)[0][0] for word, count in counts.items()}
            look_up = np.vectorize(lambda word: majority.get(int(word), 0))
            return self.score(look_up(data.test["words"]), data.test)

        return {"single word": single_word}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        words = [split_words(line) for line in read_lines(source)]
        long = [number for number, row in enumerate(words, 1) if len(row) > metadata["length"]]
        if long:
            raise InputError(f"more than {metadata['length']} words", file=source, line=long[0])
        encoded = Vocabulary(metadata["vocabulary"]).encode_all(words, metadata["length"])
        # The answer quotes words, and all unknown words have the same index.
        texts = np.array([" ".join(row) for row in words])
        return Examples({"words": encoded, "text": texts})

    def describe(self, outputs: np.ndarray, examples: Examples, metadata: Metadata) -> list[str]:
        known = Vocabulary(metadata["vocabulary"]).words
        if "text" in examples.arrays:
            texts = [str(text).split() for text in examples["text"]]
        else:
            texts = [[known[k] for k in row if k != PAD] for row in examples["words"]]
        lines = []
        for words, row in zip(texts, self.decode(outputs), strict=True):
            names = [metadata["labels"][int(index)] for index in row[: len(words)]]
            slots = sorted(spans(names), key=lambda span: span[1])
            parts = (f"{slot}: {' '.join(words[a:b])}" for slot, a, b in slots)
            lines.append(", ".join(parts) or "no slot")
        return lines


def _names(labels: np.ndarray, examples: Examples) -> list[list[str]]:
    lengths, known = (examples["words"] != PAD).sum(axis=1), examples.metadata["labels"]
    return [[known[int(k)] for k in row[:n]] for row, n in zip(labels, lengths, strict=True)]
