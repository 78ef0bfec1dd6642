"""Slot filling: which words of a request say where from, where to and when?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from danq.core import Mlp, PerStep, step_cross_entropy
from danq.errors import InputError
from danq.training.problem import Metrics
from danq.vision.blocks import Words
from danq.vision.examples import Data, Examples
from danq.vision.task import Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.words import PAD, UNKNOWN, Vocabulary, split_words

KNOWN = [
    "boston",
    "denver",
    "atlanta",
    "dallas",
    "oakland",
    "memphis",
    "seattle",
    "houston",
    "phoenix",
    "detroit",
    "new york",
    "san francisco",
    "los angeles",
    "salt lake city",
    "las vegas",
    "kansas city",
]
UNSEEN = [
    "tampa",
    "cleveland",
    "nashville",
    "toronto",
    "miami",
    "san jose",
    "fort worth",
    "saint paul",
]
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
"""Share of city words that training shows as unknown, so that context has to tell."""

_VALUES: dict[str, list[str]] = {"day": DAYS, "time": TIMES}


def vocabulary() -> Vocabulary:
    """Words of the patterns and of all values but the unseen cities."""
    fixed = [w for p in PATTERNS for w in p.split() if not w.startswith("{")]
    return Vocabulary(sorted({*fixed, *" ".join([*KNOWN, *DAYS, *TIMES]).split()}))


def requests(
    count: int, cities: Sequence[str], rng: np.random.Generator
) -> tuple[list[list[str]], list[list[str]]]:
    """Requests and the label of each word: O, or B- and I- of a slot."""
    texts, labels = [], []
    for _ in range(count):
        text, label = [], []
        origin, goal = rng.choice(len(cities), size=2, replace=False)
        values: dict[str, str] = {"from": cities[int(origin)], "to": cities[int(goal)]}
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

    As the CoNLL evaluation counts them: an I that follows no like label begins a slot too.
    """
    found, begun = set(), None
    for place, label in enumerate([*labels, "O"]):
        mark, _, slot = label.partition("-")
        if begun is not None and (mark != "I" or slot != begun[0]):
            found.add((*begun, place))
            begun = None
        if mark != "O" and begun is None:
            begun = (slot, place)
    return found


def span_f1(found: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> float:
    """F1 over whole slots of all requests."""
    pairs = [(spans(a), spans(b)) for a, b in zip(found, right, strict=True)]
    hits = sum(len(a & b) for a, b in pairs)
    total = sum(len(a) + len(b) for a, b in pairs)
    return 2 * hits / total if total else 1.0


def tagger(facts: Mapping[str, Any], bidirectional: bool, **numbers: Any) -> nn.Module:
    """Words -> recurrent layer -> a label at every step."""

    def head(width: int) -> nn.Module:
        return PerStep(Mlp(width, ()), len(facts["labels"]))

    size = len(facts["vocabulary"])
    return Words(size, pooling=None, bidirectional=bidirectional, head=head, **numbers)


class Slots(Task):
    """Labels of words; half of the cities are in the test split alone."""

    name = "slots"
    about = "slots of travel requests, the cities of the test split unseen; F1 over slots"
    inputs = ("words",)
    systems = (
        System(
            "bilstm",
            "Token -> BiLSTM -> PerStep",
            "Mesnil et al. 2013",
            tagger,
            {"embed": 32, "hidden": 48, "bidirectional": True, "dropout": 0.2},
        ),
        System(
            "lstm",
            "Token -> LSTM -> PerStep",
            "Mesnil et al. 2013, past alone",
            tagger,
            {"embed": 32, "hidden": 96, "bidirectional": False, "dropout": 0.2},
        ),
    )
    recipe = recipe(epochs=10, batch_size=32, lr=5e-3)
    sizes = Sizes(2000, 300, 1000)
    quick_sizes = Sizes(500, 100, 200)
    shown = ("f1",)
    targets = (
        Target("BiLSTM F1 at least .98", lambda m: m["bilstm"]["f1"] >= 0.98),
        Target("words alone at most .70", lambda m: m["word alone"]["f1"] <= 0.70),
        Target("BiLSTM above LSTM", lambda m: m["bilstm"]["f1"] > m["lstm"]["f1"]),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        known = vocabulary()

        def draw(split: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            cities = UNSEEN if split == "test" else KNOWN
            texts, labels = requests(count, cities, rng)
            words = np.stack([known.encode(text, LENGTH) for text in texts])
            target = np.zeros_like(words)
            for row, label in zip(target, labels, strict=True):
                row[: len(label)] = [LABELS.index(one) for one in label]
            place = [LABELS.index(f"{mark}-{slot}") for mark in "BI" for slot in ("from", "to")]
            hidden = np.isin(target, place) & (rng.random(target.shape) < DROPPED)
            return {"words": np.where(hidden, UNKNOWN, words), "labels": target}

        facts = {"vocabulary": list(known.words), "labels": list(LABELS), "length": LENGTH}
        return draw_splits(draw, seed, sizes, facts)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        logits = self.call(module, batch).float()
        return step_cross_entropy(logits, batch["labels"], batch["words"] != PAD)

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        chosen = self.outputs(module, examples, device).argmax(axis=2)
        return {"f1": span_f1(_names(chosen, examples), _names(examples["labels"], examples))}

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def word_alone() -> Metrics:
            counts: dict[int, Counter[int]] = defaultdict(Counter)
            train, test = data.train, data.test
            for word, label in zip(train["words"].ravel(), train["labels"].ravel(), strict=True):
                counts[int(word)][int(label)] += 1
            usual = {word: count.most_common(1)[0][0] for word, count in counts.items()}
            chosen = np.vectorize(lambda word: usual.get(int(word), 0))(test["words"])
            return {"f1": span_f1(_names(chosen, test), _names(test["labels"], test))}

        return {"word alone": word_alone}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        lines = read_lines(source)
        known = Vocabulary(facts["vocabulary"])
        words = [split_words(line) for line in lines]
        long = [number for number, row in enumerate(words, 1) if len(row) > facts["length"]]
        if long:
            raise InputError(f"more than {facts['length']} words", file=source, line=long[0])
        # The words themselves ride along, for unknown ones have no number.
        texts = np.array([" ".join(row) for row in words])
        numbers = np.stack([known.encode(row, facts["length"]) for row in words])
        return Examples({"words": numbers, "labels": np.zeros_like(numbers), "text": texts})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        model = Examples({"words": examples["words"]})
        chosen = self.outputs(module, model, device).argmax(axis=2)
        lines = []
        for text, row in zip(examples["text"], chosen, strict=True):
            words = str(text).split()
            slots = sorted(spans(_label_names(row[: len(words)])), key=lambda span: span[1])
            told = (f"{slot}: {' '.join(words[a:b])}" for slot, a, b in slots)
            lines.append(", ".join(told) or "no slot")
        return lines


def read_lines(source: Path) -> list[str]:
    """Lines of a text file that hold a word.

    Raises
    ------
    InputError
        When it cannot be read or holds none.
    """
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=source) from error
    lines = [line for line in lines if split_words(line)]
    if not lines:
        raise InputError("holds no word", file=source)
    return lines


def _label_names(numbers: Sequence[int] | np.ndarray) -> list[str]:
    return [LABELS[int(number)] for number in numbers]


def _names(numbers: np.ndarray, examples: Examples) -> list[list[str]]:
    lengths = (examples["words"] != PAD).sum(axis=1)
    return [_label_names(row[:n]) for row, n in zip(numbers, lengths, strict=True)]
