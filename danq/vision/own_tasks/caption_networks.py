"""Networks that describe an image or a clip in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from danq.core import AttentionPool, SequenceDecoder, features_of, map_tokens
from danq.vision.dataset import Metadata
from danq.vision.own_tasks.clip_networks import frame_network
from danq.vision.own_tasks.image_networks import image_map

Memory = tuple[Float[Tensor, "B M F"], Bool[Tensor, "B M"] | None]
"""Tokens that a caption describes, and the mask of the real ones."""


class ImageTokens(nn.Module):
    """The positions of an image's map as tokens, each with a learnt vector: ``(B, M, F)``."""

    def __init__(self, network: nn.Module, shape: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self.out_features = features_of(network)
        area = network.steps(shape[-2], 0) * network.steps(shape[-1], 1)  # type: ignore[operator]
        self.position = nn.Parameter(torch.zeros(area, self.out_features))

    def forward(self, image: Float[Tensor, "B C H W"]) -> Memory:
        return map_tokens(self.network(image)) + self.position, None


class FrameTokens(nn.Module):
    """The frames of a clip as tokens: ``(B, T, F)``, and their mask."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.out_features = features_of(network)

    def forward(self, clip: Float[Tensor, "B T C H W"], real: Bool[Tensor, "B T"]) -> Memory:
        return self.network(clip, real), real


def image_tokens(
    metadata: Metadata, *, network: str, channels: Sequence[int], blocks: int
) -> ImageTokens:
    """Make `ImageTokens` of a network that `image_map` makes."""
    return ImageTokens(image_map(metadata, network, channels, blocks), metadata["shape"])


def frame_tokens(metadata: Metadata, **hyperparameters: Any) -> FrameTokens:
    """Make `FrameTokens` of a network that `frame_network` makes."""
    return FrameTokens(frame_network(metadata, None, pooling="", **hyperparameters))


class Captioner(nn.Module):
    """Tokens of an image or clip, and a decoder that describes them.

    Parameters
    ----------
    tokens
        Input to tokens and their mask.
    decoder
        Reads them.
    words
        Words of the vocabulary.
    length
        Largest number of symbols of a caption, with the start and the end symbol.
    """

    def __init__(
        self, tokens: nn.Module, decoder: SequenceDecoder, words: Sequence[str], length: int
    ) -> None:
        super().__init__()
        self.tokens, self.decoder = tokens, decoder
        self.words, self.length = words, length

    def forward(self, *inputs: Tensor) -> Float[Tensor, "B S V"]:
        """Logits of the symbol after each symbol of the last input, the caption so far."""
        *seen, words = inputs
        memory, mask = self.tokens(*seen)
        return self.decoder(memory, words, mask)


def captioner(
    metadata: Metadata,
    *,
    embedding: int,
    units: int,
    attend: int,
    word_dropout: float,
    **hyperparameters: Any,
) -> Captioner:
    """Make a captioner of images, or of clips if the shape has frames.

    Parameters
    ----------
    metadata
        ``shape``, ``normalisation``, ``vocabulary`` and ``lengths`` of the captions.
    embedding, units
        Width of the word embedding and units of the decoder.
    attend
        Units of the attention; 0 for none: the decoder then reads the mean of the tokens alone.
    word_dropout
        Dropout in the decoder.
    hyperparameters
        Those of `image_tokens` or `frame_tokens`.
    """
    make: Any = image_tokens if len(metadata["shape"]) == 3 else frame_tokens
    tokens = make(metadata, **hyperparameters)
    size = tokens.out_features
    decoder = SequenceDecoder(
        size,
        len(metadata["vocabulary"]),
        embedding=embedding,
        hidden=units,
        attention=AttentionPool(size, attend, query_features=units) if attend else None,
        dropout=word_dropout,
    )
    return Captioner(tokens, decoder, metadata["vocabulary"], metadata["lengths"]["caption"])
