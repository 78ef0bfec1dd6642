"""Fit images to one size, and vary them for training."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8

from danq.vision.own_data.image_files import BACKGROUND, is_rotated, upright

if TYPE_CHECKING:
    from PIL.Image import Image

SMALLEST_CROP = 0.7
"""Smallest share of the area of an image that a random crop keeps."""

COLOUR_CHANGE = 0.2
"""Largest relative change of brightness and of contrast."""


@dataclass(frozen=True)
class Variation:
    """How one example differs from its file in one epoch; the same for all frames of a clip.

    Attributes
    ----------
    share
        Share of the height and of the width that is kept.
    across, down
        Position of the crop, from 0 (left, top) to 1.
    mirrored
        Whether left and right are exchanged.
    brightness, contrast
        Factors.
    """

    share: float = 1.0
    across: float = 0.5
    down: float = 0.5
    mirrored: bool = False
    brightness: float = 1.0
    contrast: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator, kinds: Set[str]) -> Variation:
        """Draw a variation; ``kinds`` may have "crop", "colour" and "flip"."""
        numbers = rng.random(6)
        crop, flip = "crop" in kinds, "flip" in kinds
        colour = 1 + COLOUR_CHANGE * (2 * numbers[3:5] - 1) * ("colour" in kinds)
        return cls(
            share=float(np.sqrt(1 - (1 - SMALLEST_CROP) * numbers[0])) if crop else 1.0,
            across=float(numbers[1]) if crop else 0.5,
            down=float(numbers[2]) if crop else 0.5,
            mirrored=bool(flip and numbers[5] < 0.5),
            brightness=float(colour[0]),
            contrast=float(colour[1]),
        )

    @property
    def table(self) -> bytes | None:
        """New value of each value of a pixel, for `bytes.translate`; None if all stay."""
        if self.brightness == self.contrast == 1:
            return None
        values = (np.arange(256) - 127.5) * self.contrast + 127.5
        return (values * self.brightness).round().clip(0, 255).astype(np.uint8).tobytes()


PLAIN = Variation()


def box_of(
    height: int, width: int, shape: tuple[int, int], fit: str, variation: Variation
) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the region of an image that fills a shape.

    Parameters
    ----------
    height, width
        Size of the image.
    shape
        Height and width to fill.
    fit
        As in `InputSettings`; "pad" keeps the proportions of the image.
    variation
        Share and position of the region.
    """
    high, wide = float(height), float(width)
    if fit == "crop":
        scale = min(height / shape[0], width / shape[1])
        high, wide = shape[0] * scale, shape[1] * scale
    high, wide = high * variation.share, wide * variation.share
    # Rounding can make the region larger than the image by the last bit.
    left = max(0.0, (width - wide) * variation.across)
    top = max(0.0, (height - high) * variation.down)
    return left, top, min(left + wide, width), min(top + high, height)


def fitted_image(
    image: Image,
    shape: tuple[int, int, int],
    *,
    fit: str,
    bits: int = 8,
    variation: Variation = PLAIN,
) -> UInt8[np.ndarray, "C H W"]:
    """Decode an image, and fit it to a shape (C, H, W)."""
    channels, *size = shape
    _reduce(image, size, variation)
    shown = upright(image, channels, bits)
    return fitted_pixels(shown, shape, fit=fit, variation=variation)


def fitted_pixels(
    shown: Image, shape: tuple[int, int, int], *, fit: str, variation: Variation = PLAIN
) -> UInt8[np.ndarray, "C H W"]:
    """Fit a grey or RGB image to a shape (C, H, W)."""
    from PIL import Image as pillow

    channels, height, width = shape
    inner: tuple[int, int] = (height, width)
    if fit == "pad":
        scale = min(height / shown.height, width / shown.width)
        inner = (max(1, round(shown.height * scale)), max(1, round(shown.width * scale)))
    box = box_of(shown.height, shown.width, inner, fit, variation)
    if shown.size != inner[::-1] or box != (0, 0, shown.width, shown.height):
        # A gap reduces much larger images in whole steps first, which is faster.
        shown = shown.resize(
            (inner[1], inner[0]), pillow.Resampling.BILINEAR, box=box, reducing_gap=3.0
        )
    content, table = shown.tobytes(), variation.table
    content = content if table is None else content.translate(table)
    pixels = np.frombuffer(content, np.uint8).reshape(shown.height, shown.width, channels)
    pixels = pixels[..., 0] if channels == 1 else pixels
    if variation.mirrored:
        pixels = pixels[:, ::-1]
    if inner != (height, width):
        whole = np.empty((height, width, *pixels.shape[2:]), np.uint8)
        whole[:] = BACKGROUND[: channels if channels == 3 else 1]
        top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
        whole[top : top + inner[0], left : left + inner[1]] = pixels
        pixels = whole
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _reduce(image: Image, size: list[int], variation: Variation) -> None:
    """Let the decoder of JPEG leave out details that are not seen at a size."""
    if image.format not in {"JPEG", "MPO"} or image.mode not in {"RGB", "L"}:
        return
    height, width = size[::-1] if is_rotated(image) else size
    factor = max(width / image.width, height / image.height) / variation.share
    if factor < 0.5:
        needed = (int(np.ceil(image.width * factor)), int(np.ceil(image.height * factor)))
        image.draft(image.mode, needed)
