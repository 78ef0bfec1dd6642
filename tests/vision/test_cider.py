"""CIDEr-D against answers of the evaluation code of COCO."""

from __future__ import annotations

import math

import pytest

from danq.vision.cider import cider

REFERENCES = [
    ["a man rides a brown horse", "a person on a horse"],
    ["two dogs play in the snow", "dogs run through deep white snow", "two dogs in snow"],
    ["a red bus stops at the corner of the street"],
    ["the cat sleeps"],
]
CAPTIONS = [
    "a man on a brown horse",
    "two dogs play in snow",
    "a bus at the corner of a street street street",
    "the cat sleeps",
]


COCO = 4.349249820762585
"""CIDEr of these captions by pycocoevalcap 1.2."""


def words(texts):
    return [text.split() for text in texts]


def test_equal_captions_have_the_known_answer():
    # A caption equal to its only reference has cosine 1 for each length of its phrases: 10. Here
    # both texts have phrases of one to two words, so half of the four lengths count.
    assert cider(words(["red bus", "a cat"]), [words(["red bus"]), words(["a cat"])]) == 5
    long = "a b c d e"
    assert cider(words([long, "x"]), [words([long]), words(["y"])]) == pytest.approx(5)


def test_a_shorter_caption_by_hand():
    # "a b" against "a b c" of two images without common words: each phrase has the weight log 2.
    # One word: 2 / sqrt(2 * 3); two words: 1 / sqrt(1 * 2); none of three words.
    expected = 10 / 4 * (2 / math.sqrt(6) + 1 / math.sqrt(2)) * math.exp(-1 / 72)
    found = cider(words(["a b", "z"]), [words(["a b c"]), words(["q"])])
    assert found == pytest.approx(expected / 2)


def test_repeated_phrases_count_as_often_as_in_the_reference():
    once, often = (
        cider(words([text, "z"]), [words(["a b"]), words(["q"])]) for text in ("a b", "a a a a")
    )
    assert 0 < often < once / 2


def test_the_answer_of_the_code_of_coco():
    assert cider(words(CAPTIONS), [words(one) for one in REFERENCES]) == pytest.approx(COCO)


def test_a_single_image_has_no_rare_phrase():
    assert cider(words(["a b"]), [words(["a b"])]) == 0
    assert cider([[], ["z"]], [words(["a"]), words(["z"])]) == pytest.approx(10 / 4 / 2)
