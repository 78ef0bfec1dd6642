"""Networks of texts."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import Classes, CnnRnn, Mlp, PerStep, TokenEncoder, features_of
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.series_networks import series_pooling, temporal_layer
from danq.vision.vocabulary import PAD


class TextNetwork(nn.Module):
    """Words, a temporal layer and a head; padding is masked.

    Parameters
    ----------
    body
        Reads words and the mask of real ones.
    """

    def __init__(self, body: CnnRnn) -> None:
        super().__init__()
        self.body = body

    def forward(self, words: Int[Tensor, "B S"]) -> Float[Tensor, "B ... K"]:
        return self.body(words, words != PAD)


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
    """
    words = TokenEncoder(len(metadata["vocabulary"]), embedding)
    over_words = temporal_layer(layer, embedding, hidden, width, layers)
    size, classes = features_of(over_words), len(metadata["classes"])
    body = CnnRnn(
        words,
        over_words,
        series_pooling(pooling, size) if pooling else None,
        Classes(Mlp(size, ()), classes) if pooling else PerStep(Mlp(size, ()), classes),
        encoder_dropout=dropout,
        temporal_dropout=dropout,
    )
    return TextNetwork(body)
