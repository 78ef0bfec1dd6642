"""Images of lines of digits by the `captcha` package: rotated, warped, crossed by a curve."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from jaxtyping import UInt8

from danq.errors import needs_package

HEIGHT, WIDTH = 30, 80
LONGEST = 5
SYMBOLS = "0123456789"


def text_lines(
    count: int, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "N 1 30 80"], list[str]]:
    """Draw images of 3 to 5 digits, and their texts.

    Raises
    ------
    InputError
        When the package is not installed.
    """
    with needs_package("lines of text require the package captcha", "vision"):
        from captcha import image as package
    texts = ["".join(rng.choice(list(SYMBOLS), rng.integers(3, LONGEST + 1))) for _ in range(count)]
    painter = package.ImageCaptcha(2 * WIDTH, 2 * HEIGHT)
    images = np.empty((count, 1, HEIGHT, WIDTH), np.uint8)
    with _drawing_from(package, rng):
        for number, text in enumerate(texts):
            grey = np.asarray(painter.generate_image(text).convert("L"), np.float32)
            squares = grey.reshape(HEIGHT, 2, WIDTH, 2).mean(axis=(1, 3))
            images[number, 0] = 255 - np.rint(squares)
    return images, texts


@contextmanager
def _drawing_from(package, rng: np.random.Generator) -> Iterator[None]:
    """Let the package draw from ``rng`` in place of the operating system's random numbers."""

    def choice(items: Sequence):
        return items[int(rng.integers(len(items)))]

    original = package.secrets
    package.secrets = SimpleNamespace(
        choice=choice,
        randbelow=lambda limit: int(rng.integers(limit)),
        randbits=lambda bits: int(rng.integers(1 << bits)),
    )
    try:
        yield
    finally:
        package.secrets = original
