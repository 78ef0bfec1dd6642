"""Translation of an image of a line of English into Latin words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import (
    AttentionPool,
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
from danq.vision.base_tasks import nearest_images
from danq.vision.bleu import bleu
from danq.vision.dataset import Dataset, Examples, Fields, Metadata, evaluation_batches, layout
from danq.vision.generators.sentence_images import (
    HEIGHT,
    LONGEST,
    WIDTH,
    WORDS,
    sentence_images,
)
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
from danq.vision.vocabulary import END, PAD, START, Vocabulary, without_special

Sentences = Sequence[tuple[int, ...]]


def column_reader(metadata: Metadata, channels: Sequence[int]) -> ColumnEncoder:
    """Convolutions that halve the line in height and width; its columns."""
    stages = [
        ConvStage(2, before, after, 3, padding=1, pool=2, norm=True)
        for before, after in zip([metadata["shape"][0], *channels], channels, strict=False)
    ]
    return ColumnEncoder(ConvEncoder(stages), metadata["shape"][1])


class Translator(nn.Module):
    """Columns, a bidirectional encoder, a decoder that starts from the encoder's states.

    Parameters
    ----------
    metadata
        Shape of the images, vocabulary and length of the translations.
    channels
        Channels of the convolutions.
    hidden, kind, layers
        Units per direction, "lstm" or "gru", and layers of the encoder; the decoder has twice
        as many units.
    embedding
        Width of the word embedding.
    attend
        Units of the attention to the columns; 0 for a decoder that reads the states alone.
    """

    def __init__(
        self,
        metadata: Metadata,
        *,
        channels: Sequence[int],
        hidden: int,
        kind: str,
        layers: int,
        embedding: int,
        attend: int,
    ) -> None:
        super().__init__()
        self.columns = column_reader(metadata, channels)
        self.rnn = Recurrent(self.columns.out_features, hidden, kind=kind, layers=layers)
        width = self.rnn.out_features
        self.limit = metadata["length"]
        self.decoder = SequenceDecoder(
            None,
            len(metadata["vocabulary"]),
            embedding=embedding,
            hidden=width,
            attention=AttentionPool(width, attend, query_features=width) if attend else None,
            kind=kind,
            layers=layers,
        )

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """Cross-entropy of each word after those before it."""
        tokens, states = self.rnn.with_states(self.columns(image))
        return next_word_loss(self.decoder(tokens, words[:, :-1], None, states), words)

    def translate(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Words of each translation."""
        tokens, states = self.rnn.with_states(self.columns(image))
        state = self.decoder.begin(tokens, None, states)
        found = greedy(self.decoder.step, state, start=START, end=END, limit=self.limit)
        return [one.symbols for one in found]


