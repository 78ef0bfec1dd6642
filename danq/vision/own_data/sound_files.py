"""Read sounds, and turn them into log-mel frames."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.vision.own_data.media_damage import decoded_frames
from danq.vision.own_data.video_files import opened_media

SOUND_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".m4a", ".aac"})

RATE = 16_000
"""Samples per second, to which sounds are converted."""

BANDS = 40
"""Mel bands, from `LOWEST` Hz to half of `RATE`."""

LOWEST = 50.0
WINDOW = 512
"""Samples of a window: 32 ms."""

HOP = 160
"""Samples between frames: 10 ms, unless sounds are long."""

_FLOOR = 1e-6
"""Power that is silence: -60 dB."""

_LONGEST = 3600
"""Seconds of a sound that are read at most."""


class SoundFacts(NamedTuple):
    """What is known of a sound.

    Attributes
    ----------
    samples
        Number of samples at `RATE`.
    """

    samples: int


def read_sound(path: str) -> Float32[np.ndarray, " S"]:
    """Read a sound as one channel of `RATE` samples per second.

    Channels are averaged.

    Raises
    ------
    InputError
        When it cannot be read, or has no samples.
    """
    import av

    pieces: list[np.ndarray] = []
    total = 0
    with opened_media(path, "audio") as (container, stream):
        resampler = av.AudioResampler("fltp", rate=RATE)
        frames = decoded_frames(container, stream)
        for part in (part for frame in frames for part in resampler.resample(frame)):
            pieces.append(part.to_ndarray().mean(axis=0))
            total += len(pieces[-1])
            if total > _LONGEST * RATE:
                raise InputError("is longer than an hour", file=path, remedy="Cut it into pieces")
        if pieces:
            pieces += [part.to_ndarray().mean(axis=0) for part in resampler.resample(None)]
    if not total:
        raise InputError("has no samples", file=path, remedy="Make or copy it again")
    return np.concatenate(pieces).astype(np.float32)


def sound_facts(path: str) -> SoundFacts:
    """Decode a sound to its end, and describe it.

    Raises
    ------
    InputError
        As `read_sound`.
    """
    return SoundFacts(len(read_sound(path)))


def log_mel(samples: Float32[np.ndarray, " S"], hop: int) -> Float32[np.ndarray, "U F"]:
    """Logarithm (base 10) of the power in mel bands around each ``hop``-th sample.

    Parameters
    ----------
    samples
        At `RATE`.
    hop
        Samples between frames.
    """
    half = WINDOW // 2
    padded = np.pad(samples, (half, half))
    starts = np.arange(0, len(samples), hop)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[starts]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2 / WINDOW
    return np.log10(power @ mel_filters() + _FLOOR).astype(np.float32)


@cache
def mel_filters() -> Float64[np.ndarray, "J F"]:
    """Weight of each frequency in each mel band (O'Shaughnessy's scale): triangles of sum 1."""
    ends = np.linspace(_mel(LOWEST), _mel(RATE / 2), BANDS + 2)
    edges = 700 * (10 ** (ends / 2595) - 1)
    frequencies = np.fft.rfftfreq(WINDOW, 1 / RATE)[:, None]
    rise = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rise, fall))
    return filters / np.maximum(filters.sum(axis=0), 1e-12)


def _mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)
