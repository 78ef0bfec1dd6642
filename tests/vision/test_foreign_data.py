"""Every task trains on classes, words, lengths and sizes that danq does not know."""

from __future__ import annotations

import json

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision import Recipe, RunSettings, load_vision_model, predict, read_dataset, train
from danq.vision.dataset import SPLITS, Examples
from danq.vision.task_registry import load_task
from danq.vision.vocabulary import SPECIAL

QUIET = RunSettings(device="cpu", threads=1, quiet=True)
COUNTS = {"train": 8, "valid": 4, "test": 4}
CLASSES = ["zebra", "Öl", "fünf Äpfel", *(f"class {k}" for k in range(12))]
WORDS = [*SPECIAL, *(f"word{k}" for k in range(30))]
LETTERS = [*SPECIAL, *"abcdefgh"]
KNOWN = {"classes": CLASSES}


def images(*shape):
    return lambda count, rng: rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def numbers(*shape):
    return lambda count, rng: rng.random((count, *shape), dtype=np.float32)


def indices(most, *shape, least=0):
    return lambda count, rng: rng.integers(least, most, (count, *shape))


def true(*shape):
    return lambda count, rng: np.ones((count, *shape), bool)


def texts(words, *shape):
    """Texts of full length, between the start and the end symbol."""

    def make(count, rng):
        found = rng.integers(4, words, (count, *shape))
        found[..., 0], found[..., -1] = 1, 2
        return found

    return make


def pairs(count, rng):
    return np.stack([rng.integers(3, size=(count, 5)), rng.integers(9, size=(count, 5))], axis=2)


def boxes(count, rng):
    corners = rng.random((count, 6, 2), dtype=np.float32) / 2
    return np.concatenate([corners, corners + 0.3], axis=2)


def impacts(count, rng):
    levels = np.full((count, 12, 8), 0.1, np.float32)
    levels[:, 4:] = rng.random((count, 1, 8)) + 0.5
    return levels