class CtcTranslator(nn.Module):
    """Columns, a bidirectional LSTM, a word or the blank at each column.

    The words are in the order of the columns; only the LSTM can move a word.
    """

    def __init__(self, metadata: Metadata, *, channels: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.columns = column_reader(metadata, channels)
        self.rnn = Recurrent(self.columns.out_features, hidden)
        # The index of the blank is that of padding, 0.
        self.head = PerStep(Mlp(self.rnn.out_features, ()), len(metadata["vocabulary"]))

    def logits(self, image: Float[Tensor, "B C H W"]) -> Float[Tensor, "B T V"]:
        """Logits of the blank and the words at each column."""
        return self.head(self.rnn(self.columns(image))).float()

    def forward(
        self, image: Float[Tensor, "B C H W"], words: Int[Tensor, "B S"]
    ) -> Float[Tensor, ""]:
        """CTC loss of ``words`` without their start and end symbols."""
        target = words[:, 1:].masked_fill(words[:, 1:] == END, PAD)
        return ctc_loss(self.logits(image), target, target_mask=target != PAD)

    def translate(self, image: Float[Tensor, "B C H W"]) -> list[tuple[int, ...]]:
        """Words of each translation."""
        return ctc_greedy(self.logits(image))


_BODY = {"channels": [16, 32, 64], "hidden": 64}


class LineTranslation(Task):
    """Latin translations of images of English lines; share correct, BLEU-4.

    Made data: sentences of a small grammar. Latin has the object before the verb, the adjective
    after its noun, some adverbs first, no article, and endings by gender and case, so that a word
    depends on others and on its place. No sentence of the test occurs in the training. Mansimov
    et al. ("Towards end-to-end in-image neural machine translation", 2020) translate an image of
    text without transcribing it; here the output is words instead of an image.
    """

    name = "line-translation"
    fields = layout(image="uint8 C H W", words="int64 S")
    inputs = ("image", "words")
    slow_metrics = True
    models = (
        ModelDefinition(
            "attention",
            "Column -> BiLSTM -> SequenceDecoder(states, attend)",
            "Bahdanau et al., ICLR 2015; images of text: Mansimov et al. 2020",
            Translator,
            _BODY | {"kind": "lstm", "layers": 1, "embedding": 32, "attend": 64},
        ),
        ModelDefinition(
            "encoder-decoder",
            "Column -> BiGRU(layers=2) -> SequenceDecoder(states, gru, layers=2)",
            "Sutskever et al., NIPS 2014; Cho et al., EMNLP 2014",
            Translator,
            _BODY | {"kind": "gru", "layers": 2, "embedding": 32, "attend": 0},
        ),
        ModelDefinition(
            "ctc",
            "Column -> BiLSTM -> CTC",
            "CTC of Graves et al., ICML 2006, which keeps the order of the columns",
            CtcTranslator,
            _BODY,
        ),
    )
    metadata_kinds = layout(shape="sizes", vocabulary="vocabulary", length="count", inverted="flag")
    recipe = task_recipe(epochs=15, lr=3e-3, batch_size=32)
    sizes = Sizes(4000, 200, 500)
    quick_sizes = Sizes(96, 16, 32)
    reported_metrics = ("exact", "bleu4", "any_order")
    targets = (
        Target("attention: 90 % correct sentences", at_least("exact", "attention", 0.9)),
        Target(
            "attention above CTC and the nearest image",
            above("exact", ["attention"], ["ctc", "nearest image"]),
        ),
        Target(
            "attention above encoder-decoder", above("exact", ["attention"], ["encoder-decoder"])
        ),
    )

    def metadata(self) -> dict[str, Any]:
        return {
            "shape": [1, HEIGHT, WIDTH],
            "vocabulary": list(Vocabulary(WORDS).words),
            "length": LONGEST + 2,
            "inverted": True,
        }

    def shapes(self, metadata: Metadata) -> Mapping[str, Sequence[int | None]]:
        return {"image": metadata["shape"], "words": (metadata["length"],)}

    def symbols(self, metadata: Metadata, split: str) -> Symbols:
        return {"words": metadata["vocabulary"]}

    def draw(self, split: str, count: int, rng: np.random.Generator) -> Fields:
        image, sentences = sentence_images(count, rng, held_out=split == "test")
        texts = [sentence.latin() for sentence in sentences]
        return {
            "image": image,
            "words": Vocabulary(WORDS).encode_all(texts, LONGEST + 2, ends=True),
        }

    def loss(self, module: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        return self.call(module, batch)

    def outputs(self, module: nn.Module, examples: Examples) -> Sentences:
        """Words of each translation."""
        assert isinstance(module, Translator | CtcTranslator)
        batches = evaluation_batches(module, examples)
        return [row for part in batches for row in module.translate(part["image"])]

    def score(self, predictions: Sentences, examples: Examples) -> Metrics:
        """Share of correct sentences, BLEU-4, share with the correct words in any order."""
        wanted = [without_special(row) for row in examples["words"]]
        pairs = list(zip(predictions, wanted, strict=True))
        return {
            "exact": float(np.mean([one == other for one, other in pairs])),
            "bleu4": bleu(predictions, [[one] for one in wanted]),
            "any_order": float(np.mean([sorted(one) == sorted(other) for one, other in pairs])),
        }

    def baselines(self, data: Dataset, quick: bool) -> Baselines:
        def nearest() -> Metrics:
            words = data.train["words"][nearest_images(data.train, data.test)]
            return self.score([without_special(row) for row in words], data.test)

        return {"nearest image": nearest}

    def read_input(self, source: Path, metadata: Metadata, text: str | None) -> Examples:
        image = super().read_input(source, metadata, text)["image"]
        # A user's text is dark on light; training images may be inverted.
        return Examples({"image": 255 - image if metadata["inverted"] else image})

    def describe(self, outputs: Sentences, examples: Examples, metadata: Metadata) -> list[str]:
        known = Vocabulary(metadata["vocabulary"])
        return [" ".join(known.decode(sentence)) for sentence in outputs]
