"""Reports on images: tags, and sentences with one topic each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
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
)
from danq.training.problem import Metrics
from danq.vision.base_tasks import nearest_images
from danq.vision.bleu import bleu
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.shape_images import COLOURS, SHAPES, dark_images, paint
from danq.vision.model_blocks import map_area, next_word_loss
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
from danq.vision.vocabulary import END, START, Vocabulary, without_special

SIDE, SENTENCES, LENGTH = 32, 4, 11
QUARTERS = ("upper left", "upper right", "lower left", "lower right")
COUNTS = ("no thing", "one thing", "two things", "three things")
TAGS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

ReportsAndTags = tuple[Sequence[tuple[int, ...]], Bool[np.ndarray, "N G"]]
_PHRASES = ("there is a in the image shows", *COLOURS, *SHAPES, *QUARTERS, *COUNTS)
VOCABULARY = Vocabulary(" ".join(_PHRASES).split())


def reported_scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], list[list[str]], Bool[np.ndarray, "N G"]]:
    """Draw images of up to three objects in different quarters.

    Returns
    -------
    Images; reports, which name the objects in the order of `QUARTERS` and then their number; and
    which of `TAGS` are present.
    """
    images = dark_images(count, SIDE, rng)
    reports, tags = [], np.zeros((count, len(TAGS)), bool)
    for number in range(count):
        quarters = np.sort(rng.permutation(len(QUARTERS))[: rng.integers(0, len(COUNTS))])
        report = []
        for quarter in quarters:
            tag = int(rng.integers(len(TAGS)))
            colour, shape = TAGS[tag].split()
            y, x = np.array(divmod(int(quarter), 2)) * SIDE / 2 + rng.uniform(6, SIDE / 2 - 6, 2)
            paint(images[number], shape, colour, y, x, rng.uniform(3.5, 5.5))
            report.append(f"there is a {colour} {shape} in the {QUARTERS[quarter]}")
            tags[number, tag] = True
        reports.append([*report, f"the image shows {COUNTS[len(quarters)]}"])
    return images, reports, tags


class Reporter(nn.Module):
    """Map, tags; an LSTM of topics over both; a decoder that writes each sentence.

    Parameters
    ----------
    metadata
        Shape of the images, vocabulary, tags, number of sentences and their length.
    channels
        Channels of the stages of the image encoder; each stage halves the map.
    embedding, hidden, attend
        Widths of the word embedding, of both decoders' states, and of the attention.

    Notes
    -----
    Jing, Xie & Xing, ACL 2018. A topic reads the map and the likely tags by attention; an empty
    sentence ends the report.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        embedding: int,
        hidden: int,
        attend: int,
    ) -> None:
        super().__init__()
        features, positions = channels[-1], map_area(metadata["shape"], len(channels))
        words, tags = len(metadata["vocabulary"]), len(metadata["tags"])
        self.sentences, self.length = metadata["sentences"], metadata["length"]
        self.encoder = conv_encoder(2, metadata["shape"][0], channels)
        self.position = nn.Parameter(torch.zeros(positions, features))
        self.tags = MultiLabel(Mlp(features * positions, (2 * features,)), tags)
        self.names = nn.Parameter(torch.randn(tags, features) * features**-0.5)
        self.map_pool, self.tag_pool = (
            AttentionPool(features, attend, query_features=hidden) for _ in range(2)
        )
        self.topics = nn.LSTMCell(2 * features, hidden)
        self.decoder = SequenceDecoder(hidden, words, embedding=embedding, hidden=hidden)

    def encode(self, image: Float[Tensor, "B 3 H W"]) -> tuple[Tensor, Tensor]:
        """Tokens of the map ``(B, N, F)``, and logits of the tags ``(B, G)``."""
        tokens = map_tokens(self.encoder(image)) + self.position
        return tokens, self.tags(tokens.flatten(1))

    def memory(self, tokens: Tensor, tags: Tensor) -> Float[Tensor, "M 1 H"]:
        """A topic for each sentence, ``M = B * sentences``: the input of the decoder of words."""
        # Each tag is a token, weighted by its probability.
        names = tags.detach().sigmoid().unsqueeze(2) * self.names
        h = c = tokens.new_zeros(len(tokens), self.topics.hidden_size)
        topics = []
        for _ in range(self.sentences):
            read = [self.map_pool(tokens, None, h), self.tag_pool(names, None, h)]
            h, c = self.topics(torch.cat(read, dim=1), (h, c))
            topics.append(h)
        return torch.stack(topics, dim=1).flatten(0, 1).unsqueeze(1)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], words: Int[Tensor, "B Z S"]
    ) -> tuple[Float[Tensor, "M S V"], Float[Tensor, "B G"]]:
        """Logits of the word after each of ``words``, and logits of the tags."""
        tokens, tags = self.encode(image)
        return self.decoder(self.memory(tokens, tags), words.flatten(0, 1)), tags


