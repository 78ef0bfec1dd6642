from __future__ import annotations

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.relation_questions import ANSWERS, APART, NAMES, SIDE, answers, scenes


def answered(kind, colour, places, shapes):
    """Answer one question with a loop over all objects."""
    names = ("circle", "square")
    gaps = [(float(np.hypot(*(places[colour] - place))), k) for k, place in enumerate(places)]
    if kind == 0:
        return names[shapes[colour]]
    if kind in (1, 2):
        return "yes" if places[colour][2 - kind] < (SIDE - 1) / 2 else "no"
    if kind == 3:
        return names[shapes[min(pair for pair in gaps if pair[1] != colour)[1]]]
    if kind == 4:
        return names[shapes[max(gaps)[1]]]
    return str(sum(shape == shapes[colour] for shape in shapes))


def test_answers_equal_those_of_a_loop():
    _, places, shapes = scenes(20, np.random.default_rng(0))
    found = answers(places, shapes)
    for number in range(20):
        for kind in range(6):
            for colour in range(len(NAMES)):
                expected = answered(kind, colour, places[number], shapes[number])
                assert ANSWERS[found[number, kind, colour]] == expected


def test_objects_are_apart_and_have_their_colours():
    images, places, _ = scenes(20, np.random.default_rng(1))
    gaps = np.linalg.norm(places[:, :, None] - places[:, None], axis=-1)
    assert gaps[gaps > 0].min() >= APART
    at = places.round().astype(int)
    for number in range(20):
        seen = {tuple(images[number, :, y, x]) for y, x in at[number]}
        assert len(seen) == len(NAMES)


def test_questions_are_read_from_text(tmp_path):
    task = load_task("relations")
    data = task.make(0, Sizes(4, 4, 4))
    np.save(tmp_path / "a.npy", data.test["image"][0][None])
    asked = task.read_input(
        tmp_path / "a.npy", data.metadata, "What shape is nearest to the blue one?"
    )
    assert asked["question"].tolist() == [[[3, NAMES.index("blue")]]]
    with pytest.raises(InputError, match="is none of the questions"):
        task.read_input(tmp_path / "a.npy", data.metadata, "why?")
