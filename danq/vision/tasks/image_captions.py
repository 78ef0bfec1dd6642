"""Captions of images: two shapes and their relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
    Hypothesis,
    MeanStates,
    Mlp,
    SequenceDecoder,
    beam_search,
    conv_encoder,
    greedy,
    map_tokens,
)
from danq.core.recurrent import States
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

SIDE, LENGTH, BEAM = 32, 12, 3
"""Pixels per side, words of a caption with start and end, captions kept by the search."""
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}

Captions = Sequence[tuple[int, ...]]
VOCABULARY = Vocabulary(sorted({"a", *COLOURS, *SHAPES, *" ".join(OPPOSITE).split()}))


def captioned_scenes(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], list[tuple[str, str]]]:
    """Draw images of two shapes, and two captions of each, one for either order of the shapes."""
    images = dark_images(count, SIDE, rng)
    texts = []
    colours = list(COLOURS)
    for image in images:
        objects = [
            (SHAPES[rng.integers(len(SHAPES))], colours[rng.integers(len(colours))])
            for _ in range(2)
        ]
        relation = list(OPPOSITE)[rng.integers(4)]
        along, across = rng.integers(7, 10, 2), rng.integers(8, SIDE - 8, 1).repeat(2)
        across = across + rng.integers(-1, 2, 2)
        ends = np.array([along[0], SIDE - 1 - along[1]])
        if relation in ("right of", "below"):
            ends = ends[::-1]
        for number, (shape, colour) in enumerate(objects):
            centre = (across[number], ends[number])
            y, x = centre if "of" in relation else centre[::-1]
            paint(image, shape, colour, y, x, rng.uniform(4, 6))
        first, second = (f"a {colour} {shape}" for shape, colour in objects)
        texts.append((f"{first} {relation} {second}", f"{second} {OPPOSITE[relation]} {first}"))
    return images, texts


class Captioner(nn.Module):
    """Image encoder and decoder, with attention over the map or with one vector of it.

    Without attention (``attend`` 0) each position of the map passes dense layers before the mean
    over all positions. Batch normalisation scales the mean, which differs little between images.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        embedding: int,
        hidden: int,
        attend: int,
        width: int = 0,
    ) -> None:
        super().__init__()
        self.length = metadata["length"]
        self.encoder = conv_encoder(2, metadata["shape"][0], channels)
        features, positions = channels[-1], map_area(metadata["shape"], len(channels))
        self.position = nn.Parameter(torch.zeros(positions, features))
        self.point = None if attend else Mlp(features, (width, width))
        self.norm = None if attend else nn.BatchNorm1d(width)
        if not attend:
            # The mean keeps positions only if their values differ before it.
            nn.init.normal_(self.position)
        pool = AttentionPool(features, attend, query_features=hidden) if attend else None
        self.decoder = SequenceDecoder(
            features if attend else width,
            len(metadata["vocabulary"]),
            embedding=embedding,
            hidden=hidden,
            attention=pool,
        )

    def memory(self, image: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B M F"]:
        """Input of the decoder: the positions of the map, or one vector."""
        tokens = map_tokens(self.encoder(image)) + self.position
        if self.point is None or self.norm is None:
            return tokens
        return self.norm(self.point(tokens).mean(dim=1)).unsqueeze(1)

    def states(self, memory: Float[Tensor, "B M F"]) -> States | None:
        """Initial states of the decoder; None where the memory is its first input."""
        return None

    def forward(
        self, image: Float[Tensor, "B 3 H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, "B S V"]:
        memory = self.memory(image)
        return self.decoder(memory, words, None, self.states(memory))


class StateCaptioner(Captioner):
    """The vector of the image gives the initial state of all layers of the decoder."""

    def __init__(
        self,
        metadata: Metadata,
        *,
        embedding: int,
        hidden: int,
        width: int,
        kind: str,
        layers: int,
        channels: Sequence[int],
    ) -> None:
        super().__init__(
            metadata, channels=channels, embedding=embedding, hidden=hidden, attend=0, width=width
        )
        recurrent = {"hidden": hidden, "kind": kind, "layers": layers}
        self.start = MeanStates(width, **recurrent)
        words = len(metadata["vocabulary"])
        self.decoder = SequenceDecoder(None, words, embedding=embedding, **recurrent)

    def states(self, memory: Float[Tensor, "B M F"]) -> States | None:
        return self.start(memory)


def write(module: nn.Module, image: Float[Tensor, "B 3 H W"], *, width: int) -> list[Hypothesis]:
    """The best caption of each image by beam search; ``width`` 1 is greedy search."""
    assert isinstance(module, Captioner)
    decoder = module.decoder
    memory = module.memory(image)
    state = decoder.begin(memory, None, module.states(memory))
    if width == 1:
        return greedy(decoder.step, state, start=START, end=END, limit=module.length)
    found = beam_search(
        decoder.step, state, start=START, end=END, limit=module.length, width=width, alpha=0.7
    )
    return [rows[0] for rows in found]


_MAP = {"channels": [16, 32, 64], "embedding": 32, "hidden": 96}


class ImageCaptions(Task):
    """Captions of two coloured shapes; share of correct captions, BLEU-4."""

    name = "captions"
    fields = layout(image="uint8 C H W", words="int64 S", references="int64 R S")
    inputs = ("image", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "show-attend-tell",
            "map -> SequenceDecoder(attend), beam 3",
            "Xu et al., ICML 2015",
            Captioner,
            _MAP | {"attend": 64},
        ),
        ModelDefinition(
            "nic",
            "map -> Mlp -> Mean -> SequenceDecoder, beam 3",
            "Vinyals et al., CVPR 2015 (im2txt)",
            Captioner,
            _MAP | {"attend": 0, "width": 256, "embedding": 96, "hidden": 160},
            {"lr": 2e-3, "epochs": 12},
        ),
        ModelDefinition(
            "nic-state",
            "map -> Mlp -> Mean -> MeanStates -> SequenceDecoder(gru, layers=2), beam 3",
            "initial state: Xu et al., ICML 2015; GRU: Cho et al., EMNLP 2014",
            StateCaptioner,
            {
                "channels": [16, 32, 64],
                "width": 256,
                "embedding": 96,
                "hidden": 128,
                "kind": "gru",
                "layers": 2,
            },
            {"lr": 2e-3, "epochs": 8},
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count")
    recipe = task_recipe(epochs=20, lr=3e-3, batch_size=16)
    sizes = Sizes(6000, 200, 500)
    quick_sizes = Sizes(200, 32, 48)
    reported_metrics = ("exact", "bleu4", "exact_greedy")
    targets = (
        Target("attention: 95 % correct captions", at_least("exact", "show-attend-tell", 0.95)),
        Target(
            "both above the caption of the nearest image",
            above("exact", ["nic", "show-attend-tell"], ["nearest image"]),
        ),
    )

    def metadata(self) -> dict[str, Any]:
        words = list(VOCABULARY.words)
        return {"shape": [3, SIDE, SIDE], "vocabulary": words, "length": LENGTH}

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        length = metadata["length"]
        return {"image": metadata["shape"], "words": (length,), "references": (None, length)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"], "references": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        images, texts = captioned_scenes(count, rng)
        references = np.stack(
            [
                VOCABULARY.encode_all([text.split() for text in pair], LENGTH, ends=True)
                for pair in texts
            ]
        )
        words = references[np.arange(count), rng.integers(2, size=count)]
        return {"image": images, "words": words, "references": references}

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        words = batch["words"]
        return next_word_loss(module(batch["image"], words[:, :-1]), words)

    def outputs(self, module: nn.Module, examples: Examples) -> Captions:
        """Captions by beam search."""
        return self._captions(module, examples, BEAM)

    def score(self, predictions: Captions, examples: Examples) -> Metrics:
        """Share of captions that equal one of their references, and BLEU-4."""
        references = [
            [one for one in map(without_special, known) if one] for known in examples["references"]
        ]
        exact = [caption in pair for caption, pair in zip(predictions, references, strict=True)]
        return {"exact": float(np.mean(exact)), "bleu4": bleu(predictions, references)}

    def metrics(self, module: nn.Module, examples: Examples) -> Metrics:
        by_greedy_search = self.score(self._captions(module, examples, 1), examples)
        return super().metrics(module, examples) | {"exact_greedy": by_greedy_search["exact"]}

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            words = data.train["words"][nearest_images(data.train, data.test)]
            return self.score([without_special(row) for row in words], data.test)

        return {"nearest image": nearest}

    def describe(self, outputs: Captions, examples: Examples, metadata: Metadata) -> list[str]:
        known = Vocabulary(metadata["vocabulary"])
        return [" ".join(known.decode(caption)) for caption in outputs]

    def _captions(self, module: nn.Module, examples: Examples, width: int) -> Captions:
        batches = evaluation_batches(module, examples)
        found = [one for part in batches for one in write(module, part["image"], width=width)]
        return [hypothesis.symbols for hypothesis in found]
