"""People who walk: stick figures with flesh on them, seen from any side."""

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
"""Joints in the order in which `joints` gives them."""
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
"""Two joints, and half the thickness of what joins them, in pixels."""

# Mean and deviation of what makes one person's walk: lengths in pixels, angles in radians,
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
    """Traits of ``count`` people."""
    return {name: rng.normal(mean, spread, count) for name, (mean, spread) in _TRAITS.items()}


def joints(
    traits: Traits,
    phase: Float[np.ndarray, "N T"],
    view: Float[np.ndarray, " N"],
) -> Float[np.ndarray, "N T 9 2"]:
    """Where joints are seen, in pixels (x, y) of a 24 x 32 frame.

    Parameters
    ----------
    traits
        One value a person.
    phase
        Of the walk at each frame, in turns.
    view
        Angle in radians between the way a person walks and the picture: 0 is a view from the
        side, pi / 2 one from the front.
    """
    one = {name: values[:, None] for name, values in traits.items()}
    bounce = one["bounce"] * np.cos(4 * np.pi * phase)
    hip = np.stack([0 * phase, 0 * phase, one["leg"] * 0.97 + bounce], axis=-1)
    neck = hip + _turned(one["trunk"], one["lean"] + 0 * phase, up=True)
    places = {"head": neck + np.array([0, 0, 3.0]), "neck": neck, "hip": hip}
    for side, sign, shift in (("left", 1, 0.0), ("right", -1, 0.5)):
        turn = 2 * np.pi * (phase + shift)
        across = np.array([0.0, sign, 0.0])
        thigh = one["stride"] * np.sin(turn)
        # The knee bends while the leg comes forward.
        shin = thigh - one["knee"] * np.clip(np.cos(turn), 0, None)
        knee = hip + across * one["hips"][..., None] + _turned(one["leg"] / 2, thigh)
        places[f"{side} knee"] = knee
        places[f"{side} foot"] = knee + _turned(one["leg"] / 2, shin)
        arm = one["swing"] * np.sin(turn + 2 * np.pi * one["arm phase"])
        places[f"{side} hand"] = (
            neck + across * one["shoulders"][..., None] + _turned(one["arm"], arm)
        )
    space = np.stack([places[name] for name in JOINTS], axis=2)
    angle = view[:, None, None]
    x = space[..., 0] * np.cos(angle) + space[..., 1] * np.sin(angle)
    return np.stack([WIDTH / 2 + x, HEIGHT - 3 - space[..., 2]], axis=-1)


def silhouettes(
    places: Float[np.ndarray, "N T 9 2"], build: Float[np.ndarray, " N"], *, left: float = 1.0
) -> UInt8[np.ndarray, "N T 1 H W"]:
    """Figures drawn around their joints, ``build`` times as thick as usual; edges are grey.

    ``left`` is the brightness of left limbs, by which they can be told from right ones.
    """
    picture = np.zeros((*places.shape[:2], 1, HEIGHT, WIDTH), np.uint8)
    # A few at a time, so that all stays in the processor's cache.
    for start in range(0, len(places), 8):
        rows = slice(start, start + 8)
        picture[rows, :, 0] = _drawn(places[rows].astype(np.float32), build[rows], left)
    return picture


def _drawn(
    places: Float[np.ndarray, "N T 9 2"], build: Float[np.ndarray, " N"], left: float
) -> Float[np.ndarray, "N T H W"]:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    rows, columns = rows.astype(np.float32), columns.astype(np.float32)
    places = places[..., None, None]
    thickness = build.astype(np.float32)[:, None, None, None]
    picture = np.zeros((*places.shape[:2], HEIGHT, WIDTH), np.float32)
    for first, second, radius in _BONES:
        a, b = (places[:, :, JOINTS.index(name)] for name in (first, second))
        x, y = columns - a[:, :, 0], rows - a[:, :, 1]
        dx, dy = b[:, :, 0] - a[:, :, 0], b[:, :, 1] - a[:, :, 1]
        share = ((x * dx + y * dy) / np.maximum(dx**2 + dy**2, 1e-6)).clip(0, 1)
        distance = np.sqrt((x - share * dx) ** 2 + (y - share * dy) ** 2)
        shade = 255 * (left if "left" in second else 1.0)
        edge = shade * (radius * thickness - distance + 0.5).clip(0, 1)
        np.maximum(picture, edge, out=picture)
    return np.rint(picture)


def _turned(length: np.ndarray, angle: np.ndarray, *, up: bool = False) -> np.ndarray:
    """A limb that hangs down, or stands up, turned forwards by an angle."""
    sign = 1 if up else -1
    return np.stack([length * np.sin(angle), 0 * angle, sign * length * np.cos(angle)], axis=-1)