def write(module: nn.Module, image: Tensor) -> tuple[list[tuple[int, ...]], Tensor]:
    """Words of each report, with concatenated sentences, and logits of its tags."""
    assert isinstance(module, Reporter)
    tokens, tags = module.encode(image)
    state = module.decoder.begin(module.memory(tokens, tags))
    sentences = greedy(module.decoder.step, state, start=START, end=END, limit=module.length)
    rows = []
    for first in range(0, len(sentences), module.sentences):
        kept = takewhile(lambda one: one.symbols, sentences[first : first + module.sentences])
        rows.append(tuple(symbol for one in kept for symbol in one.symbols))
    return rows, tags


class Reports(Task):
    """Tags and a report of up to 4 sentences on an image; BLEU-4, share exact, tag F1."""

    name = "reports"
    fields = layout(image="uint8 C H W", words="int64 Z S", tags="bool G")
    inputs = ("image", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "two-level",
            "map -> tags -> LSTM of topics (attention to both) -> SequenceDecoder",
            "Jing et al., ACL 2018",
            Reporter,
            {"channels": [24, 48, 64], "embedding": 24, "hidden": 96, "attend": 48},
        ),
    )
    metadata_kinds = layout(
        shape="sizes", vocabulary="vocabulary", tags="names", sentences="count", length="count"
    )
    recipe = task_recipe(epochs=12, lr=3e-3, batch_size=16)
    quick_epochs = 4
    sizes = Sizes(3000, 100, 300)
    quick_sizes = Sizes(400, 32, 48)
    reported_metrics = ("bleu4", "exact", "tag_f1")
    targets = (
        Target("tag F1 at least .9", at_least("tag_f1", "two-level", 0.9)),
        Target(
            "BLEU-4 above the report of the nearest image",
            above("bleu4", ["two-level"], ["nearest image"]),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [3, SIDE, SIDE],
            "vocabulary": list(VOCABULARY.words),
            "tags": list(TAGS),
            "sentences": SENTENCES,
            "length": LENGTH,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        words = (metadata["sentences"], metadata["length"])
        return {"image": metadata["shape"], "words": words, "tags": (len(metadata["tags"]),)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, reports, tags = reported_scenes(count, rng)
        padded = [[*report, *[""] * SENTENCES][:SENTENCES] for report in reports]
        words = [
            VOCABULARY.encode_all([s.split() for s in row], LENGTH, ends=True) for row in padded
        ]
        return {"image": images, "words": np.stack(words), "tags": tags}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        logits, tags = module(batch["image"], words[..., :-1])
        sentences = next_word_loss(logits, words.flatten(0, 1))
        # The sum over tags, because few of them are present.
        tagged = F.binary_cross_entropy_with_logits(
            tags.float(), batch["tags"].float(), reduction="none"
        )
        return sentences + tagged.sum(dim=1).mean() / 4

    def outputs(self, module: nn.Module, examples: Examples) -> ReportsAndTags:
        """Words of each report, and which tags are likely."""
        rows: list[tuple[int, ...]] = []
        tags = []
        for part in evaluation_batches(module, examples):
            reports, logits = write(module, part["image"])
            rows += reports
            tags.append((logits > 0).cpu().numpy())
        return rows, np.concatenate(tags)

    def score(self, predictions: ReportsAndTags, examples: Examples) -> Metrics:
        (reports, tags), true = predictions, examples["tags"]
        references = _flat(examples["words"])
        equal = [a == b for a, b in zip(reports, references, strict=True)]
        return {
            "bleu4": bleu(reports, [[one] for one in references]),
            "exact": float(np.mean(equal)),
            "tag_f1": float(2 * (tags & true).sum() / max(1, tags.sum() + true.sum())),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            near = data.train.rows(nearest_images(data.train, data.test))
            return self.score((_flat(near["words"]), near["tags"]), data.test)

        return {"nearest image": nearest}

    def describe(
        self, outputs: ReportsAndTags, examples: Examples, metadata: Metadata
    ) -> list[str]:
        known = Vocabulary(metadata["vocabulary"])
        lines = []
        for row, tags in zip(*outputs, strict=True):
            names = [name for name, likely in zip(metadata["tags"], tags, strict=True) if likely]
            lines += [f"tags: {', '.join(names) or 'none'}", " ".join(known.decode(row))]
        return lines


def _flat(words: Int64[np.ndarray, "N Z S"]) -> list[tuple[int, ...]]:
    return [without_special(row) for row in words.reshape(len(words), -1)]
