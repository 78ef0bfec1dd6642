"""A report on a picture: tags, then sentences, each with a topic of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    Mlp,
    MultiLabel,
    SequenceDecoder,
    conv_encoder,
    greedy,
    map_tokens,
    step_cross_entropy,
)
from danq.training.problem import Metrics
from danq.vision.bleu import bleu
from danq.vision.examples import Data, Examples
from danq.vision.scenes import COLOURS, SHAPES, paint
from danq.vision.task import ROUND, Sizes, System, Target, Task, draw_splits, recipe
from danq.vision.words import END, PAD, START, Vocabulary

SIDE, SENTENCES, LENGTH = 32, 4, 11
PLACES = ("upper left", "upper right", "lower left", "lower right")
NUMBERS = ("no thing", "one thing", "two things", "three things")
TAGS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def reported_scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], list[list[str]], Bool[np.ndarray, "N G"]]:
    """Pictures of up to three things, each in a quarter of its own.

    Returns
    -------
    Pictures; reports, which name each thing in the order of `PLACES` and then say how many there
    are; and which of `TAGS` hold.
    """
    images = np.full((count, 3, SIDE, SIDE), 20, np.uint8)
    images += rng.integers(0, 20, images.shape, dtype=np.uint8)
    reports, tags = [], np.zeros((count, len(TAGS)), bool)
    for number in range(count):
        quarters = np.sort(rng.permutation(len(PLACES))[: rng.integers(0, len(NUMBERS))])
        report = []
        for quarter in quarters:
            tag = int(rng.integers(len(TAGS)))
            colour, shape = TAGS[tag].split()
            y, x = np.array(divmod(int(quarter), 2)) * SIDE / 2 + rng.uniform(6, SIDE / 2 - 6, 2)
            paint(images[number], shape, colour, y, x, rng.uniform(3.5, 5.5))
            report.append(f"there is a {colour} {shape} in the {PLACES[quarter]}")
            tags[number, tag] = True
        reports.append([*report, f"the picture shows {NUMBERS[len(quarters)]}"])
    return images, reports, tags


class Reporter(nn.Module):
    """Map -> tags; map and tags -> an LSTM of topics -> a decoder that writes each sentence.

    Parameters
    ----------
    vocabulary, tags
        Numbers of words and tags.
    channels
        Of the picture's network, each stage of which halves the map.
    positions
        Of its map.
    embedding, hidden, attend
        Width of a word, of both decoders' states, and of the attention.

    Notes
    -----
    Jing, Xie & Xing, ACL 2018. What a topic reads of the map and of the likely tags is found by
    attention; an empty sentence ends the report.
    """

    def __init__(
        self,
        vocabulary: int,
        tags: int,
        *,
        channels: Sequence[int],
        positions: int,
        embedding: int,
        hidden: int,
        attend: int,
    ) -> None:
        super().__init__()
        features = channels[-1]
        self.encoder = conv_encoder(2, 3, channels)
        self.place = nn.Parameter(torch.zeros(positions, features))
        self.tags = MultiLabel(Mlp(features * positions, (2 * features,)), tags)
        self.names = nn.Parameter(torch.randn(tags, features) * features**-0.5)
        self.seen, self.said = (
            AttentionPool(features, attend, query_features=hidden) for _ in range(2)
        )
        self.topics = nn.LSTMCell(2 * features, hidden)
        self.decoder = SequenceDecoder(hidden, vocabulary, embedding=embedding, hidden=hidden)

    def look(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor]:
        """Tokens of the map ``(B, N, F)``, and logits of the tags ``(B, G)``."""
        tokens = map_tokens(self.encoder(image)) + self.place
        return tokens, self.tags(tokens.flatten(1))

    def memory(self, tokens: Tensor, tags: Tensor) -> Float[Tensor, "M 1 H"]:
        """A topic for each sentence, ``M = B * SENTENCES``: what the decoder of words reads."""
        # Each tag counts as a token in so far as it is likely.
        names = tags.detach().sigmoid().unsqueeze(2) * self.names
        h = c = tokens.new_zeros(len(tokens), self.topics.hidden_size)
        topics = []
        for _ in range(SENTENCES):
            read = [self.seen(tokens, None, h), self.said(names, None, h)]
            h, c = self.topics(torch.cat(read, dim=1), (h, c))
            topics.append(h)
        return torch.stack(topics, dim=1).flatten(0, 1).unsqueeze(1)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], words: Int[Tensor, "B Z S"]
    ) -> tuple[Float[Tensor, "M S V"], Float[Tensor, "B G"]]:
        """Logits of the word after each of ``words``, and of the tags."""
        tokens, tags = self.look(image)
        return self.decoder(self.memory(tokens, tags), words.flatten(0, 1)), tags


def reporter(facts: Mapping[str, Any], channels: Sequence[int], **numbers: Any) -> nn.Module:
    """A `Reporter` for the data's pictures, vocabulary and tags."""
    positions = (facts["shape"][1] >> len(channels)) * (facts["shape"][2] >> len(channels))
    return Reporter(
        len(facts["vocabulary"]),
        len(facts["tags"]),
        channels=channels,
        positions=positions,
        **numbers,
    )


