"""Readers and writers of clips and images, and conversion to a model's shape."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from danq.errors import InputError
from danq.files.npy_input import damage_named, read_npy
from danq.files.open_input import check_file, open_raw
from danq.output import replacing

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi"}
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF")
"""Formats of images that are read; others of Pillow are not, as some call other programs."""

MOST_PIXELS = 1 << 27
"""Largest number of pixels of all frames."""

IMAGE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Pillow raises at damaged files."""

_REMEDY = "Give a GIF, a folder of frames, an image, an .npy file or a video"


def read_clip(path: str | Path) -> UInt8[np.ndarray, "T C H W"]:
    """Read the frames of a clip, with C 1 (grey) or 3 (RGB).

    Parameters
    ----------
    path
        A GIF; a folder of images, ordered by the numbers in their names; one image;
        an ``.npy`` file of ``(T, H, W)``, ``(T, H, W, C)`` or ``(T, C, H, W)``, uint8 or values
        in [0, 1]; a video, with PyAV installed.

    Raises
    ------
    InputError
        When it is none of these, has no frames, or its frames differ in size.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such file or folder", file=path, remedy=_REMEDY)
    if path.is_dir():
        files = sorted((p for p in path.iterdir() if p.suffix.lower() in IMAGES), key=_number)
        frames = [frame for file in files for frame in _read_image(file)]
    elif path.suffix.lower() == ".npy":
        return _read_array(path)
    elif path.suffix.lower() in VIDEOS:
        return _read_video(path)
    elif path.suffix.lower() in IMAGES | {".gif"}:
        frames = _read_image(path)
    else:
        raise InputError(
            f"files of type '{path.suffix}' are not supported", file=path, remedy=_REMEDY
        )
    if not frames:
        raise InputError("there are no frames", file=path, remedy=_REMEDY)
    sizes = sorted({frame.shape[:2] for frame in frames})
    if len(sizes) > 1:
        raise InputError(
            f"frames differ in size: {sizes[0]} and {sizes[-1]}",
            file=path,
            remedy="Give frames of one size",
        )
    clip = np.stack(frames).transpose(0, 3, 1, 2)
    grey = bool((clip == clip[:, :1]).all())
    return np.ascontiguousarray(clip[:, :1] if grey else clip)


def write_gif(
    path: str | Path, clip: UInt8[np.ndarray, "T C H W"], *, zoom: int = 4, ms: int = 120
) -> Path:
    """Write a clip as a GIF; ``zoom`` is pixels per pixel, ``ms`` milliseconds per frame.

    Raises
    ------
    InputError
        When it exists or cannot be written.
    """
    frames = [_image(frame, zoom) for frame in clip]
    with replacing(path) as temporary:
        frames[0].save(
            temporary, "GIF", save_all=True, append_images=frames[1:], duration=ms, loop=0
        )
    return Path(path)


def write_png(path: str | Path, image: UInt8[np.ndarray, "C H W"], *, zoom: int = 1) -> Path:
    """Write an image as a PNG; ``zoom`` is pixels per pixel.

    Raises
    ------
    InputError
        When it exists or cannot be written.
    """
    with replacing(path) as temporary:
        _image(image, zoom).save(temporary, "PNG")
    return Path(path)


def fitted(
    clip: UInt8[np.ndarray, "T C H W"], shape: Sequence[int]
) -> UInt8[np.ndarray, "U D I J"]:
    """Convert a clip to a model's shape ``(T, C, H, W)``, or its first frame to ``(C, H, W)``.

    Frames are selected at even intervals, pixels are averaged or repeated, RGB becomes grey or
    grey is repeated.
    """
    from PIL import Image

    if len(shape) == 3:
        return fitted(clip[:1], (1, *shape))[0]
    steps, channels, height, width = shape
    if clip.shape[1] != channels:
        clip = clip.mean(axis=1, keepdims=True).round().astype(np.uint8)
        clip = np.repeat(clip, channels, axis=1)
    clip = clip[np.linspace(0, len(clip) - 1, steps).round().astype(int)]
    if clip.shape[2:] != (height, width):
        planes = clip.reshape(-1, *clip.shape[2:])
        resized = [Image.fromarray(p).resize((width, height), Image.Resampling.BOX) for p in planes]
        clip = np.stack([np.asarray(p) for p in resized]).reshape(shape)
    return np.ascontiguousarray(clip)


def _read_image(path: Path) -> list[UInt8[np.ndarray, "H W 3"]]:
    from PIL import Image, ImageSequence

    errors = (*IMAGE_ERRORS, Image.DecompressionBombError, Image.DecompressionBombWarning)
    frames, pixels = [], 0
    with (
        damage_named(path, "not a readable image", errors=errors, remedy=_REMEDY),
        warnings.catch_warnings(),
        open_raw(check_file(path)) as file,
    ):
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(file, formats=FORMATS) as image:
            for frame in ImageSequence.Iterator(image):
                pixels += frame.width * frame.height
                if pixels > MOST_PIXELS:
                    raise _too_many_pixels(path)
                frames.append(np.asarray(frame.convert("RGB")))
    return frames


def _read_array(path: Path) -> UInt8[np.ndarray, "T C H W"]:
    clip = read_npy(path)
    if clip.ndim == 3:
        clip = clip[:, None]
    elif clip.ndim == 4 and clip.shape[1] not in (1, 3) and clip.shape[3] in (1, 3):
        clip = clip.transpose(0, 3, 1, 2)
    if clip.ndim != 4 or clip.shape[1] not in (1, 3) or not clip.size:
        raise InputError(
            f"an array of shape {clip.shape} is not a clip",
            file=path,
            remedy="Give the shape (T, H, W), (T, H, W, C) or (T, C, H, W) with C 1 or 3",
        )
    if clip.dtype == np.uint8:
        return clip
    if not (np.isfinite(clip).all() and clip.min() >= 0 and clip.max() <= 1):
        raise InputError("values are neither uint8 nor in [0, 1]", file=path)
    return (clip * 255).round().astype(np.uint8)


def _read_video(path: Path) -> UInt8[np.ndarray, "T C H W"]:
    # Own data reads the formats of this module, too.
    from danq.vision.own_data.video_files import clip_facts, frames_of

    facts = clip_facts(str(path))
    if facts.frames * facts.height * facts.width > MOST_PIXELS:
        raise _too_many_pixels(path)
    frames = frames_of(str(path), range(facts.frames), 3)
    return np.stack([np.asarray(frame).transpose(2, 0, 1) for frame in frames])


def _too_many_pixels(path: Path) -> InputError:
    return InputError(
        f"has more than {MOST_PIXELS:,} pixels", file=path, remedy="Give smaller or fewer images"
    )


def _image(image: UInt8[np.ndarray, "C H W"], zoom: int):
    from PIL import Image

    plane = image[0] if image.shape[0] == 1 else image.transpose(1, 2, 0)
    pixels = Image.fromarray(np.ascontiguousarray(plane))
    return pixels.resize((pixels.width * zoom, pixels.height * zoom), Image.Resampling.NEAREST)


def _number(path: Path) -> tuple[tuple[int, ...], str]:
    return tuple(int(digits) for digits in re.findall(r"\d+", path.stem)), path.name
