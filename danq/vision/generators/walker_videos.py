"""Videos of walking people: silhouettes around a skeleton, from any view angle."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

HEIGHT, WIDTH, FRAMES = 32, 24, 12
JOINTS = (
    "head",
    "neck",
    "hip",
    *(f"{side} {part}" for side in ("left", "right") for part in ("knee", "foot", "hand")),
)
"""Joints in the order of the output of `joints`."""
_BONES = (
    ("neck", "hip", 2.1),
    ("hip", "left knee", 1.3),
    ("left knee", "left foot", 1.0),
    ("hip", "right knee", 1.3),
    ("right knee", "right foot", 1.0),
    ("neck", "left hand", 0.8),
    ("neck", "right hand", 0.8),
    ("head", "head", 2.3),
)
"""Two joints, and half the thickness of the limb between them in pixels."""

# Mean and standard deviation of the traits of a person: lengths in pixels, angles in radians,
# phases in turns.
_TRAITS = {
    "leg": (12.0, 1.0),
    "trunk": (9.0, 0.7),
    "arm": (8.5, 0.8),
    "stride": (0.45, 0.12),
    "knee": (0.7, 0.25),
    "swing": (0.45, 0.2),
    "arm phase": (0.5, 0.06),
    "lean": (0.0, 0.08),
    "bounce": (0.8, 0.35),
    "hips": (2.2, 0.4),
    "shoulders": (3.2, 0.5),
    "build": (1.0, 0.12),
}

Traits = dict[str, Float[np.ndarray, " N"]]


def people(count: int, rng: np.random.Generator) -> Traits:
    """Draw the traits of ``count`` people."""
    return {name: rng.normal(mean, spread, count) for name, (mean, spread) in _TRAITS.items()}


def joints(
    traits: Traits, phase: Float[np.ndarray, "N T"], view: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "N T 9 2"]:
    """Positions of joints in pixels (x, y) of a frame of 24 x 32.

    Parameters
    ----------
    traits
        One value per person.
    phase
        Phase of the walk in each frame, in turns.
    view
        Angle in radians between the walking direction and the image plane: 0 is a view from the
        side, pi / 2 a view from the front.
    """
    one = {name: values[:, None] for name, values in traits.items()}
    bounce = one["bounce"] * np.cos(4 * np.pi * phase)
    hip = np.stack([0 * phase, 0 * phase, one["leg"] * 0.97 + bounce], axis=-1)
    neck = hip + _limb(one["trunk"], one["lean"] + 0 * phase, up=True)
    positions = {"head": neck + np.array([0, 0, 3.0]), "neck": neck, "hip": hip}
    for side, sign, shift in (("left", 1, 0.0), ("right", -1, 0.5)):
        turn = 2 * np.pi * (phase + shift)
        across = np.array([0.0, sign, 0.0])
        thigh = one["stride"] * np.sin(turn)
        # The knee bends while the leg moves forward.
        shin = thigh - one["knee"] * np.clip(np.cos(turn), 0, None)
        knee = hip + across * one["hips"][..., None] + _limb(one["leg"] / 2, thigh)
        positions[f"{side} knee"] = knee
        positions[f"{side} foot"] = knee + _limb(one["leg"] / 2, shin)
        arm = one["swing"] * np.sin(turn + 2 * np.pi * one["arm phase"])
        positions[f"{side} hand"] = (
            neck + across * one["shoulders"][..., None] + _limb(one["arm"], arm)
        )
    space = np.stack([positions[name] for name in JOINTS], axis=2)
    angle = view[:, None, None]
    x = space[..., 0] * np.cos(angle) + space[..., 1] * np.sin(angle)
    return np.stack([WIDTH / 2 + x, HEIGHT - 3 - space[..., 2]], axis=-1)


def silhouettes(
    positions: Float[np.ndarray, "N T 9 2"], build: Float[np.ndarray, " N"], *, left: float = 1.0
) -> UInt8[np.ndarray, "N T 1 H W"]:
    """Draw people around their joints, with limbs ``build`` times as thick; edges are grey.

    ``left`` is the brightness of left limbs relative to right limbs.
    """
    clips = np.zeros((*positions.shape[:2], 1, HEIGHT, WIDTH), np.uint8)
    # Few rows at once fit in the processor's cache.
    for start in range(0, len(positions), 8):
        rows = slice(start, start + 8)
        clips[rows, :, 0] = _drawn(positions[rows].astype(np.float32), build[rows], left)
    return clips


def _drawn(
    positions: Float[np.ndarray, "N T 9 2"], build: Float[np.ndarray, " N"], left: float
) -> Float[np.ndarray, "N T H W"]:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    positions = positions[..., None, None]
    thickness = build.astype(np.float32)[:, None, None, None]
    frames = np.zeros((*positions.shape[:2], HEIGHT, WIDTH), np.float32)
    for first, second, radius in _BONES:
        a, b = (positions[:, :, JOINTS.index(name)] for name in (first, second))
        x, y = columns - a[:, :, 0], rows - a[:, :, 1]
        dx, dy = b[:, :, 0] - a[:, :, 0], b[:, :, 1] - a[:, :, 1]
        share = ((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1e-6)).clip(0, 1)
        distance = np.sqrt((x - share * dx) ** 2 + (y - share * dy) ** 2)
        shade = 255 * (left if "left" in second else 1.0)
        edge = shade * (radius * thickness - distance + 0.5).clip(0, 1)
        np.maximum(frames, edge, out=frames)
    return np.rint(frames)


def _limb(length: np.ndarray, angle: np.ndarray, *, up: bool = False) -> np.ndarray:
    """Vector of a limb that points down, or up, rotated forwards by an angle."""
    sign = 1 if up else -1
    return np.stack([length * np.sin(angle), 0 * angle, sign * length * np.cos(angle)], axis=-1)
