"""Clips of two events: their frames, captions, questions and models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.vision.clip_reader import ClipReader
from danq.vision.dataset import Examples
from danq.vision.generators.event_clips import (
    ACTIONS,
    CLIP_COLOURS,
    MOVES,
    SIZES,
    SPEED,
    STOPS,
    Events,
    draw_events,
    event_clips,
    tracks,
)
from danq.vision.generators.shape_images import COLOURS
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.clip_questions import TEMPORAL, questions
from danq.vision.vocabulary import Vocabulary

FEW = Sizes(12, 4, 6)
TWO = Events(("circle", "square"), ("red", "blue"), (0, 1), ("moves left", "grows"))
ONE = Events(("circle", "square"), ("red", "blue"), (0, 0), ("moves up", STOPS))


def painted(frame: np.ndarray, colour: str) -> np.ndarray:
    """Row, column and number of the pixels of a colour; 0 when it has shrunk to nothing."""
    mask = (frame == np.array(COLOURS[colour], np.uint8)[:, None, None]).all(axis=0)
    return np.array([*np.argwhere(mask).mean(axis=0), mask.sum()] if mask.any() else [0, 0, 0])


def test_captions_say_what_happens_then():
    assert TWO.caption() == "a red circle moves left then a blue square grows"
    assert ONE.caption() == "a red circle moves up then stops"
    drawn = {draw_events(np.random.default_rng(seed)) for seed in range(300)}
    assert {one.actions[1] for one in drawn} == {*ACTIONS, STOPS}
    assert all(one.actions[0] != one.actions[1] for one in drawn)


def test_frames_show_the_events_in_their_order():
    clips, real, every = event_clips(60, np.random.default_rng(0))
    assert {7, 8, 9, 10} == set(real.sum(axis=1))
    assert not clips[~real].any()
    for clip, shown, events in zip(clips, real, every, strict=True):
        frames = clip[shown]
        seen = np.array([[painted(frame, colour) for colour in events.colours] for frame in frames])
        middle = len(frames) // 2
        for number, half in enumerate((seen[:middle], seen[middle:])):
            change = half[-1] - half[0]
            acting, action = events.objects[number], events.actions[number]
            for one in range(2):
                moved, grown = change[one, :2], change[one, 2]
                if one != acting or action == STOPS:
                    assert np.abs(moved).max() == grown == 0
                elif action in MOVES:
                    along = np.array(MOVES[action])
                    np.testing.assert_allclose(moved, along * SPEED * (len(half) - 1), atol=0.6)
                else:
                    assert np.sign(grown) == SIZES[action]


def test_shapes_stay_inside_and_apart():
    rng = np.random.default_rng(1)
    for _ in range(30):
        found = tracks(draw_events(rng), 10, 5, rng)
        assert found.shape == (10, 2, 3)
        assert found[..., :2].min() > 4
        assert found[..., :2].max() < 19
        assert np.linalg.norm(found[:, 0, :2] - found[:, 1, :2], axis=1).min() >= 9


def test_answers_follow_from_the_events():
    for seed in range(20):
        found = {text: answer for text, answer, _ in questions(TWO, np.random.default_rng(seed))}
        alone = {text: answer for text, answer, _ in questions(ONE, np.random.default_rng(seed))}
        assert found["what happens first"] == "moves left"
        assert found["what happens last"] == "grows"
        assert found["which shape changes first"] == "circle"
        assert found["which colour changes last"] == "blue"
        assert alone["what happens last"] == STOPS
        assert alone["which colour changes last"] == "red"
        for answers, square in ((found, "yes"), (alone, "no")):
            known = {
                "does the circle change": "yes",
                "does the square change": square,
                "what shape is the red one": "circle",
                "what shape is the blue one": "square",
                "what colour is the circle": "red",
                "what colour is the square": "blue",
            }
            assert answers.items() <= (known | answers).items()
            assert len(answers.keys() & known.keys()) == 3


def test_kinds_of_questions_are_counted_apart():
    task = load_task("clip-questions")
    test = task.make(0, FEW).test
    assert (test["temporal"].sum(axis=1) == len(TEMPORAL)).all()
    right = test["label"].copy()
    assert task.score(right, test) == {"temporal": 1.0, "still": 1.0}
    right[test["temporal"]] = -1
    assert task.score(right, test) == {"temporal": 0.0, "still": 1.0}
    hidden = Examples({**test.arrays, "asked": test["asked"] & test["temporal"]})
    assert task.score(test["label"], hidden) == {"temporal": 1.0, "still": 0.0}


def make_reader(one_frame: bool) -> ClipReader:
    torch.manual_seed(0)
    shape = {"shape": [6, 3, 8, 8]}
    return ClipReader(shape, channels=[4], features=5, hidden=4, layers=2, one_frame=one_frame)


@pytest.mark.parametrize("one_frame", [True, False])
def test_padded_frames_change_nothing(one_frame):
    reader = make_reader(one_frame).eval()
    clip, real = torch.rand(2, 6, 3, 8, 8), torch.arange(6) < torch.tensor([[6], [4]])
    tokens, mask, states = reader(clip.masked_fill(~real[..., None, None, None], 0.7), real)
    other, _, again = reader(clip[1:, :4], real[1:, :4])
    torch.testing.assert_close(tokens[1][mask[1]], other[0])
    for one, two in zip(states, again, strict=True):
        torch.testing.assert_close(one[1], two[0])


def test_one_frame_is_the_middle_of_the_real_ones():
    reader = make_reader(one_frame=True).eval()
    clip, real = torch.rand(2, 6, 3, 8, 8), torch.arange(6) < torch.tensor([[6], [4]])
    found = reader(clip, real)[0]
    changed = clip.clone()
    changed[0, [0, 1, 2, 4, 5]] = 0
    changed[1, [0, 1, 3]] = 0
    assert torch.equal(reader(changed, real)[0], found)


def test_a_caption_is_as_long_as_the_metadata_allow():
    task = load_task("clip-captions")
    data = task.make(0, FEW)
    longer = {**data.metadata, "length": 17, "vocabulary": [*data.metadata["vocabulary"], "zebra"]}
    for model in task.models:
        module = model.build(longer, **model.hyperparameters).eval()
        never = module.decoder.output
        torch.nn.init.zeros_(never.weight)
        with torch.no_grad():
            never.bias.copy_(torch.eye(len(longer["vocabulary"]))[-1] * 50)
            captions = task.outputs(module, data.test)
        assert task.describe(captions, data.test, longer) == [" ".join(["zebra"] * 17)] * 6


def test_questions_are_read_from_text(tmp_path):
    task = load_task("clip-questions")
    data = task.make(0, FEW)
    np.save(tmp_path / "a.npy", data.test["clip"][0])
    read = task.read_input(tmp_path / "a.npy", data.metadata, "Which SHAPE changes first?")
    known = Vocabulary(data.metadata["vocabulary"])
    assert known.decode(read["question"][0, 0]) == ["which", "shape", "changes", "first"]
    model = task.models[0]
    module = model.build(data.metadata, **model.hyperparameters).eval()
    with torch.inference_mode():
        (line,) = task.predict(module, read, data.metadata)
    assert line.rsplit(" ", 1)[0] in set(data.metadata["classes"]) or len(line.split("  ")) == 3
    with pytest.raises(InputError, match="a clip without a question"):
        task.read_input(tmp_path / "a.npy", data.metadata, None)


def test_colours_and_shapes_of_objects_differ():
    for seed in range(50):
        events = draw_events(np.random.default_rng(seed))
        assert len(set(events.shapes)) == len(set(events.colours)) == 2
        assert set(events.colours) <= set(CLIP_COLOURS)
