"""Images of coloured shapes, drawn without a library so that the same seed gives the same image."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (50, 80, 220),
    "yellow": (230, 210, 50),
    "purple": (150, 60, 190),
    "grey": (140, 140, 140),
}
SHAPES = ("circle", "square", "triangle")


def dark_images(count: int, side: int, rng: np.random.Generator) -> UInt8[np.ndarray, "N 3 H W"]:
    """Draw images of dark noise, as backgrounds."""
    images = np.full((count, 3, side, side), 20, np.uint8)
    images += rng.integers(0, 20, images.shape, dtype=np.uint8)
    return images


def shape_mask(shape: str, side: int, y: float, x: float, radius: float) -> Bool[np.ndarray, "H W"]:
    """Mask of the pixels of a shape around a centre, in an image of ``side`` x ``side``."""
    rows, columns = np.mgrid[:side, :side]
    dy, dx = rows - y, columns - x
    if shape == "circle":
        return dy**2 + dx**2 <= radius**2
    if shape == "square":
        return np.maximum(np.abs(dy), np.abs(dx)) <= 0.85 * radius
    if shape == "triangle":
        return (dy <= 0.8 * radius) & (np.abs(dx) <= (dy + radius) * 0.6)
    raise ValueError(f"no shape is named '{shape}'")


def paint(
    image: UInt8[np.ndarray, "3 H W"], shape: str, colour: str, y: float, x: float, radius: float
) -> None:
    """Draw a shape into an image, in place."""
    mask = shape_mask(shape, image.shape[1], y, x, radius)
    image[:, mask] = np.array(COLOURS[colour], np.uint8)[:, None]
