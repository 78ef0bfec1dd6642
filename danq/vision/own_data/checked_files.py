"""Read files to their ends: whether they are damaged, and what they contain."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from danq.files.open_input import check_file, open_raw
from danq.vision.own_data.file_stamps import stamp_of
from danq.vision.own_data.image_files import ImageFacts, image_facts
from danq.vision.own_data.sound_files import SoundFacts, sound_facts
from danq.vision.own_data.video_files import ClipFacts, clip_facts, frame_files

_PIECE = 1 << 20


class CheckedFile(NamedTuple):
    """What is known of a file that was read to its end.

    Attributes
    ----------
    digest
        sha256 of its content.
    facts
        Its description, such as `ImageFacts`.
    stamp
        As `danq.vision.own_data.file_stamps.stamp_of`.
    """

    digest: str
    facts: Any
    stamp: tuple[int, int]


def digest_of(path: str) -> str:
    """sha256 of the content of a file.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    total = hashlib.sha256()
    with open_raw(check_file(path)) as file:
        while piece := file.read(_PIECE):
            total.update(piece)
    return total.hexdigest()


def check_image(path: str) -> CheckedFile:
    """Read an image to its end.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    stamp = stamp_of([path])
    return CheckedFile(digest_of(path), image_facts(path), stamp)


def check_clip(path: str) -> CheckedFile:
    """Read a clip to its end.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    stamp = stamp_of([path])
    facts = clip_facts(path)
    files = frame_files(path) if os.path.isdir(path) else [path]
    digests = [digest_of(file) for file in files]
    total = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode())
    return CheckedFile(total if isinstance(total, str) else total.hexdigest(), facts, stamp)


def check_sound(path: str) -> CheckedFile:
    """Read a sound to its end.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    stamp = stamp_of([path])
    return CheckedFile(digest_of(path), sound_facts(path), stamp)


CHECKS: dict[str, Callable[[str], CheckedFile]] = {
    "image": check_image,
    "video": check_clip,
    "sound": check_sound,
}
"""Kinds of files, and how they are read to their ends."""

FACTS: dict[str, Callable[..., Any]] = {
    "image": ImageFacts,
    "video": ClipFacts,
    "sound": SoundFacts,
}
"""Kinds of files, and the descriptions of their content."""
