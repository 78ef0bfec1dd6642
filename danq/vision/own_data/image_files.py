"""Read images: orientation, transparency, 16-bit values, size."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from danq.errors import needs_package
from danq.files.npy_input import damage_named
from danq.files.open_input import check_file, open_raw
from danq.vision.clip_files import FORMATS, IMAGE_ERRORS

if TYPE_CHECKING:
    from PIL.Image import Image

BACKGROUND = (255, 255, 255)
"""Colour behind transparent pixels and in margins: white."""

GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})
_DEEP = frozenset({"I", "I;16", "I;16B", "I;16L", "I;16N"})
_REMEDY = "Save it again as PNG or JPEG"
_ROTATED = frozenset({5, 6, 7, 8})
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Values of the EXIF orientation, and the transpositions that undo them."""


class ImageFacts(NamedTuple):
    """What is known of an image file.

    Attributes
    ----------
    height, width
        In pixels, as the image is shown.
    grey
        Whether it has no colours by its type.
    transparent
        Whether it has an alpha channel.
    frames
        Number of frames or pages.
    largest
        Largest value of an image with more than 8 bits; 0 of all others.
    """

    height: int
    width: int
    grey: bool
    transparent: bool
    frames: int
    largest: int


@contextmanager
def opened_image(path: str | Path) -> Iterator[Image]:
    """Context with an image that is not yet decoded.

    Raises
    ------
    InputError
        When the file is missing, empty, no image, damaged, or has too many pixels; also for errors
        within the block.
    """
    from PIL import Image

    path = Path(path)
    errors = (*IMAGE_ERRORS, Image.DecompressionBombError, Image.DecompressionBombWarning)
    with (
        damage_named(path, "not a readable image", errors=errors, remedy=_REMEDY),
        warnings.catch_warnings(),
        open_raw(check_file(path)) as file,
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=FORMATS) as image:
            yield image


def image_facts(path: str | Path) -> ImageFacts:
    """Decode an image to its end, and describe it.

    Raises
    ------
    InputError
        As `opened_image`.
    """
    with opened_image(path) as image:
        width, height = image.size
        if is_rotated(image):
            width, height = height, width
        grey, transparent = image.mode in GREY_MODES, _is_transparent(image)
        frames = getattr(image, "n_frames", 1)
        if image.mode in _DEEP:
            largest = int(np.asarray(image).max())
        else:
            largest = 0
            image.draft(None, (1, 1))  # type: ignore[arg-type]
            image.load()
    return ImageFacts(height, width, grey, transparent, frames, largest)


def upright(image: Image, channels: int, bits: int) -> Image:
    """Decode an image to 8-bit grey or RGB in the orientation in which it is shown.

    Parameters
    ----------
    image
        As `opened_image` opens it.
    channels
        1 for grey or 3 for RGB.
    bits
        Bits of the values of images with more than 8; the highest 8 of them are kept.
    """
    from PIL import Image as pillow

    orientation = image.getexif().get(_ORIENTATION)
    if image.mode in _DEEP:
        values = np.asarray(image).astype(np.int64).clip(0, (1 << bits) - 1)
        image = pillow.fromarray((values >> max(0, bits - 8)).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image)
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError("floating-point values outside of [0, 1]")
        image = pillow.fromarray((values * 255).round().astype(np.uint8))
    elif _is_transparent(image):
        pixels = image.convert("RGBA")
        behind = pillow.new("RGBA", pixels.size, (*BACKGROUND, 255))
        image = pillow.alpha_composite(behind, pixels)
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    turn = _TURNS.get(orientation)  # type: ignore[arg-type]
    return image if turn is None else image.transpose(pillow.Transpose[turn])


def _is_transparent(image: Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info


def is_rotated(image: Image) -> bool:
    """Whether an image is shown with height and width exchanged."""
    return image.getexif().get(_ORIENTATION) in _ROTATED


def common_bits(largest: int) -> int:
    """Bits of images whose largest value is known: 8, 10, 12, 14, 16 or more."""
    return next(bits for bits in (8, 10, 12, 14, 16, 32) if largest < 1 << bits)


def refuse_no_pillow() -> None:
    """Check that Pillow is installed.

    Raises
    ------
    MissingPackage
        When it is not.
    """
    with needs_package("reading images requires Pillow", "vision"):
        import PIL  # noqa: F401
