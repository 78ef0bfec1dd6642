"""Scenes with a group of people: real faces with changed mouths, before a background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8

from danq.vision.dataset import SPLITS
from danq.vision.generators.digit_images import SHARES

FACE, SIDE, PEOPLE = 24, 32, 6
"""Pixels per side of a face and of a scene, and the greatest number of people of a scene."""
MOODS = ("negative", "neutral", "positive")
EXPRESSION, BACKGROUND, BYSTANDER = 0.6, 0.6, 0.35
"""Share of people, and of backgrounds, that show the mood of the group; the others show any mood.
Share of people who are bystanders: their faces are dark, and show any mood."""
_BEND = 3.0
"""Pixels by which the corners of a smiling mouth move up."""
_TINTS = np.array([[70, 75, 105], [110, 115, 105], [185, 140, 75]])
"""RGB colour of the background of each mood."""


@dataclass(frozen=True)
class Moods:
    """What people and backgrounds of scenes show.

    Attributes
    ----------
    real
        ``(N, R)``, True for people of the scene, who precede the padding.
    member
        ``(N, R)``, True for people of the group, who are no bystanders.
    expression
        ``(N, R)``, the mood that each face shows.
    background, mood
        ``(N,)``, the mood that the background shows, and the mood of the group.
    """

    real: Bool[np.ndarray, "N R"]
    member: Bool[np.ndarray, "N R"]
    expression: Int64[np.ndarray, "N R"]
    background: Int64[np.ndarray, " N"]
    mood: Int64[np.ndarray, " N"]


def moods(count: int, rng: np.random.Generator) -> Moods:
    """Draw groups of 1 to 6 people, at least one of whom is no bystander."""
    mood = rng.integers(len(MOODS), size=count)
    people = rng.integers(1, PEOPLE + 1, count)
    real = np.arange(PEOPLE) < people[:, None]
    member = real & (rng.random(real.shape) >= BYSTANDER)
    member[np.arange(count), rng.integers(0, people)] = True
    shows = member & (rng.random(real.shape) < EXPRESSION)
    expression = np.where(shows, mood[:, None], rng.integers(len(MOODS), size=real.shape))
    background = np.where(
        rng.random(count) < BACKGROUND, mood, rng.integers(len(MOODS), size=count)
    )
    return Moods(real, member, expression, background, mood)


def most_likely_moods(shown: Moods) -> Int64[np.ndarray, " N"]:
    """The most likely mood of each group, if all that its people and background show is known.

    No model that reads the images is more often correct on average.
    """
    total = _likelihood(shown.background, BACKGROUND)
    total += (_likelihood(shown.expression, EXPRESSION) * shown.member[..., None]).sum(axis=1)
    return total.argmax(axis=1)


def group_scenes(
    split: str, shown: Moods, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 3 H W"], UInt8[np.ndarray, "N R 1 h w"]]:
    """Draw scenes and the faces of their people.

    Returns
    -------
    Scenes, in which faces are too small to show an expression; faces, 0 at padding.
    """
    real = shown.real
    known = face_images(split)
    faces = expressive(
        known[rng.integers(len(known), size=real.size)], shown.expression.ravel() - 1, rng
    )
    light = np.where(
        shown.member, rng.uniform(0.85, 1.1, real.shape), rng.uniform(0.4, 0.6, real.shape)
    )
    pixels = faces.reshape(*real.shape, FACE, FACE) * light[..., None, None] * 255
    pixels = np.where(real[..., None, None], pixels.clip(0, 255), 0).astype(np.uint8)
    return _scenes(pixels, real, shown.background, rng), pixels[:, :, None]


@cache
def face_images(split: str) -> Float[np.ndarray, "M 24 24"]:
    """Real faces of a split in [0, 1]: 60 % train, 15 % valid, 25 % test of 100 people.

    Notes
    -----
    Faces of "Labeled Faces in the Wild" (Huang et al., 2007), as included in scikit-image.
    """
    from skimage.data import lfw_subset

    faces = np.asarray(lfw_subset(), np.float64)[:100, :FACE, :FACE]
    order = np.random.default_rng(0).permutation(len(faces))
    ends = np.rint(np.cumsum(SHARES) * len(faces)).astype(int)
    index = SPLITS.index(split)
    return faces[order[ends[index - 1] if index else 0 : ends[index]]]


def expressive(
    faces: Float[np.ndarray, "M H W"], bend: Int64[np.ndarray, " M"], rng: np.random.Generator
) -> Float[np.ndarray, "M H W"]:
    """Bend the mouths of faces, and mirror half of the faces.

    Parameters
    ----------
    faces
        Grey values in [0, 1].
    bend
        Direction of the mouth's corners: 1 up, -1 down, 0 unchanged.
    """
    from scipy.ndimage import map_coordinates

    count, height, width = faces.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    # The mouth is at three quarters of the height; the displacement fades out around it.
    across = (columns - (width - 1) / 2) / (width / 4)
    around = np.exp(-(((rows - 0.76 * height) / (0.16 * height)) ** 2) - (across / 1.6) ** 4)
    shift = _BEND * (across**2 - 0.4).clip(max=1.0) * around
    strength = bend * rng.uniform(0.7, 1.3, count)
    bent = np.empty_like(faces)
    for number, face in enumerate(faces):
        places = [rows + strength[number] * shift, columns]
        bent[number] = map_coordinates(face, places, order=1, mode="nearest")
    mirrored = rng.random(count) < 0.5
    bent[mirrored] = bent[mirrored, :, ::-1]
    return bent


def _likelihood(shown: Int64[np.ndarray, "..."], share: float) -> Float[np.ndarray, "... 3"]:
    """Logarithm of the probability to show a mood, for each mood of the group."""
    other = (1 - share) / len(MOODS)
    return np.log(np.where(shown[..., None] == np.arange(len(MOODS)), share + other, other))


def _scenes(
    faces: UInt8[np.ndarray, "N R H W"],
    real: Bool[np.ndarray, "N R"],
    background: Int64[np.ndarray, " N"],
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "N 3 H W"]:
    """Backgrounds with the faces at a quarter of their size."""
    count, people = real.shape
    tint = _TINTS[background] + rng.normal(0, 38, (count, 3))
    scenes = tint[:, :, None, None] + rng.normal(0, 25, (count, 3, SIDE, SIDE))
    small = faces.reshape(count, people, FACE // 4, 4, FACE // 4, 4).mean(axis=(3, 5))
    size, columns = FACE // 4, people // 2
    for place in range(people):
        row, column = divmod(place, columns)
        y, x = 8 + 12 * row, 2 + column * (SIDE // columns)
        window = scenes[:, :, y : y + size, x : x + size]
        window[real[:, place]] = small[real[:, place], place][:, None]
    return scenes.clip(0, 255).astype(np.uint8)
