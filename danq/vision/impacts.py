"""Things that are struck: what is seen, what is heard, and how a sound is told in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from danq.vision.scenes import shape_mask

RATE, FPS, FRAMES, SIDE = 8100, 30, 20, 16
"""Samples a second, frames a second, frames of a clip, pixels of a side."""
STEPS = 3
"""Steps of the envelope in a frame: 90 Hz, as Owens et al. have it."""
BANDS = 10
COMPRESSION = 0.3
REACH = 8
"""Frames by which a blow's sound has died away."""


@dataclass(frozen=True)
class Material:
    """What a thing is made of.

    Attributes
    ----------
    modes
        Frequencies in Hz at which it rings.
    decay
        Seconds in which the lowest mode falls to 1 / e; higher ones fall faster.
    colour
        RGB, about which things of it vary.
    grain
        How much neighbouring pixels differ.
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
    """Clips of a stick that strikes a thing, and what is heard.

    Attributes
    ----------
    clips
        ``(N, T, 3, H, W)``.
    waves
        ``(N, samples)`` in [-1, 1].
    material
        Number of the material in `MATERIALS`.
    struck
        ``(N, T)``, True at the frames in which the stick hits.
    """

    clips: UInt8[np.ndarray, "N T 3 H W"]
    waves: Float[np.ndarray, "N L"]
    material: Int64[np.ndarray, " N"]
    struck: Bool[np.ndarray, "N T"]


def impacts(count: int, rng: np.random.Generator) -> Impacts:
    """One or two blows a clip, hard or soft, on a thing of one material."""
    material = rng.integers(len(MATERIALS), size=count)
    clips = np.empty((count, FRAMES, 3, SIDE, SIDE), np.uint8)
    waves = np.zeros((count, FRAMES * RATE // FPS))
    struck = np.zeros((count, FRAMES), bool)
    kinds = list(MATERIALS.values())
    for number in range(count):
        blows = np.sort(rng.choice([3, 7, 11, 15], rng.integers(1, 3), replace=False))
        speeds = rng.uniform(1.0, 3.0, len(blows))
        clips[number] = _film(kinds[material[number]], blows, speeds, rng)
        waves[number] = _sound(kinds[material[number]], blows, speeds, rng)
        struck[number, blows] = True
    return Impacts(clips, waves, material, struck)


def envelopes(waves: Float[np.ndarray, "N L"]) -> Float[np.ndarray, "N T K"]:
    """Loudness of bands of a sound, ``STEPS`` times ``BANDS`` numbers a frame.

    Bands stand at even distances on the scale of hearing (ERB), steps are 1/90 s, and the root
    mean square of each is raised to the power 0.3.
    """
    spectrum = np.fft.rfft(waves, axis=1)
    frequency = np.fft.rfftfreq(waves.shape[1], 1 / RATE)
    scale = 21.4 * np.log10(1 + 0.00437 * frequency)
    centres = np.linspace(scale[-1] / (BANDS + 1), scale[-1], BANDS + 1)[:-1]
    width = centres[1] - centres[0]
    found = []
    for centre in centres:
        share = np.clip(1 - np.abs(scale - centre) / width, 0, None) ** 0.5
        band = np.fft.irfft(spectrum * share, waves.shape[1], axis=1)
        steps = band.reshape(len(waves), -1, RATE // FPS // STEPS)
        found.append(np.sqrt((steps**2).mean(axis=2)))
    levels = np.stack(found, axis=2) ** COMPRESSION
    return levels.reshape(len(waves), -1, STEPS * BANDS).astype(np.float32)


@dataclass(frozen=True)
class Bank:
    """Single blows to take sounds from: what follows each in ``REACH`` frames."""

    levels: Float[np.ndarray, "M R K"]
    waves: Float[np.ndarray, "M S"]
    material: Int64[np.ndarray, " M"]

    def nearest(self, levels: Float[np.ndarray, "R K"]) -> int:
        """The blow whose levels are nearest; those at hand may be fewer than `REACH` frames."""
        return int(((self.levels[:, : len(levels)] - levels) ** 2).sum(axis=(1, 2)).argmin())


@cache
def bank() -> Bank:
    """The blows, always the same ones."""
    rng = np.random.default_rng(90)
    kinds = np.repeat(np.arange(len(MATERIALS)), 60)
    length = FRAMES * RATE // FPS
    waves = np.zeros((len(kinds), length))
    for row, kind in zip(waves, kinds, strict=True):
        row[:] = _sound(
            list(MATERIALS.values())[kind], np.array([2]), rng.uniform(1.0, 3.0, 1), rng
        )
    samples = slice(2 * RATE // FPS, (2 + REACH) * RATE // FPS)
    return Bank(envelopes(waves)[:, 2 : 2 + REACH], waves[:, samples], kinds)


def onsets(levels: Float[np.ndarray, "T K"]) -> list[int]:
    """Frames at which loudness leaps."""
    loud = levels.mean(axis=1)
    leap = np.diff(loud, prepend=loud[:1])
    least = max(0.05, 0.35 * float(leap.max()))
    before, after = np.roll(leap, 1), np.roll(leap, -1)
    before[0], after[-1] = 0, 0
    return np.flatnonzero((leap >= least) & (leap >= before) & (leap > after)).tolist()


def resound(levels: Float[np.ndarray, "T K"]) -> tuple[Float[np.ndarray, " L"], list[int]]:
    """A waveform for levels: at each blow that they show, the nearest sound of the bank.

    Returns
    -------
    The waveform, and the material of each blow.
    """
    known, size = bank(), RATE // FPS
    wave = np.zeros(len(levels) * size)
    found = onsets(levels)
    materials = []
    for start, stop in zip(found, [*found[1:], len(levels)][: len(found)], strict=True):
        number = known.nearest(levels[start : min(stop, start + REACH)])
        room = min(known.waves.shape[1], len(wave) - start * size)
        wave[start * size : start * size + room] += known.waves[number, :room]
        materials.append(int(known.material[number]))
    return wave.clip(-1, 1), materials


def _film(
    kind: Material, blows: np.ndarray, speeds: np.ndarray, rng: np.random.Generator
) -> UInt8[np.ndarray, "T 3 H W"]:
    """A stick that comes down from above and goes up again, over a thing that takes the blow."""
    colour = np.array(kind.colour) + rng.normal(0, 8, 3)
    skin = colour[:, None, None] + rng.normal(0, kind.grain, (1, SIDE, SIDE))
    ground = rng.integers(10, 50, 3)[:, None, None]
    shape = rng.choice(["circle", "square"])
    film = np.empty((FRAMES, 3, SIDE, SIDE), np.uint8)
    tip = rng.uniform(5, 11)
    for frame in range(FRAMES):
        gap = np.abs(frame - blows) * speeds
        hit = int(gap.argmin())
        sunk = speeds[hit] / 3 if blows[hit] == frame else 0.0
        mask = shape_mask(str(shape), SIDE, 11.5 + sunk, 7.5, 4.0)
        picture = np.where(mask, skin, ground)
        end = int(np.clip(8 - gap[hit], 0, 8))
        picture[:, :end, int(tip)] = 255
        film[frame] = picture.clip(0, 255)
    return film


def _sound(
    kind: Material, blows: np.ndarray, speeds: np.ndarray, rng: np.random.Generator
) -> Float[np.ndarray, " L"]:
    """Damped sines from each blow on, and a click; a little noise throughout."""
    time = np.arange(FRAMES * RATE // FPS) / RATE
    wave = rng.normal(0, 1e-4, len(time))
    pitch = np.array(kind.modes) * rng.uniform(0.9, 1.1)
    strength = rng.uniform(0.5, 1.0, len(pitch)) / np.arange(1, len(pitch) + 1) ** 0.5
    decay = kind.decay * (pitch[0] / pitch) ** 0.5
    for blow, speed in zip(blows, speeds, strict=True):
        since = time - blow / FPS
        after = since[since >= 0]
        ring = strength[:, None] * np.sin(2 * np.pi * pitch[:, None] * after)
        tone = (ring * np.exp(-after / decay[:, None])).sum(axis=0)
        click = rng.normal(0, 0.3, len(after)) * np.exp(-after / 0.003)
        wave[since >= 0] += 0.08 * speed * (tone + click)
    return wave
