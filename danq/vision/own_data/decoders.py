"""Turn the files of one example into arrays, in any process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from danq.vision.own_data.image_files import opened_image
from danq.vision.own_data.image_transforms import PLAIN, Variation, fitted_image

FieldTypes = dict[str, tuple[str, tuple[int, ...]]]
"""Type and shape of each field of one example."""
Description = dict[str, Any]
"""A decoder as JSON values."""


class Decoder(Protocol):
    """Reads the files of one example."""

    fields: FieldTypes

    def decode(self, source: Any, rng: np.random.Generator | None) -> Mapping[str, np.ndarray]:
        """Arrays of the fields; ``rng`` draws variations for training."""
        ...


class ImageDecoder:
    """Reads one image.

    Parameters
    ----------
    shape
        Channels, height, width.
    fit
        As in `InputSettings`.
    bits
        As in `danq.vision.own_data.image_files.upright`.
    augment
        Variations of training: any of "crop", "colour", "flip".
    """

    def __init__(
        self, shape: Sequence[int], fit: str, bits: int = 8, augment: Sequence[str] = ()
    ) -> None:
        channels, height, width = shape
        self.shape = (channels, height, width)
        self.fit, self.bits, self.augment = fit, bits, frozenset(augment)
        self.fields: FieldTypes = {"image": ("uint8", self.shape)}

    def decode(self, source: str, rng: np.random.Generator | None) -> Mapping[str, np.ndarray]:
        """Read the image at a path."""
        variation = PLAIN
        if rng is not None and self.augment:
            variation = Variation.draw(rng, self.augment)
        with opened_image(source) as image:
            pixels = fitted_image(
                image, self.shape, fit=self.fit, bits=self.bits, variation=variation
            )
        return {"image": pixels}


_DECODERS = {"image": ImageDecoder}


def make_decoder(description: Description) -> Decoder:
    """Make the decoder that JSON values describe: its kind, and the arguments of its class."""
    arguments = {name: value for name, value in description.items() if name != "kind"}
    return _DECODERS[description["kind"]](**arguments)


def decode_row(
    decoder: Decoder, row: int, source: Any, epoch: Sequence[int] | None
) -> Mapping[str, np.ndarray]:
    """Arrays of one example.

    Parameters
    ----------
    decoder
        Reads the files.
    row
        Index of the example in its split.
    source
        Its files.
    epoch
        Random seed and epoch of a training; variations depend on them and on ``row``. None for
        an evaluation, which has no variations.
    """
    rng = None if epoch is None else np.random.default_rng([*epoch, row])
    return decoder.decode(source, rng)
