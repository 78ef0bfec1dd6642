"""Networks of texts."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import Classes, CnnRnn, Mlp, PerStep, TokenEncoder, features_of
from danq.core.dropout import TorchDropout
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.series_networks import series_pooling, temporal_layer
from danq.vision.vocabulary import PAD, UNKNOWN


class TextNetwork(nn.Module):
    """Words, a temporal layer and a head; padding is masked.

    Parameters
    ----------
    body
        Reads words and the mask of real ones.
    word_dropout
        Share of the words that training replaces by the unknown word, so that the model learns
        what a word means that it does not know.
    """

    def __init__(self, body: CnnRnn, word_dropout: float = 0.0) -> None:
        super().__init__()
        self.body = body
        self.word_dropout = TorchDropout(word_dropout)

    def forward(self, words: Int[Tensor, "B S"]) -> Float[Tensor, "B ... K"]:
        real = words != PAD
        if self.training:
            kept = self.word_dropout(torch.ones(words.shape, device=words.device)) > 0
            words = torch.where(kept | ~real, words, UNKNOWN)
        return self.body(words, real)


def text_network(
    metadata: Metadata,
    *,
    layer: str,
    embedding: int,
    hidden: int,
    width: int = 3,
    layers: int = 3,
    pooling: str = "attention",
    dropout: float = 0.3,
    **words: float,
) -> TextNetwork:
    """Make a network of texts that returns logits of classes.

    Parameters
    ----------
    metadata
        ``vocabulary`` and ``classes``.
    layer, hidden, width, layers
        Temporal layer, as `temporal_layer` takes them; ``layers`` are the blocks of a TCN.
    embedding
        Width of the word embedding.
    pooling
        "mean" or "attention"; "" returns logits of every word.
    dropout
        Dropout after the embedding and after the temporal layer.
    words
        ``word_dropout`` of `TextNetwork`.
    """
    encoder = TokenEncoder(len(metadata["vocabulary"]), embedding)
    over_words = temporal_layer(layer, embedding, hidden, width, layers)
    size, classes = features_of(over_words), len(metadata["classes"])
    body = CnnRnn(
        encoder,
        over_words,
        series_pooling(pooling, size) if pooling else None,
        Classes(Mlp(size, ()), classes) if pooling else PerStep(Mlp(size, ()), classes),
        encoder_dropout=dropout,
        temporal_dropout=dropout,
    )
    return TextNetwork(body, **words)