def write(module: nn.Module, image: Tensor) -> tuple[list[list[int]], Tensor]:
    """Words of each report, sentences one after the other, and logits of its tags."""
    assert isinstance(module, Reporter)
    tokens, tags = module.look(image)
    state = module.decoder.begin(module.memory(tokens, tags))
    found = greedy(module.decoder.step, state, start=START, end=END, limit=LENGTH)
    rows = []
    for first in range(0, len(found), SENTENCES):
        said = takewhile(lambda one: one.symbols, found[first : first + SENTENCES])
        rows.append([symbol for one in said for symbol in one.symbols])
    return rows, tags


class Reports(Task):
    """Tags and up to four sentences."""

    name = "reports"
    about = "tags and a report of up to 4 sentences on a picture; BLEU-4, share exact, tag F1"
    inputs = ("image", "words")
    systems = (
        System(
            "two-level",
            "map -> tags -> LSTM of topics (attention to both) -> SequenceDecoder",
            "Jing et al., ACL 2018",
            reporter,
            {"channels": [24, 48, 64], "embedding": 24, "hidden": 96, "attend": 48},
        ),
    )
    recipe = recipe(epochs=12, lr=3e-3, batch_size=16)
    quick_recipe = {"epochs": 4}  # noqa: RUF012
    sizes = Sizes(3000, 100, 300)
    quick_sizes = Sizes(400, 32, 48)
    shown = ("bleu4", "exact", "tag_f1")
    targets = (
        Target("tag F1 at least .9", lambda m: m["two-level"]["tag_f1"] >= 0.9),
        Target(
            "BLEU-4 above the nearest picture's report",
            lambda m: m["two-level"]["bleu4"] > m["nearest picture"]["bleu4"],
        ),
    )

    def make(self, seed: int, sizes: Sizes) -> Data:
        fixed = ["there", "is", "a", "in", "the", "picture", "shows"]
        known = Vocabulary([*fixed, *COLOURS, *SHAPES, *" ".join([*PLACES, *NUMBERS]).split()])

        def draw(_: str, count: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
            images, reports, tags = reported_scenes(count, rng)
            padded = [[*report, *[""] * SENTENCES][:SENTENCES] for report in reports]
            words = [[known.encode(s.split(), LENGTH, ends=True) for s in row] for row in padded]
            return {"image": images, "words": np.array(words), "tags": tags}

        facts = {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(known.words),
            "tags": list(TAGS),
        }
        return draw_splits(draw, seed, sizes, facts)

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        logits, tags = module(batch["image"], words[..., :-1])
        following = words[..., 1:].flatten(0, 1)
        said = step_cross_entropy(logits.float(), following, following != PAD)
        # Summed over tags, for few of them hold.
        tagged = F.binary_cross_entropy_with_logits(
            tags.float(), batch["tags"].float(), reduction="none"
        )
        return said + tagged.sum(dim=1).mean() / 4

    def validation(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        return {"loss": self.mean_loss(module, examples, device)}

    def figures(self, module: nn.Module, examples: Examples, device: torch.device) -> Metrics:
        rows: list[list[int]] = []
        tags = []
        for part in examples.rounds(ROUND, device):
            found, logits = write(module, part["image"])
            rows += found
            tags.append((logits > 0).cpu().numpy())
        return _judged(rows, np.concatenate(tags), examples)

    def baselines(self, data: Data, quick: bool) -> Mapping[str, Callable[[], Metrics]]:
        def nearest() -> Metrics:
            train, test = (
                split["image"].reshape(len(split), -1).astype(np.float32)
                for split in (data.train, data.test)
            )
            near = ((train**2).sum(axis=1) - 2 * test @ train.T).argmin(axis=1)
            rows = _bare(data.train["words"][near])
            return _judged(rows, data.train["tags"][near], data.test)

        return {"nearest picture": nearest}

    def read(self, source: Path, facts: Mapping[str, Any], text: str | None) -> Examples:
        image = super().read(source, facts, text)["image"]
        return Examples({"image": image, "words": np.zeros((1, SENTENCES, LENGTH), np.int64)})

    def tell(self, module, examples, facts, device, out) -> list[str]:
        known = Vocabulary(facts["vocabulary"])
        (part,) = examples.rounds(ROUND, device)
        rows, logits = write(module, part["image"])
        lines = []
        for row, tags in zip(rows, (logits > 0).tolist(), strict=True):
            held = [name for name, holds in zip(facts["tags"], tags, strict=True) if holds]
            lines += [f"tags: {', '.join(held) or 'none'}", " ".join(known.decode(row))]
        return lines


def _bare(words: Int64[np.ndarray, "N Z S"]) -> list[list[int]]:
    flat = words.reshape(len(words), -1).tolist()
    return [[n for n in row if n not in (PAD, START, END)] for row in flat]


def _judged(
    found: Sequence[Sequence[int]], tags: Bool[np.ndarray, "N G"], examples: Examples
) -> Metrics:
    right = _bare(examples["words"])
    texts, known = ([[str(n) for n in row] for row in rows] for rows in (found, right))
    held = examples["tags"]
    return {
        "bleu4": bleu(texts, [[one] for one in known]),
        "exact": float(np.mean([a == b for a, b in zip(texts, known, strict=True)])),
        "tag_f1": float(2 * (tags & held).sum() / max(1, tags.sum() + held.sum())),
    }
