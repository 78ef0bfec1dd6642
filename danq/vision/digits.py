"""Handwritten digits of scikit-learn, split once and for all into training and held-out ones."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from danq.vision.examples import SPLITS

SHARES = (0.6, 0.15, 0.25)


@cache
def digit_images(split: str) -> tuple[UInt8[np.ndarray, "N 8 8"], Int64[np.ndarray, " N"]]:
    """Images and classes of a split: of 1,797, 60 % train, 15 % valid, 25 % test.

    Notes
    -----
    Test set of Alpaydin & Kaynak's "Optical recognition of handwritten digits" (UCI, 1998), as
    scikit-learn brings it along.
    """
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    images, labels = found.images, found.target
    order = np.random.default_rng(0).permutation(len(labels))
    ends = np.rint(np.cumsum(SHARES) * len(labels)).astype(int)
    place = SPLITS.index(split)
    rows = order[ends[place - 1] if place else 0 : ends[place]]
    pixels = np.rint(images[rows] * (255 / 16)).astype(np.uint8)
    return pixels, labels[rows].astype(np.int64)


def draw_digits(
    split: str, count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 8 8"], Int64[np.ndarray, " N"]]:
    """Digits of a split, drawn with replacement, and their classes."""
    images, labels = digit_images(split)
    rows = rng.integers(len(labels), size=count)
    return images[rows], labels[rows]
