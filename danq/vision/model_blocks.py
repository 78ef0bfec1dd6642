"""Combinations of core blocks that several models use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from danq.core import CnnRnn, FrameEncoder, Last, Recurrent, Tcn, conv_encoder, step_cross_entropy
from danq.vision.vocabulary import PAD


def temporal(kind: str, features: int, **hyperparameters: Any) -> Recurrent | Tcn:
    """Make an LSTM or GRU (one direction by default) or a causal TCN over steps.

    Parameters
    ----------
    kind
        "lstm", "gru" or "tcn".
    features
        Features of a step.
    hyperparameters
        Further parameters of `danq.core.Recurrent` or `danq.core.Tcn`.
    """
    if kind == "tcn":
        return Tcn(features, **hyperparameters)
    return Recurrent(features, kind=kind, **{"bidirectional": False, **hyperparameters})


class TextEncoder(nn.Module):
    """Word embedding and recurrent layer: indices ``(B, S)`` -> ``(B, F)`` or ``(B, S, F)``.

    Padding (index 0) is masked.

    Parameters
    ----------
    vocabulary
        Number of words.
    embed
        Width of the word embedding.
    hidden
        Units of the recurrent layer, per direction.
    kind
        "lstm" or "gru".
    bidirectional
        Whether the recurrent layer has both directions.
    pooling
        Combines the steps to one vector; None keeps them.
    head
        Layer after the pooling.
    dropout
        Dropout after the embedding and after the recurrent layer.
    """

    def __init__(
        self,
        vocabulary: int,
        embed: int,
        hidden: int,
        *,
        kind: str = "lstm",
        bidirectional: bool = False,
        pooling: Callable[[int], nn.Module] | None = Last,
        head: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        rnn = Recurrent(embed, hidden, kind=kind, bidirectional=bidirectional)
        width = rnn.out_features
        self.body = CnnRnn(
            nn.Embedding(vocabulary, embed, padding_idx=PAD),
            rnn,
            None if pooling is None else pooling(width),
            None if head is None else head(width),
            encoder_dropout=dropout,
            temporal_dropout=dropout,
        )
        self.out_features = self.body.out_features

    def forward(self, words: Int[Tensor, "B S"]) -> Float[Tensor, "B ... F"]:
        return self.body(words, words != PAD)


def map_area(shape: Sequence[int], halvings: int) -> int:
    """Positions of the map of an image ``(..., H, W)`` after pools of 2."""
    return (shape[-2] >> halvings) * (shape[-1] >> halvings)


def image_cnn(shape: Sequence[int], channels: Sequence[int], features: int) -> nn.Sequential:
    """Make a small CNN that keeps positions: ``(B, C, H, W) -> (B, features)``.

    Convolutions of width 3, each with a pool of 2, then a dense layer over the whole map.

    Parameters
    ----------
    shape
        ``(..., C, H, W)`` of an image or clip.
    channels
        Channels of each stage.
    features
        Width of the output.
    """
    encoder = conv_encoder(2, shape[-3], channels)
    area = map_area(shape, len(channels))
    return nn.Sequential(
        encoder, nn.Flatten(), nn.Linear(encoder.out_features * area, features), nn.ReLU()
    )


def frame_cnn(shape: Sequence[int], channels: Sequence[int], features: int) -> FrameEncoder:
    """Apply `image_cnn` to every frame: ``(B, T, C, H, W) -> (B, T, features)``."""
    return FrameEncoder(image_cnn(shape, channels, features), features)


def next_word_loss(logits: Float[Tensor, "B S V"], words: Int[Tensor, "B S1"]) -> Float[Tensor, ""]:
    """Cross-entropy of each word after the words before it, without padding."""
    following = words[:, 1:]
    return step_cross_entropy(logits.float(), following, following != PAD)
