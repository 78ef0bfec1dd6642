"""Small examples in memory of every task on own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from danq.vision.dataset import SPLITS, Dataset, Examples
from danq.vision.vocabulary import END, PAD, SPECIAL, START

CLASSES = ["Bär", "猫", "a dog"]
WORDS = [*SPECIAL, "dark", "grey", "light", "sky", "is", "it"]
SIZE = 9
"""Rows of an image; columns are two more."""


def _labels(count: int) -> np.ndarray:
    return np.arange(count) % 3


def _images(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images that are brighter for later classes."""
    pixels = rng.integers(0, 60, (len(labels), 3, SIZE, SIZE + 2))
    return (pixels + 80 * labels[:, None, None, None]).astype(np.uint8)


def _clips(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    frames = 5
    clip = np.stack([_images(labels, rng) for _ in range(frames)], axis=1)
    real = np.arange(frames) < rng.integers(2, frames + 1, len(labels))[:, None]
    clip[~real] = 0
    return {"clip": clip, "real": real}


def _captions(labels: np.ndarray) -> dict[str, np.ndarray]:
    captions = np.full((len(labels), 5), PAD)
    captions[:, :4] = np.stack(
        [[START, 4 + label, 7 if label else END, END if label else PAD] for label in labels]
    )
    texts = [[f"{WORDS[4 + label]} sky" if label else WORDS[4]] for label in labels]
    return {"caption": captions, "references": np.array([json.dumps(one) for one in texts])}


def _questions(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    asked = rng.integers(0, 3, len(labels))
    question = np.full((len(labels), 4), PAD)
    question[:, 0], question[:, 1] = 8, 4 + asked
    return {"question": question, "answer": (asked == labels).astype(np.int64)}


def _series(labels: np.ndarray, rng: np.random.Generator, steps: int) -> dict[str, np.ndarray]:
    series = rng.normal(size=(len(labels), steps, 2)) + 5 * labels[:, None, None] + 1000
    real = np.arange(steps) < rng.integers(3, steps + 1, len(labels))[:, None]
    return {"series": np.where(real[..., None], series, 0).astype(np.float32), "real": real}


def _values(labels: np.ndarray) -> np.ndarray:
    values = np.stack([1e4 + 50.0 * labels, -labels], axis=1).astype(np.float32)
    values[1, 1] = np.nan
    return values


def _texts(labels: np.ndarray) -> dict[str, np.ndarray]:
    words = np.full((len(labels), 4), PAD)
    words[:, 0], words[:, 1] = 4 + labels, 7
    return {"words": words}


def _sound(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = _series(labels, rng, 12)
    found["real"][0] = False
    return {"sound": found["series"], "sound_real": found["real"]}


_IMAGE = {"shape": [3, SIZE, SIZE + 2], "normalisation": "imagenet"}
_CLIP = {"shape": [5, 3, SIZE, SIZE + 2], "normalisation": "none"}
_CLASSES = {"classes": CLASSES}
_NAMES = {"names": ["height", "naïve"], "scale": {"mean": [10050, -1], "std": [40, 0.8]}}
_TEXT = {"vocabulary": WORDS, "lengths": {"caption": 5, "question": 4}}
_ANSWERS = {"answers": ["no", "yes"]}
Make = Callable[[np.ndarray, np.random.Generator], dict[str, np.ndarray]]
KINDS: dict[str, tuple[dict[str, Any], Make]] = {
    "image-classes": (_IMAGE | _CLASSES, lambda y, g: {"image": _images(y, g), "label": y}),
    "image-labels": (
        _IMAGE | _CLASSES,
        lambda y, g: {"image": _images(y, g), "labels": y[:, None] >= np.arange(3)},
    ),
    "image-values": (_IMAGE | _NAMES, lambda y, g: {"image": _images(y, g), "values": _values(y)}),
    "image-captions": (_IMAGE | _TEXT, lambda y, g: {"image": _images(y, g), **_captions(y)}),
    "image-questions": (
        _IMAGE | _TEXT | _ANSWERS,
        lambda y, g: {"image": _images(y, g), **_questions(y, g)},
    ),
    "video-classes": (_CLIP | _CLASSES, lambda y, g: {**_clips(y, g), "label": y}),
    "video-frames": (_CLIP | _CLASSES, lambda y, g: _frames(y, g)),
    "video-captions": (_CLIP | _TEXT, lambda y, g: {**_clips(y, g), **_captions(y)}),
    "video-questions": (
        _CLIP | _TEXT | _ANSWERS,
        lambda y, g: {**_clips(y, g), **_questions(y, g)},
    ),
    "video-sound-classes": (
        _CLIP | _CLASSES | {"sound_shape": [12, 2]},
        lambda y, g: {**_clips(y, g), **_sound(y, g), "label": y},
    ),
    "text-classes": (_TEXT | _CLASSES, lambda y, g: {**_texts(y), "label": y}),
    "text-tags": (
        _TEXT | _CLASSES,
        lambda y, g: {
            **_texts(y),
            "tags": np.stack([y, np.zeros_like(y), y * 0 - 1, y * 0 - 1], axis=1),
        },
    ),
    "series-classes": (
        {"shape": [150, 2], **_CLASSES},
        lambda y, g: {**_series(y, g, 150), "label": y},
    ),
    "series-values": (
        {"shape": [20, 2], **_NAMES},
        lambda y, g: {**_series(y, g, 20), "values": _values(y)},
    ),
}
"""Metadata of each task, and its fields for classes and a random generator."""


def _frames(labels: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    clips = _clips(labels, rng)
    frames = np.where(clips["real"], labels[:, None], -1)
    frames[0, 0] = -1
    return {**clips, "labels": frames}


def small_data(task: str, count: int = 48) -> Dataset:
    """Make ``count`` training examples and a quarter of it of each other split."""
    metadata, make = KINDS[task]
    splits = {}
    for number, split in enumerate(SPLITS):
        labels = _labels(count if split == "train" else count // 4)
        splits[split] = Examples(make(labels, np.random.default_rng(number)))
    return Dataset(metadata=dict(metadata), **splits)
