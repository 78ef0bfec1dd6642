from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.vision import read_clip
from danq.vision.bleu import bleu
from danq.vision.generators.digit_images import digit_images
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.frame_selection import hidden_digits
from danq.vision.tasks.image_captions import captioned_scenes
from danq.vision.tasks.motion_direction import DIRECTIONS, moving_digits
from danq.vision.tasks.nowcasting import (
    LIFE,
    advected,
    bouncing_digits,
    drifting_fields,
    rain_scores,
)
from danq.vision.tasks.slot_filling import span_f1, spans
from danq.vision.tasks.story_questions import MOVES, PLACES, stories
from danq.vision.vocabulary import SPECIAL, Vocabulary, split_words

TINY = Sizes(24, 8, 8)


def test_splits_of_the_digits_are_complete_and_disjoint():
    images = [digit_images(split)[0] for split in ("train", "valid", "test")]
    assert sum(map(len, images)) == 1797
    seen = {image.tobytes() for image in images[0]}
    assert sum(image.tobytes() in seen for image in images[2]) <= 1  # the data set has duplicates


def test_left_and_right_have_the_same_frames_in_another_order():
    clips, labels = moving_digits("train", 60, np.random.default_rng(0))
    names = list(DIRECTIONS)
    for clip, label in zip(clips, labels, strict=True):
        rows = {frame[0].sum(axis=1).tobytes() for frame in clip}
        columns = {frame[0].sum(axis=0).tobytes() for frame in clip}
        assert len(rows if names[label] in ("left", "right") else columns) == 1
        # One more step returns to the first frame.
        shift = {"left": (0, -2), "right": (0, 2), "up": (-2, 0), "down": (2, 0)}[names[label]]
        np.testing.assert_array_equal(np.roll(clip[-1, 0], shift, (0, 1)), clip[0, 0])


def test_one_frame_shows_an_unshuffled_digit():
    clips, _, place = hidden_digits("test", 20, np.random.default_rng(0))
    known = {image.tobytes() for image in digit_images("test")[0]}
    for clip, frame in zip(clips, place, strict=True):
        assert [i for i, one in enumerate(clip) if one.tobytes() in known] == [frame]


def test_digits_bounce_off_the_edges_at_constant_speed():
    clips = bouncing_digits("train", 30, np.random.default_rng(0))
    assert clips.shape == (30, 20, 1, 32, 32)
    light = clips.astype(float).sum(axis=(2, 3, 4))
    # A frame is darker only if one digit hides the other.
    assert (light >= 0.5 * light.max(axis=1, keepdims=True)).all()
    assert (np.abs(np.diff(clips.astype(int), axis=1)).max(axis=(2, 3, 4)) > 0).mean() > 0.95


def test_optical_flow_forecasts_drift_better_than_the_last_frame():
    clips = drifting_fields(6, np.random.default_rng(1), np.inf)[:, :, 0] / 255
    errors = np.array(
        [
            [np.mean((found - clip[10:14]) ** 2) for found in (advected(clip[:10], 4), clip[9:10])]
            for clip in clips
        ]
    )
    assert errors.mean(axis=0)[0] < 0.5 * errors.mean(axis=0)[1]


def test_showers_grow_and_decay_while_they_drift():
    clips, again, drifting = (
        drifting_fields(300, np.random.default_rng(2), life) for life in (LIFE, LIFE, np.inf)
    )
    np.testing.assert_array_equal(clips, again)
    np.testing.assert_array_equal(clips[:, 0], drifting[:, 0])
    # The correlation of a field with itself after a phase shift is the cosine of the shift. For
    # two Gaussian fields with correlation r, the correlation of their signs is 2 asin(r) / pi.
    for frame in (5, 10, 15, 19):
        wet, would = (one[:, frame] > 0 for one in (clips, drifting))
        agree = 2 * (wet == would).mean() - 1
        assert agree == pytest.approx(2 / np.pi * np.arcsin(np.cos(np.pi * frame / LIFE)), abs=0.05)
    shares = (clips > 127).mean(axis=(0, 2, 3, 4))
    assert shares == pytest.approx(np.full(20, 0.16), abs=0.02)


