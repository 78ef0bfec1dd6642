"""Read frames of clips: videos, animated images, folders of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from danq.errors import InputError, needs_package
from danq.files.npy_input import damage_named
from danq.files.open_input import check_file, open_raw
from danq.vision.own_data.cut_files import missing_bytes
from danq.vision.own_data.image_files import GREY_MODES, image_facts, opened_image, upright
from danq.vision.own_data.media_damage import (
    check_strictly,
    damage_reported,
    decoded_frames,
    ffmpeg_reports,
)

if TYPE_CHECKING:
    from PIL.Image import Image

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv"}
)
ANIMATED_SUFFIXES = frozenset({".gif", ".webp"})
FRAME_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"}
)
CLIP_SUFFIXES = VIDEO_SUFFIXES | ANIMATED_SUFFIXES

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,"
    "wav,aiff,flac,mp3,aac"
)
"""Formats that FFmpeg may read: none of them opens another file."""

_MOST_PIXELS = 1 << 26
"""Largest number of pixels of a frame."""

_REMEDY = "Convert it again, for example with: ffmpeg -i INPUT -pix_fmt yuv420p OUTPUT.mp4"
_SOUND_REMEDY = "Convert it again, for example with: ffmpeg -i INPUT OUTPUT.wav"
_FOLDER_REMEDY = "Give a video, an animated GIF, or a folder of images"


class ClipFacts(NamedTuple):
    """What is known of a clip.

    Attributes
    ----------
    height, width
        In pixels, of the first frame as it is shown.
    grey
        Whether it has no colours by its type.
    frames
        Number of frames.
    largest
        Largest value of frames with more than 8 bits; 0 of all others.
    """

    height: int
    width: int
    grey: bool
    frames: int
    largest: int


def refuse_no_av() -> None:
    """Check that PyAV is installed.

    Raises
    ------
    MissingPackage
        When it is not.
    """
    with needs_package("reading videos and sounds requires PyAV", "vision"):
        import av  # noqa: F401


@contextmanager
def opened_media(path: str | Path, kind: str) -> Iterator[tuple[Any, Any]]:
    """Context with a container of PyAV and its first stream of a kind, "video" or "audio".

    Raises
    ------
    InputError
        When the file is missing, empty, damaged, or has no such stream; also for errors within the
        block.
    """
    refuse_no_av()
    import av

    path = Path(path)
    errors = (av.FFmpegError, ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError)
    what, remedy = ("video", _REMEDY) if kind == "video" else ("sound", _SOUND_REMEDY)
    with (
        damage_named(path, f"not a readable {what}", errors=errors, remedy=remedy),
        open_raw(check_file(path)) as file,
        _whole(path, file),
        ffmpeg_reports() as reports,
        av.open(file, container_options={"format_whitelist": _CONTAINERS}) as container,
    ):
        streams = getattr(container.streams, kind)
        if not streams:
            raise InputError(f"has no {what}", file=path, remedy=remedy)
        stream = streams[0]
        # Each process decodes another file.
        stream.codec_context.thread_count = 1
        check_strictly(stream)
        with damage_reported(path, container, stream, reports):
            yield container, stream


@contextmanager
def _whole(path: Path, file: IO[bytes]) -> Iterator[None]:
    if missing := missing_bytes(file):
        raise InputError(
            f"its last {missing:,} bytes are missing", file=path, remedy="Make or copy it again"
        )
    yield


def clip_facts(path: str) -> ClipFacts:
    """Decode a clip to its end, and describe it.

    Raises
    ------
    InputError
        When it cannot be read, or has no frames.
    """
    if os.path.isdir(path):
        files = frame_files(path)
        facts = [image_facts(file) for file in files]
        grey, largest = all(one.grey for one in facts), max(one.largest for one in facts)
        return ClipFacts(facts[0].height, facts[0].width, grey, len(files), largest)
    if is_animated(path):
        with opened_image(path) as image:
            grey = image.mode in GREY_MODES
            frames = getattr(image, "n_frames", 1)
            for number in range(frames):
                image.seek(number)
                image.load()
            return ClipFacts(image.height, image.width, grey, frames, 0)
    count, first = 0, None
    with opened_media(path, "video") as (container, stream):
        if stream.width * stream.height > _MOST_PIXELS:
            raise InputError(
                f"has frames of {stream.width:,} x {stream.height:,} pixels",
                file=path,
                remedy="Make it smaller",
            )
        for frame in decoded_frames(container, stream):
            first = first or frame
            count += 1
        if first is None:
            raise InputError("has no frames", file=path, remedy=_REMEDY)
        height, width = first.height, first.width
        if first.rotation % 180:
            height, width = width, height
        return ClipFacts(height, width, first.format.name.startswith("gray"), count, 0)


def frames_of(path: str, numbers: Sequence[int], channels: int, bits: int = 8) -> list[Image]:
    """Selected frames of a clip, grey or RGB, as they are shown.

    Parameters
    ----------
    path
        The clip.
    numbers
        0-based numbers of frames, ascending; some may be equal. A number behind the end is the
        last frame.
    channels
        1 for grey or 3 for RGB.
    bits
        As in `upright`, for folders of images.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    if os.path.isdir(path):
        files = frame_files(path)
        images = []
        for number in numbers:
            with opened_image(files[min(number, len(files) - 1)]) as image:
                images.append(upright(image, channels, bits))
        return images
    if is_animated(path):
        images = []
        with opened_image(path) as image:
            last = getattr(image, "n_frames", 1) - 1
            for number in numbers:
                image.seek(min(number, last))
                images.append(upright(image.copy(), channels, bits))
        return images
    return _video_frames(path, numbers, channels)


def _video_frames(path: str, numbers: Sequence[int], channels: int) -> list[Image]:
    from PIL import Image as pillow

    images: list[Image] = []
    last = None
    with opened_media(path, "video") as (container, stream):
        for number, frame in enumerate(decoded_frames(container, stream)):
            last = frame
            while len(images) < len(numbers) and numbers[len(images)] == number:
                images.append(_image_of(frame, channels, pillow))
            if len(images) == len(numbers):
                break
        if last is None:
            raise InputError("has no frames", file=path, remedy=_REMEDY)
        while len(images) < len(numbers):
            images.append(_image_of(last, channels, pillow))
    return images


def _image_of(frame: Any, channels: int, pillow: Any) -> Image:
    pixels = frame.to_ndarray(format="gray" if channels == 1 else "rgb24")
    if turns := round(frame.rotation / 90) % 4:
        pixels = np.ascontiguousarray(np.rot90(pixels, turns))
    return pillow.fromarray(pixels)


def is_animated(path: str) -> bool:
    """Whether a file is an image, which may have several frames, by its name."""
    suffix = os.path.splitext(path)[1].lower()
    return suffix in ANIMATED_SUFFIXES | FRAME_SUFFIXES


def frame_files(folder: str) -> list[str]:
    """Images of a folder in the order of the numbers in their names.

    Raises
    ------
    InputError
        When there are none.
    """
    with os.scandir(folder) as entries:
        found = [
            one.path
            for one in entries
            if one.name[0] != "." and os.path.splitext(one.name)[1].lower() in FRAME_SUFFIXES
        ]
    if not found:
        raise InputError("is a folder without images", file=folder, remedy=_FOLDER_REMEDY)
    return sorted(found, key=_order)


def _order(path: str) -> tuple[tuple[int, ...], str]:
    stem = os.path.splitext(os.path.basename(path))[0]
    return tuple(map(int, re.findall(r"[0-9]+", stem))), path
