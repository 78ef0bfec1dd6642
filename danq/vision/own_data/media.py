"""Images and clips as inputs of a model: sizes, decoders, notices."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from danq.vision.own_data.image_files import ImageFacts, common_bits
from danq.vision.own_data.input_settings import InputSettings
from danq.vision.own_data.records import Source
from danq.vision.own_data.sound_files import BANDS, HOP, RATE
from danq.vision.own_data.video_files import (
    CLIP_SUFFIXES,
    FRAME_SUFFIXES,
    VIDEO_SUFFIXES,
    ClipFacts,
)

IMAGE_SUFFIXES = FRAME_SUFFIXES | {".gif"}

LONGEST_SIDE = {"image": 224, "video": 112}
"""Largest side, unless a size is given."""

MOST_FRAMES = 16
"""Largest number of frames, unless one is given."""

MOST_SOUND_FRAMES = 512
"""Largest number of frames of a sound; the frames of longer sounds are further apart."""

log = logging.getLogger("danq")


class Media(NamedTuple):
    """A kind of file that a model receives.

    Attributes
    ----------
    name
        "image" or "video"; also the kind of `danq.vision.own_data.checked_files.CHECKS`.
    what
        The files, for messages.
    suffixes
        Endings of its files.
    frames
        Endings of images, whose folders are examples.
    """

    name: str
    what: str
    suffixes: frozenset[str]
    frames: frozenset[str]


IMAGE = Media("image", "images", IMAGE_SUFFIXES, frozenset())
VIDEO = Media("video", "videos", CLIP_SUFFIXES, FRAME_SUFFIXES)


def media_of(path: str) -> Media:
    """Kind of a file by its name: folders and videos are clips."""
    suffix = "." + path.rsplit(".", 1)[-1].lower() if "." in path else ""
    return IMAGE if suffix in IMAGE_SUFFIXES and suffix not in VIDEO_SUFFIXES else VIDEO


def describe_decoder(
    media: Media,
    kind: str,
    facts: Sequence[ImageFacts | ClipFacts],
    settings: InputSettings,
) -> dict[str, Any]:
    """Decoder of an evaluation, as `make_decoder` takes it.

    Parameters
    ----------
    media
        Images or clips.
    kind
        What is to be predicted.
    facts
        Those of the training split.
    settings
        Size, frames and fit, where they are given.
    """
    channels = 1 if all(one.grey for one in facts) else 3
    size = settings.size or _median_size(facts, LONGEST_SIDE[media.name])
    fit = settings.fit or ("crop" if kind == "classes" else "stretch")
    found: dict[str, Any] = {
        "kind": "image" if media is IMAGE else "clip",
        "shape": [channels, *size],
        "fit": fit,
        "bits": common_bits(max(one.largest for one in facts)),
    }
    if media is VIDEO:
        typical = round(median(one.frames for one in facts))
        found["shape"].insert(0, settings.frames or max(2, min(MOST_FRAMES, typical)))
        found["labels"] = kind == "frames"
    return found


def augmentation(decoder: Mapping[str, Any], settings: InputSettings, kind: str) -> list[str]:
    """Variations of training that keep what is to be predicted."""
    used = {
        "crop": settings.augment and kind == "classes" and decoder["fit"] == "crop",
        "colour": settings.augment,
        "frames": settings.augment and decoder["kind"] != "image",
        "flip": settings.flip,
    }
    return [name for name, on in used.items() if on]


def report_media(
    source: Source, media: Media, facts: Sequence[Any], decoder: Mapping[str, Any]
) -> None:
    """Log what was assumed of images or clips."""
    height, width = decoder["shape"][-2:]
    how = {"crop": "cropped at the edges", "stretch": "stretched", "pad": "padded"}
    if {(one.height, one.width) for one in facts} != {(height, width)}:
        log.info(
            "%s: %s are resized to %d x %d pixels (height x width) and %s where the shape differs",
            source.path,
            media.what,
            height,
            width,
            how[decoder["fit"]],
        )
    if media is VIDEO:
        steps, longer = decoder["shape"][0], sum(one.frames > decoder["shape"][0] for one in facts)
        if longer:
            log.info(
                "%s: %d of %d videos have more than %d frames; of these, %d at equal distances are "
                "used",
                source.path,
                longer,
                len(facts),
                steps,
                steps,
            )
    else:
        if transparent := sum(one.transparent for one in facts):
            log.info("%s: %d transparent images are placed on white", source.path, transparent)
        if several := sum(one.frames > 1 for one in facts):
            log.info(
                "%s: of %d images with several frames, the first is used", source.path, several
            )
    if decoder["bits"] > 8:
        log.info("%s: values of up to %d bits are reduced to 8", source.path, decoder["bits"])


def _median_size(facts: Sequence[ImageFacts | ClipFacts], most: int) -> list[int]:
    sides = [median(one.height for one in facts), median(one.width for one in facts)]
    scale = most / max(sides)
    if scale < 1:
        # Convolutions halve a size several times.
        sides = [max(8, round(side * scale / 8) * 8) for side in sides]
    return [max(1, round(side)) for side in sides]


def describe_sound(samples: Sequence[int]) -> dict[str, Any]:
    """Decoder of clips with sounds, in addition to that of the clips.

    Parameters
    ----------
    samples
        Lengths of the sounds of the training split.
    """
    hop = max(HOP, -(-max(samples) // MOST_SOUND_FRAMES))
    return {
        "kind": "clip and sound",
        "hop": hop,
        "sound_shape": [-(-max(samples) // hop), BANDS],
    }


def report_sounds(source: Source, samples: Sequence[int], decoder: Mapping[str, Any]) -> None:
    """Log how sounds are read, and how many are longer than a model takes."""
    hop, steps = decoder["hop"], decoder["sound_shape"][0]
    log.info(
        "%s: sounds of up to %.2f s are read as frames of %d mel bands every %.1f ms",
        source.path,
        steps * hop / RATE,
        BANDS,
        1000 * hop / RATE,
    )
    if longer := sum(-(-one // hop) > steps for one in samples):
        log.warning("%s: of %d sounds that are longer, the end is left out", source.path, longer)
