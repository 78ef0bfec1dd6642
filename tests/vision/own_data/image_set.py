"""Small images for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"red": (220, 30, 40), "green": (40, 200, 60), "blue": (50, 60, 230)}


def noisy(colour: tuple[int, int, int], seed: int, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """An image (H, W, 3) of one colour with noise, different for each seed."""
    rng = np.random.default_rng(seed)
    pixels = np.array(colour) + rng.integers(-20, 20, (*size, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    """Write an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def class_folders(folder: Path, each: int = 10, suffix: str = ".png") -> Path:
    """Write folders of images, one per colour."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        for i in range(each):
            save(folder / name / f"{i}{suffix}", noisy(colour, 100 * number + i))
    return folder