def test_rain_has_a_greater_weight_in_the_loss():
    task = load_task("rain")
    future = torch.tensor([0.9, 0.9, 0.1, 0.1]).reshape(1, 4, 1, 1, 1)
    batch = {"clip": torch.zeros(1, 10, 1, 1, 1), "future": future}
    logits = torch.tensor([2.0, -1.0, 0.5, -2.0])
    p = logits.sigmoid().numpy()
    right = future.flatten().numpy()
    terms = -right * np.log(p) - (1 - right) * np.log(1 - p)
    loss = task.loss(lambda _: logits.reshape(1, 4, 1, 1, 1), batch)  # type: ignore[arg-type]
    assert float(loss) == pytest.approx(float(np.mean(terms * [3, 3, 1, 1])), rel=1e-5)


def test_rain_scores_of_five_pixels():
    right = np.array([255, 255, 0, 0, 200])
    found = np.array([0.9, 0.1, 0.8, 0.2, 0.7])
    assert rain_scores(found, right) == {"csi": pytest.approx(2 / 4), "far": pytest.approx(1 / 3)}


def test_spans_and_f1():
    labels = ["O", "B-from", "I-from", "O", "B-to", "B-to", "I-day", "I-day", "O"]
    assert spans(labels) == {("from", 1, 3), ("to", 4, 5), ("to", 5, 6), ("day", 6, 8)}
    found = [["B-from", "O", "B-to"]]
    right = [["B-from", "I-from", "B-to"]]
    assert span_f1(found, right) == pytest.approx(0.5)
    assert span_f1(right, right) == 1.0


def test_cities_of_the_test_split_are_unknown_words():
    data = load_task("slots").make(0, Sizes(200, 20, 200))
    known = Vocabulary(data.metadata["vocabulary"])
    assert known.words[:4] == SPECIAL
    cities = np.isin(data.test["labels"], [1, 3])  # B-from, B-to
    assert (data.test["words"][cities] == known.words.index("<unk>")).mean() > 0.7
    assert (data.train["words"][np.isin(data.train["labels"], [1, 3])] == 3).mean() < 0.25


def test_answers_follow_from_the_stories():
    for text, question, answer in zip(*stories(50, np.random.default_rng(0)), strict=True):
        joined = " ".join(text)
        for move in sorted(MOVES, key=len, reverse=True):
            joined = joined.replace(move, ">")
        words = joined.split()
        last = max(i for i, word in enumerate(words) if word == question[2])
        assert words[last + 1 : last + 3] == [">", "the"]
        assert words[last + 3] == answer
        assert answer in PLACES


def test_both_captions_describe_the_same_scene():
    images, texts = captioned_scenes(40, np.random.default_rng(0))
    assert images.shape == (40, 3, 32, 32)
    opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}
    for first, second in texts:
        a, b = first.split(), second.split()
        relation = next(word for word in a if word in opposite)
        assert opposite[relation] in b
        assert a[:3] == b[-3:]
        assert b[:3] == a[-3:]


def test_shapes_are_drawn_in_the_relation_of_the_caption():
    images, texts = captioned_scenes(200, np.random.default_rng(3))
    seen = 0
    for image, (text, _) in zip(images.astype(int), texts, strict=True):
        words = text.split()
        if words[1] == "red" and words[-2] == "blue":
            red = np.argwhere((image[0] > 180) & (image[2] < 90)).mean(axis=0)
            blue = np.argwhere((image[2] > 180) & (image[0] < 90)).mean(axis=0)
            relation = words[3]
            axis = 0 if relation in ("above", "below") else 1
            assert (red[axis] < blue[axis]) == (relation in ("left", "above"))
            seen += 1
    assert seen


def test_bleu_of_short_texts():
    text = ["the", "the", "the", "the"]
    assert bleu([text], [[["the", "cat", "is", "on", "the", "mat"]]], order=1) == pytest.approx(
        2 / 4 * np.exp(1 - 6 / 4)
    )
    perfect = ["a", "red", "circle", "left", "of", "a", "blue", "square"]
    assert bleu([perfect], [[perfect[::-1], perfect]]) == 1.0
    assert bleu([["a"]], [[["b"]]]) == 0.0
    # One of five words differs in the middle: 4 of 5 words, 2 of 4 pairs.
    text, right = list("abxde"), list("abcde")
    assert bleu([text], [[right]], order=2) == pytest.approx(np.sqrt(4 / 5 * 2 / 4))