LABEL = {"label": indices(15)}
WALKS = {
    "clip": images(5, 3, 24, 40),
    "walker": lambda count, rng: np.arange(count) // 2,
    "view": lambda count, rng: np.arange(count) % 2 * 30,
    "gallery": lambda count, rng: np.arange(count) % 2 == 0,
}
PAIRS = {"questions": {"a": "which {} here", "b": "how far is {}", "c": "who sees {}"}}
DESCRIBED = {"captions", "reports", "regions", "text-lines", "clip-captions", "line-translation"}
"""Tasks whose predictions are texts."""
FOREIGN = {
    "adding": ({"features": 3, "classes": ["sum"]}, {"steps": numbers(9, 3), "total": numbers()}),
    "copy": ({"symbols": 23, "copied": 4}, {n: indices(23, 30) for n in ("symbols", "answer")}),
    "digit-steps": (
        {"features": 1, "shape": [1, 6, 7]} | KNOWN,
        {"steps": images(42, 1)} | LABEL,
    ),
    "direction": ({"shape": [5, 3, 12, 20]} | KNOWN, {"clip": images(5, 3, 12, 20)} | LABEL),
    "slots": (
        {"vocabulary": WORDS, "labels": ["O", "B-Ort", "I-Ort"], "length": 31},
        {"words": texts(34, 31), "labels": indices(3, 31)},
    ),
    "story": (
        {"vocabulary": WORDS, "length": 70, "question_length": 9} | KNOWN,
        {"story": texts(34, 70), "question": texts(34, 9)} | LABEL,
    ),
    "frame-selection": (
        {"shape": [21, 3, 9, 12]} | KNOWN,
        {"clip": images(21, 3, 9, 12), "frame": indices(21)} | LABEL,
    ),
    "nowcasting": (
        {"shape": [4, 3, 24, 16], "ahead": 3},
        {"clip": images(4, 3, 24, 16), "future": images(3, 3, 24, 16)},
    ),
    "captions": (
        {"shape": [1, 24, 40], "vocabulary": WORDS, "length": 20},
        {"image": images(1, 24, 40), "words": texts(34, 20), "references": texts(34, 5, 20)},
    ),
    "vqa": (
        {"shape": [1, 24, 40], "vocabulary": WORDS, "length": 17} | KNOWN,
        {
            "image": images(1, 24, 40),
            "question": texts(34, 3, 17),
            "asked": true(3),
            "label": indices(15, 3),
        },
    ),
    "digits": ({"shape": [3, 12, 9]} | KNOWN, {"image": images(3, 12, 9)} | LABEL),
    "faces": ({"shape": [3, 30, 22]} | KNOWN, {"image": images(3, 30, 22)} | LABEL),
    "motions": ({"channels": 4, "steps": 33} | KNOWN, {"series": numbers(4, 33)} | LABEL),
    "tracking": (
        {"features": 7},
        {"detections": numbers(11, 7), "boxes": numbers(11, 4)},
    ),
    "pose": (
        {"shape": [5, 3, 24, 40], "joints": ["tail", "trunk"], "unit": 20.0},
        {"clip": images(5, 3, 24, 40), "joints": numbers(5, 4)},
    ),
    "gait": ({"shape": [5, 3, 24, 40], "walkers": 5}, WALKS),
    "gait-views": (
        {"shape": [5, 3, 24, 40], "walkers": 5, "maps": [5, 2, 12, 20]},
        WALKS | {"maps": images(5, 2, 12, 20)},
    ),
    "scene-clips": (
        {"shape": [5, 3, 12, 20]} | KNOWN,
        {"clip": images(5, 3, 12, 20), "real": true(5), "label": indices(15, 5, 12, 20)},
    ),
    "group-emotion": (
        {"shape": [3, 24, 40], "faces": [7, 3, 12, 16]} | KNOWN,
        {"image": images(3, 24, 40), "faces": images(7, 3, 12, 16), "real": true(7)} | LABEL,
    ),
    "scene-labels": (
        {"shape": [3, 12, 20]} | KNOWN,
        {"image": images(3, 12, 20), "label": indices(15, 12, 20)},
    ),
    "text-lines": (
        {"shape": [3, 24, 96], "vocabulary": LETTERS, "length": 12, "inverted": False},
        {"image": images(3, 24, 96), "words": texts(12, 12)},
    ),
    "sounds": (
        {"shape": [12, 3, 12, 20], "levels": 8, "bands": 4, "rate": 400, "fps": 20} | KNOWN,
        {"clip": images(12, 3, 12, 20), "levels": impacts, "material": indices(15)},
    ),
    "sound-examples": (
        {"shape": [12, 3, 12, 20], "levels": 8, "bands": 4, "rate": 400, "fps": 20} | KNOWN,
        {
            "clip": images(12, 3, 12, 20),
            "levels": impacts,
            "wave": numbers(240),
            "material": indices(15),
        },
    ),
    "audio-visual": (
        {"shape": [4, 3, 16, 24], "steps": 9, "bands": 5} | KNOWN,
        {
            "clip": images(4, 3, 16, 24),
            "frames": true(4),
            "sound": numbers(9, 5),
            "steps": true(9),
            "present": true(2),
            "label": indices(15),
        },
    ),
    "relations": (
        {"shape": [1, 40, 32], "names": CLASSES[:9], "relational": ["b"]} | PAIRS | KNOWN,
        {"image": images(1, 40, 32), "question": pairs, "label": indices(15, 5)},
    ),
    "reports": (
        {
            "shape": [1, 24, 40],
            "vocabulary": WORDS,
            "tags": CLASSES,
            "sentences": 6,
            "length": 13,
        },
        {"image": images(1, 24, 40), "words": texts(34, 6, 13), "tags": true(15)},
    ),
    "clip-captions": (
        {"shape": [5, 1, 16, 24], "vocabulary": WORDS, "length": 20},
        {"clip": images(5, 1, 16, 24), "real": true(5), "caption": texts(34, 20)},
    ),
    "clip-questions": (
        {"shape": [5, 1, 16, 24], "vocabulary": WORDS, "length": 17} | KNOWN,
        {
            "clip": images(5, 1, 16, 24),
            "real": true(5),
            "question": texts(34, 3, 17),
            "asked": true(3),
            "temporal": true(3),
            "label": indices(15, 3),
        },
    ),
    "line-translation": (
        {"shape": [3, 24, 96], "vocabulary": WORDS, "length": 9, "inverted": False},
        {"image": images(3, 24, 96), "words": texts(34, 9)},
    ),
    "regions": (
        {"shape": [1, 24, 40], "vocabulary": WORDS, "length": 14},
        {"image": images(1, 24, 40), "boxes": boxes, "words": texts(34, 6, 14)},
    ),
    "dense-captions": (
        {"shape": [1, 24, 40], "vocabulary": WORDS, "length": 14},
        {
            "image": images(1, 24, 40),
            "boxes": boxes,
            "real": true(6),
            "words": texts(34, 6, 14),
        },
    ),
}
"""Metadata and fields of each task that owns its fields; the names are in no list of danq."""


