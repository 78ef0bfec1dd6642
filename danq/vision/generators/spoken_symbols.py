"""Recordings of spoken digits and letters in the `captcha` package, as levels of bands."""

from __future__ import annotations

import wave
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float

from danq.errors import needs_package

RATE, WINDOW, HOP = 8000, 256, 40
"""Samples per second, per spectrum, and from a spectrum to the next (5 ms)."""
FLOOR = 60.0
"""Decibels from the loudest band to the level 0."""


@cache
def spoken_symbol(symbol: str, bands: int) -> Float[np.ndarray, "T D"]:
    """Levels of the bands of a recording, every 5 ms; 0 is silence and 1 the loudest band.

    Bands have even distances on the mel scale, and levels are logarithms of their energy.

    Raises
    ------
    InputError
        When the package is not installed.
    """
    with needs_package("spoken digits require the package captcha", "vision"):
        recording = files("captcha") / "data" / symbol / "default.wav"
        with recording.open("rb") as file, wave.open(file) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.uint8)
    waves = np.pad(samples.astype(np.float64) / 128 - 1, WINDOW // 2)
    parts = np.lib.stride_tricks.sliding_window_view(waves, WINDOW)[::HOP]
    energy = np.abs(np.fft.rfft(parts * np.hanning(WINDOW), axis=1)) ** 2
    levels = 10 * np.log10(energy @ mel_filters(bands).T + 1e-10)
    return np.clip(1 + (levels - levels.max()) / FLOOR, 0, 1)


def mel_filters(bands: int) -> Float[np.ndarray, "D F"]:
    """Triangular filters with even distances on the mel scale, from 0 to half the rate."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (frequency - low) / (centre - low), (high - frequency) / (high - centre)
    return np.minimum(rise, fall).clip(0)
