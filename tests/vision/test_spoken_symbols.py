from __future__ import annotations

import numpy as np
import pytest

from danq.vision.generators.spoken_symbols import (
    RATE,
    WINDOW,
    mel_filters,
    spoken_symbol,
)
from danq.vision.tasks.audio_visual import spoken_digits


def test_filters_are_triangles_between_their_neighbours():
    filters = mel_filters(12)
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    centres = frequency[filters.argmax(axis=1)]
    assert (np.diff(centres) > 0).all()
    assert filters.max() <= 1
    # Neighbours add up to 1 between the first and the last centre.
    inner = (frequency > centres[0] + 40) & (frequency < centres[-1] - 250)
    assert filters.sum(axis=0)[inner] == pytest.approx(1)


def test_words_of_different_digits_differ_and_the_seed_determines_them():
    words = [spoken_symbol(str(digit), 12) for digit in range(10)]
    assert all(word.min() >= 0 and word.max() == 1 for word in words)
    assert len({word.tobytes() for word in words}) == 10
    labels = np.arange(10)
    first, real = spoken_digits(labels, np.random.default_rng(1))
    again, _ = spoken_digits(labels, np.random.default_rng(1))
    np.testing.assert_array_equal(first, again)
    assert not first[~real].any()


def test_one_recording_is_recognised_from_its_levels():
    """The nearest recording has the right digit for most, but not all, of the noisy words."""
    labels = np.repeat(np.arange(10), 20)
    known, _ = spoken_digits(labels, np.random.default_rng(0))
    words, _ = spoken_digits(labels, np.random.default_rng(1))
    gaps = ((words[:, None] - known[None]) ** 2).sum(axis=(2, 3))
    right = (labels[gaps.argmin(axis=1)] == labels).mean()
    assert 0.2 < right < 0.95