def written(folder, metadata, fields):
    folder.mkdir(exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    for number, split in enumerate(SPLITS):
        (folder / split).mkdir(exist_ok=True)
        rng = np.random.default_rng(number)
        for name, make in fields.items():
            np.save(folder / split / f"{name}.npy", make(COUNTS[split], rng))
    return folder


def names_of(metadata):
    texts = [value for value in metadata.values() if isinstance(value, list)]
    return {str(name) for value in texts for name in value} - set(SPECIAL)


def shown(name, lines, metadata):
    """Names in the description of a prediction."""
    text = "\n".join(lines)
    if name in DESCRIBED:
        return [*text.replace("tags: ", "").replace(", ", " ").replace("\n", " ").split(" ")]
    return [one for one in names_of(metadata) if one in text]


@pytest.mark.parametrize("name", FOREIGN)
def test_a_task_trains_on_foreign_data_and_names_it(name, tmp_path, monkeypatch):
    metadata, fields = FOREIGN[name]
    task = load_task(name)

    def fail(*_):
        raise AssertionError("examples were made")

    for method in ("make", "draw"):
        monkeypatch.setattr(type(task), method, fail)
    folder = written(tmp_path / "own", metadata, fields)
    recipe = Recipe(epochs=1, batch_size=8, averaging=0.0)
    result = train(name, data=folder, out=tmp_path / "run", recipe=recipe, run=QUIET)
    assert set(task.reported_metrics) <= {*result.metrics, "loss"}
    assert all(np.isfinite(value) for value in result.metrics.values())
    stored = load_vision_model(tmp_path / "run").spec.metadata
    assert {key: stored[key] for key in metadata} == metadata
    test = Examples(read_dataset(folder, task).test.arrays)
    lines = predict(tmp_path / "run", test, device="cpu")
    assert lines
    if "classes" in metadata and name not in ("adding", "sounds", "sound-examples"):
        assert shown(name, lines, metadata)
    if name in DESCRIBED:
        text = "".join(lines)
        assert not any(word in text for word in ("circle", "square", "there", "the"))


def test_every_task_has_foreign_data():
    from danq.vision.task_registry import TASKS

    alike = {"gunpoint", "rain"}
    assert alike | set(FOREIGN) >= {task for task in TASKS if load_task(task).metadata_kinds}
    assert all(load_task(task).metadata_kinds for task in FOREIGN)


def changed(folder, **entries):
    file = folder / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"classes": CLASSES[:9]}, r"label\.npy: .* value 1\d in example \d, but .* 0 to 8"),
        ({"shape": [3, 12, 10]}, r"image\.npy: .*examples of 3 x 12 x 9, but .* 3 x 12 x 10"),
        ({"classes": ["a", "a"]}, r"metadata\.json: the entry 'classes' .*list of different"),
        ({"classes": ["a", "b\tc"]}, "Give a list of different printable texts"),
        ({"shape": [3, 12, 0]}, "Give a list of whole numbers above 0"),
        ({"shape": "3 x 12 x 9"}, "'shape' of the metadata is '3 x 12 x 9'"),
    ],
)
def test_metadata_that_contradict_the_arrays_are_refused(entries, message, tmp_path):
    folder = written(tmp_path / "own", *FOREIGN["digits"])
    changed(folder, **entries)
    with pytest.raises(InputError, match=message):
        train("digits", data=folder, out=tmp_path / "run", run=QUIET)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_words_and_values_that_do_not_fit_are_refused(tmp_path):
    folder = written(tmp_path / "slots", *FOREIGN["slots"])
    changed(folder, vocabulary=WORDS[:20])
    with pytest.raises(InputError, match=r"words\.npy.*the metadata allow 0 to 19"):
        read_dataset(folder, load_task("slots"))
    changed(folder, vocabulary=WORDS[4:])
    with pytest.raises(InputError, match="begins with <pad>, <start>, <end>, <unk>"):
        read_dataset(folder, load_task("slots"))
    folder = written(tmp_path / "tracking", *FOREIGN["tracking"])
    np.save(folder / "test" / "boxes.npy", np.full((4, 11, 4), np.nan, np.float32))
    with pytest.raises(InputError, match=r"test/boxes\.npy: .*not finite in example 1"):
        read_dataset(folder, load_task("tracking"))
    folder = written(tmp_path / "relations", *FOREIGN["relations"])
    changed(folder, questions={"a": "which {} here"})
    with pytest.raises(InputError, match=r"question\.npy.*the metadata allow 0 to 0"):
        read_dataset(folder, load_task("relations"))
