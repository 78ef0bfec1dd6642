"""Videos and sounds of a stick that hits an object, and the envelopes of the sounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from danq.vision.generators.shape_images import shape_mask

RATE, FPS, FRAMES, SIDE = 8100, 30, 20, 16
"""Samples per second, frames per second, frames per clip, pixels per side."""
STEPS = 3
"""Steps of the envelope per frame: 90 Hz, as in Owens et al."""
BANDS = 10
COMPRESSION = 0.3
REACH = 8
"""Frames after which the sound of an impact has decayed."""


@dataclass(frozen=True)
class Material:
    """Material of an object.

    Attributes
    ----------
    modes
        Resonance frequencies in Hz.
    decay
        Seconds in which the lowest mode decays to 1 / e; higher modes decay faster.
    colour
        Mean RGB colour of objects.
    grain
        Standard deviation of pixels around the colour.
    """

    modes: tuple[float, ...]
    decay: float
    colour: tuple[int, int, int]
    grain: float


MATERIALS = {
    "metal": Material((620, 1490, 2310, 3350), 0.12, (150, 155, 170), 4),
    "wood": Material((310, 680, 1120), 0.025, (150, 110, 70), 18),
    "glass": Material((1750, 2640, 3420), 0.05, (165, 190, 190), 2),
    "drum": Material((120, 195, 270), 0.07, (190, 175, 150), 8),
}


@dataclass(frozen=True)
class Impacts:
    """Clips of a stick that hits an object, and their sounds.

    Attributes
    ----------
    clips
        ``(N, T, 3, H, W)``.
    waves
        ``(N, samples)`` in [-1, 1].
    material
        Index of the material in `MATERIALS`.
    hits
        ``(N, T)``, True in frames in which the stick hits the object.
    """

    clips: UInt8[np.ndarray, "N T 3 H W"]
    waves: Float[np.ndarray, "N L"]
    material: Int64[np.ndarray, " N"]
    hits: Bool[np.ndarray, "N T"]


def impacts(count: int, rng: np.random.Generator) -> Impacts:
    """Draw clips with one or two hard or soft impacts on an object of one material."""
    material = rng.integers(len(MATERIALS), size=count)
    clips = np.empty((count, FRAMES, 3, SIDE, SIDE), np.uint8)
    waves = np.zeros((count, FRAMES * RATE // FPS))
    hits = np.zeros((count, FRAMES), bool)
    kinds = list(MATERIALS.values())
    for number in range(count):
        times = np.sort(rng.choice([3, 7, 11, 15], rng.integers(1, 3), replace=False))
        speeds = rng.uniform(1.0, 3.0, len(times))
        clips[number] = _frames(kinds[material[number]], times, speeds, rng)
        waves[number] = _sound(kinds[material[number]], times, speeds, rng)
        hits[number, times] = True
    return Impacts(clips, waves, material, hits)


def envelopes(
    waves: Float[np.ndarray, "N L"],
    *,
    rate: int = RATE,
    fps: int = FPS,
    steps: int = STEPS,
    bands: int = BANDS,
) -> Float[np.ndarray, "N T K"]:
    """Loudness of the bands of a sound, ``steps`` times ``bands`` values per frame.

    Bands have even distances on the ERB scale of hearing. The root mean square of each step and
    band is raised to the power 0.3.

    Parameters
    ----------
    waves
        Samples, of whole steps.
    rate, fps
        Samples and frames per second.
    steps, bands
        Steps per frame, and bands of a step.
    """
    spectrum = np.fft.rfft(waves, axis=1)
    frequency = np.fft.rfftfreq(waves.shape[1], 1 / rate)
    scale = 21.4 * np.log10(1 + 0.00437 * frequency)
    centres = np.linspace(scale[-1] / (bands + 1), scale[-1], bands + 1)[:-1]
    width = centres[1] - centres[0]
    levels = []
    for centre in centres:
        share = np.clip(1 - np.abs(scale - centre) / width, 0, None) ** 0.5
        band = np.fft.irfft(spectrum * share, waves.shape[1], axis=1)
        parts = band.reshape(len(waves), -1, rate // fps // steps)
        levels.append(np.sqrt((parts**2).mean(axis=2)))
    compressed = np.stack(levels, axis=2) ** COMPRESSION
    return compressed.reshape(len(waves), -1, steps * bands).astype(np.float32)


def vocoded(
    levels: Float[np.ndarray, "T K"], *, bands: int, rate: int, fps: int
) -> Float[np.ndarray, " L"]:
    """Make a waveform with levels as `envelopes` gives them, from one sine in each band.

    Parameters
    ----------
    levels
        Values of each frame: the bands of its first step, then those of the next.
    bands
        Bands of a step.
    rate, fps
        Samples and frames per second.
    """
    steps = levels.reshape(-1, bands)
    width = 21.4 * np.log10(1 + 0.00437 * rate / 2) / (bands + 1)
    centres = (10 ** (width * np.arange(1, bands + 1) / 21.4) - 1) / 0.00437
    samples = len(levels) * rate // fps
    time = np.arange(samples) / rate
    middles = (np.arange(len(steps)) + 0.5) * (samples / rate / len(steps))
    wave = np.zeros(samples)
    for centre, level in zip(centres, steps.T, strict=True):
        # A sine of amplitude a has the root mean square a / sqrt(2).
        amplitude = np.sqrt(2) * np.clip(level, 0, None) ** (1 / COMPRESSION)
        wave += np.interp(time, middles, amplitude) * np.sin(2 * np.pi * centre * time)
    return wave.clip(-1, 1)


def onsets(levels: Float[np.ndarray, "T K"]) -> list[int]:
    """Frames in which the loudness increases abruptly."""
    loudness = levels.mean(axis=1)
    increase = np.diff(loudness, prepend=loudness[:1])
    least = max(0.05, 0.35 * float(increase.max()))
    before, after = np.roll(increase, 1), np.roll(increase, -1)
    before[0], after[-1] = 0, 0
    peaks = (increase >= least) & (increase >= before) & (increase > after)
    return np.flatnonzero(peaks).tolist()


def _frames(
    kind: Material, times: np.ndarray, speeds: np.ndarray, rng: np.random.Generator
) -> UInt8[np.ndarray, "T 3 H W"]:
    """Frames of a stick that moves down to an object and up again."""
    colour = np.array(kind.colour) + rng.normal(0, 8, 3)
    texture = colour[:, None, None] + rng.normal(0, kind.grain, (1, SIDE, SIDE))
    background = rng.integers(10, 50, 3)[:, None, None]
    shape = rng.choice(["circle", "square"])
    clip = np.empty((FRAMES, 3, SIDE, SIDE), np.uint8)
    tip = rng.uniform(5, 11)
    for frame in range(FRAMES):
        distance = np.abs(frame - times) * speeds
        nearest = int(distance.argmin())
        shift = speeds[nearest] / 3 if times[nearest] == frame else 0.0
        mask = shape_mask(str(shape), SIDE, 11.5 + shift, 7.5, 4.0)
        image = np.where(mask, texture, background)
        end = int(np.clip(8 - distance[nearest], 0, 8))
        image[:, :end, int(tip)] = 255
        clip[frame] = image.clip(0, 255)
    return clip


def _sound(
    kind: Material, times: np.ndarray, speeds: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, " L"]:
    """Damped sines and a click after each impact, and weak noise."""
    time = np.arange(FRAMES * RATE // FPS) / RATE
    wave = rng.normal(0, 1e-4, len(time))
    pitch = np.array(kind.modes) * rng.uniform(0.9, 1.1)
    strength = rng.uniform(0.5, 1.0, len(pitch)) / np.arange(1, len(pitch) + 1) ** 0.5
    decay = kind.decay * (pitch[0] / pitch) ** 0.5
    for impact, speed in zip(times, speeds, strict=True):
        since = time - impact / FPS
        after = since[since >= 0]
        ring = strength[:, None] * np.sin(2 * np.pi * pitch[:, None] * after)
        tone = (ring * np.exp(-after / decay[:, None])).sum(axis=0)
        click = rng.normal(0, 0.3, len(after)) * np.exp(-after / 0.003)
        wave[since >= 0] += 0.08 * speed * (tone + click)
    return wave
