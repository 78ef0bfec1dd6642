"""Handwritten digits of scikit-learn, in fixed training, validation and test splits."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from danq.vision.dataset import SPLITS

SHARES = (0.6, 0.15, 0.25)


@cache
def digit_images(split: str) -> tuple[UInt8[np.ndarray, "N 8 8"], Int64[np.ndarray, " N"]]:
    """Images and classes of a split: 60 % train, 15 % valid, 25 % test of 1,797 images.

    Notes
    -----
    Test set of Alpaydin & Kaynak's "Optical recognition of handwritten digits" (UCI, 1998), as
    included in scikit-learn.
    """
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    images, labels = digits.images, digits.target
    order = np.random.default_rng(0).permutation(len(labels))
    ends = np.rint(np.cumsum(SHARES) * len(labels)).astype(int)
    index = SPLITS.index(split)
    rows = order[ends[index - 1] if index else 0 : ends[index]]
    pixels = np.rint(images[rows] * (255 / 16)).astype(np.uint8)
    return pixels, labels[rows].astype(np.int64)


def draw_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 8 8"], Int64[np.ndarray, " N"]]:
    """Draw digits of a split with replacement, and their classes."""
    images, labels = digit_images(split)
    rows = rng.integers(len(labels), size=count)
    return images[rows], labels[rows]