def test_vocabulary_encodes_and_decodes():
    known = Vocabulary(["blue", "red", "blue"])
    assert known.words == (*SPECIAL, "blue", "red")
    assert split_words("What's RED, and blue?") == ["what's", "red", "and", "blue"]
    row = known.encode(["red", "sky", "blue"], 6, ends=True)
    assert row.tolist() == [1, 5, 3, 4, 2, 0]
    assert known.decode(row) == ["red", "<unk>", "blue"]
    assert known.encode(["red"] * 9, 4, ends=True).tolist() == [1, 5, 5, 2]


def predicted(name, source, tmp_path, text=None, out=None):
    task = load_task(name)
    metadata = task.metadata()
    torch.manual_seed(0)
    module = task.models[0].build(metadata, **task.models[0].hyperparameters).eval()
    examples = task.read_input(source, metadata, text)
    with torch.inference_mode():
        return task.predict(module, examples, metadata, out)


def test_every_kind_of_input_is_predicted(tmp_path):
    (tmp_path / "story.txt").write_text("Mary went to the garden.\nJohn moved to the office.\n")
    (line,) = predicted("story", tmp_path / "story.txt", tmp_path, "Where is Mary?")
    assert line.split()[0] in PLACES
    (tmp_path / "ask.txt").write_text("flights from boston to denver\n\nto miami please\n")
    assert len(predicted("slots", tmp_path / "ask.txt", tmp_path)) == 2
    clip = bouncing_digits("test", 1, np.random.default_rng(0))[0, :10]
    np.save(tmp_path / "clip.npy", clip)
    (line,) = predicted("nowcasting", tmp_path / "clip.npy", tmp_path)
    assert line == "10 frames; an output file (GIF or mp4) shows them"
    (line,) = predicted("nowcasting", tmp_path / "clip.npy", tmp_path, out=tmp_path / "next.gif")
    assert line == f"{tmp_path / 'next.gif'}: 10 frames"
    assert read_clip(tmp_path / "next.gif").shape[2:] == (128, 128)
    np.save(tmp_path / "add.npy", np.random.default_rng(0).random((50, 2)))
    (line,) = predicted("adding", tmp_path / "add.npy", tmp_path)
    float(line)
    np.save(tmp_path / "copy.npy", np.arange(30) % 9)
    (line,) = predicted("copy", tmp_path / "copy.npy", tmp_path)
    assert len(line.split()) == 10
    digit = np.repeat(digit_images("test")[0][:1], 2, axis=0)
    np.save(tmp_path / "digit.npy", digit)
    (line,) = predicted("frame-selection", tmp_path / "digit.npy", tmp_path)
    assert "frame" in line
    (line,) = predicted("captions", tmp_path / "digit.npy", tmp_path)
    assert isinstance(line, str)
    (line,) = predicted("vqa", tmp_path / "digit.npy", tmp_path, "what colour is it?")
    assert len(line.split()) == 6


def test_invalid_inputs_are_refused(tmp_path):
    (tmp_path / "story.txt").write_text("Mary went to the garden.")
    with pytest.raises(InputError, match=r"a story without a question.*as text"):
        predicted("story", tmp_path / "story.txt", tmp_path)
    with pytest.raises(InputError, match=r"an image without a question.*as text"):
        predicted("vqa", tmp_path / "story.txt", tmp_path)
    (tmp_path / "empty.txt").write_text("\n .\n")
    with pytest.raises(InputError, match="the file has no words"):
        predicted("slots", tmp_path / "empty.txt", tmp_path)
    (tmp_path / "long.txt").write_text("short one\n" + "to " * 30)
    with pytest.raises(InputError, match=r"line 2: more than 20 words"):
        predicted("slots", tmp_path / "long.txt", tmp_path)
    np.save(tmp_path / "add.npy", np.zeros((5, 3)))
    with pytest.raises(InputError, match=r"shape \(5, 3\).*\(T, 2\)"):
        predicted("adding", tmp_path / "add.npy", tmp_path)
    np.save(tmp_path / "copy.npy", np.array([1, 12]))
    with pytest.raises(InputError, match="outside 0 to 9"):
        predicted("copy", tmp_path / "copy.npy", tmp_path)
