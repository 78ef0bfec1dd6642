"""Clips of two coloured shapes and two events, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from danq.vision.generators.shape_images import COLOURS, SHAPES, dark_images, paint

SIDE, FRAMES, FEWEST, SPEED = 24, 10, 7, 2
"""Pixels per side, largest and least number of frames, and pixels per frame of a moving shape."""
RADIUS, GROWTH, APART, MARGIN = 3.0, 0.5, 9.0, 4.5
"""Radius at first, its change per frame, and least distances between shapes and to the edge."""
CLIP_COLOURS = tuple(list(COLOURS)[:4])
MOVES = {"moves left": (0, -1), "moves right": (0, 1), "moves up": (-1, 0), "moves down": (1, 0)}
SIZES = {"grows": 1, "shrinks": -1}
ACTIONS = (*MOVES, *SIZES)
STOPS = "stops"


@dataclass(frozen=True)
class Events:
    """What happens in a clip.

    Attributes
    ----------
    shapes, colours
        Of both objects; no shape and no colour occurs twice.
    objects
        Object of the first and of the second event.
    actions
        Actions of both events; the second one may be `STOPS`, then nothing happens.
    """

    shapes: tuple[str, str]
    colours: tuple[str, str]
    objects: tuple[int, int]
    actions: tuple[str, str]

    def name(self, number: int) -> str:
        """Colour and shape of an object."""
        return f"{self.colours[number]} {self.shapes[number]}"

    def caption(self) -> str:
        """Sentence about both events, such as "a red circle moves left then stops"."""
        first, second = self.objects
        other = f"a {self.name(second)} " if second != first else ""
        return f"a {self.name(first)} {self.actions[0]} then {other}{self.actions[1]}"


def draw_events(rng: np.random.Generator) -> Events:
    """Draw objects and events: half of the second events are of the other object."""
    shapes = rng.permutation(SHAPES)[:2].tolist()
    colours = rng.permutation(CLIP_COLOURS)[:2].tolist()
    first, last = rng.permutation(ACTIONS)[:2].tolist()
    same = bool(rng.random() < 0.5)
    # An object alone stops as often as it does each other thing.
    if same and rng.integers(len(ACTIONS)) == 0:
        last = STOPS
    return Events(
        (shapes[0], shapes[1]), (colours[0], colours[1]), (0, 0 if same else 1), (first, last)
    )


def tracks(
    events: Events, length: int, turn: int, rng: np.random.Generator
) -> Float[np.ndarray, "T 2 3"]:
    """Row, column and radius of both objects in each frame; the second event starts after ``turn``.

    Objects stay within the image and apart from each other.
    """
    change = np.zeros((length, 2, 3))
    for (start, stop), one, action in zip(
        ((1, turn + 1), (turn + 1, length)), events.objects, events.actions, strict=True
    ):
        if action in MOVES:
            change[start:stop, one, :2] = np.array(MOVES[action]) * SPEED
        elif action in SIZES:
            change[start:stop, one, 2] = SIZES[action] * GROWTH
    moved = change.cumsum(axis=0)
    while True:
        start = rng.uniform(0, SIDE, (50, 1, 2, 2))
        centres = start + moved[..., :2]
        inside = (centres >= MARGIN) & (centres <= SIDE - 1 - MARGIN)
        gaps = np.linalg.norm(centres[:, :, 0] - centres[:, :, 1], axis=-1)
        fits = inside.all(axis=(1, 2, 3)) & (gaps >= APART).all(axis=1)
        if fits.any():
            radius = RADIUS + moved[..., 2:]
            return np.concatenate([centres[fits.argmax()], radius], axis=-1)


def event_clips(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N T 3 H W"], Bool[np.ndarray, "N T"], list[Events]]:
    """Draw clips of 7 to 10 frames, the mask of their frames, and their events."""
    clips = np.zeros((count, FRAMES, 3, SIDE, SIDE), np.uint8)
    real = np.zeros((count, FRAMES), bool)
    every = []
    for number in range(count):
        events = draw_events(rng)
        length = int(rng.integers(FEWEST, FRAMES + 1))
        turn = length // 2 + int(rng.integers(-1, 1))
        real[number, :length] = True
        clips[number, :length] = dark_images(1, SIDE, rng)
        for frame, places in enumerate(tracks(events, length, turn, rng)):
            for one, (y, x, radius) in enumerate(places):
                paint(clips[number, frame], events.shapes[one], events.colours[one], y, x, radius)
        every.append(events)
    return clips, real, every
