"""Turn the files of one example into arrays, in any process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Int64

from danq.vision.own_data.file_stamps import refuse_changed
from danq.vision.own_data.frame_sampling import sampled_frames
from danq.vision.own_data.image_files import opened_image
from danq.vision.own_data.image_transforms import PLAIN, Variation, fitted_image, fitted_pixels
from danq.vision.own_data.sound_files import log_mel, read_sound
from danq.vision.own_data.video_files import frames_of

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


class ClipDecoder:
    """Reads the frames of one clip, and the classes of the frames, if there are any.

    Parameters
    ----------
    shape
        Frames, channels, height, width.
    fit, bits, augment
        As in `ImageDecoder`; "frames" varies the times of frames.
    labels
        Whether frames have classes.
    """

    def __init__(
        self,
        shape: Sequence[int],
        fit: str,
        bits: int = 8,
        augment: Sequence[str] = (),
        labels: bool = False,
    ) -> None:
        self.steps, channels, height, width = shape
        self.shape = (channels, height, width)
        self.fit, self.bits, self.augment = fit, bits, frozenset(augment)
        self.labels = labels
        self.fields: FieldTypes = {
            "clip": ("uint8", (self.steps, *self.shape)),
            "real": ("bool", (self.steps,)),
        }
        if labels:
            self.fields["labels"] = ("int64", (self.steps,))

    def decode(
        self, source: Mapping[str, Any], rng: np.random.Generator | None
    ) -> Mapping[str, np.ndarray]:
        """Read the frames of a clip.

        Parameters
        ----------
        source
            ``path``; ``frames``, their number; ``labels``, if frames have classes: the class and
            the number of frames of each run of frames with one class, in order.
        rng
            Draws variations.
        """
        variation, times = PLAIN, None
        if rng is not None and self.augment:
            variation = Variation.draw(rng, self.augment)
            times = rng if "frames" in self.augment else None
        numbers = sampled_frames(source["frames"], self.steps, times)
        images = frames_of(source["path"], numbers.tolist(), self.shape[0], self.bits)
        clip = np.zeros((self.steps, *self.shape), np.uint8)
        for step, image in enumerate(images):
            clip[step] = fitted_pixels(image, self.shape, fit=self.fit, variation=variation)
        found = {"clip": clip, "real": np.arange(self.steps) < len(numbers)}
        if self.labels:
            found["labels"] = labels_at(source["labels"], numbers, self.steps)
        return found


class ClipSoundDecoder(ClipDecoder):
    """Reads the frames of a clip, and its sound.

    Parameters
    ----------
    shape, fit, bits, augment
        As in `ClipDecoder`.
    sound_shape
        Largest number of frames of the sound, and mel bands.
    hop
        Samples between the frames of the sound.
    """

    def __init__(
        self,
        shape: Sequence[int],
        fit: str,
        sound_shape: Sequence[int],
        hop: int,
        bits: int = 8,
        augment: Sequence[str] = (),
        labels: bool = False,
    ) -> None:
        super().__init__(shape, fit, bits, augment, labels)
        self.sound_steps, bands = sound_shape
        self.hop = hop
        self.fields |= {
            "sound": ("float32", (self.sound_steps, bands)),
            "sound_real": ("bool", (self.sound_steps,)),
        }

    def decode(
        self, source: Mapping[str, Any], rng: np.random.Generator | None
    ) -> Mapping[str, np.ndarray]:
        """Read the frames at ``path``, and the sound at ``sound``."""
        frames = log_mel(read_sound(source["sound"]), self.hop)[: self.sound_steps]
        sound = np.zeros(self.fields["sound"][1], np.float32)
        sound[: len(frames)] = frames
        real = np.arange(self.sound_steps) < len(frames)
        return {**super().decode(source, rng), "sound": sound, "sound_real": real}


def labels_at(
    runs: Sequence[Sequence[int]], numbers: np.ndarray, steps: int
) -> Int64[np.ndarray, " T"]:
    """Classes of selected frames; -1 for frames without a class, and behind the last frame.

    Parameters
    ----------
    runs
        Class and number of frames of each run.
    numbers
        0-based numbers of the frames.
    steps
        Length of the result.
    """
    classes, lengths = np.array(runs, np.int64).reshape(-1, 2).T
    run = np.searchsorted(np.cumsum(lengths), numbers, side="right")
    out = np.full(steps, -1, np.int64)
    out[: len(numbers)] = np.append(classes, -1)[run]
    return out


_DECODERS: dict[str, Any] = {
    "image": ImageDecoder,
    "clip": ClipDecoder,
    "clip and sound": ClipSoundDecoder,
}


def make_decoder(description: Description) -> Decoder:
    """Make the decoder that JSON values describe: its kind, and the arguments of its class."""
    arguments = {name: value for name, value in description.items() if name != "kind"}
    return _DECODERS[description["kind"]](**arguments)


def decode_row(
    decoder: Decoder,
    row: int,
    source: Any,
    stamp: Sequence[int],
    epoch: Sequence[int] | None,
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
    stamp
        Their stamp.
    epoch
        Random seed and epoch of a training; variations depend on them and on ``row``. None for
        an evaluation, which has no variations.

    Raises
    ------
    InputError
        When files cannot be read, or have another stamp.
    """
    rng = None if epoch is None else np.random.default_rng([*epoch, row])
    found = decoder.decode(source, rng)
    # Afterwards, so that no change while they are read is missed.
    refuse_changed(source, stamp)
    return found
