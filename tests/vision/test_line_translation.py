"""Lines of English and their Latin translations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ImageFont

from danq.vision.generators.sentence_images import (
    HEIGHT,
    LONGEST,
    SIZE,
    WIDTH,
    WORDS,
    Sentence,
    draw_sentence,
    sentence_images,
)
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.line_translation import CtcTranslator
from danq.vision.vocabulary import Vocabulary, without_special

FEW = Sizes(8, 4, 6)


@pytest.mark.parametrize(
    ("sentence", "english", "latin"),
    [
        (
            Sentence(0, 0, 3, 0, 6, 2),
            "the big dog sees the white cow today",
            "hodie canis magnus vaccam albam videt",
        ),
        (
            Sentence(6, 1, 0, 2, 0, 5),
            "the small cow often loves the dog",
            "vacca parva canem saepe amat",
        ),
        (
            Sentence(3, 5, 4, 4, 8, 4),
            "the king carries the happy girl",
            "rex puellam laetam portat",
        ),
        (
            Sentence(9, 3, 1, 5, 4, 3),
            "the good queen never guards the good boy",
            "regina bona puerum bonum numquam custodit",
        ),
    ],
)
def test_sentences_are_translated_by_hand(sentence, english, latin):
    assert sentence.english() == english
    assert sentence.latin() == latin.split()


def test_no_test_sentence_occurs_in_the_training_and_all_fit():
    rng = np.random.default_rng(0)
    drawn = {part: {draw_sentence(rng, held_out=part) for _ in range(300)} for part in (0, 1)}
    assert not drawn[0] & drawn[1]
    every = drawn[0] | drawn[1]
    assert {word for one in every for word in one.latin()} == set(WORDS)
    assert max(len(one.latin()) for one in every) == LONGEST
    assert len({one.english() for one in every}) == len(every)


def test_images_show_their_line_to_the_end():
    font = ImageFont.load_default(SIZE)
    images, sentences = sentence_images(40, np.random.default_rng(0), held_out=False)
    again, _ = sentence_images(40, np.random.default_rng(0), held_out=False)
    np.testing.assert_array_equal(images, again)
    assert images.shape == (40, 1, HEIGHT, WIDTH)
    for image, sentence in zip(images, sentences, strict=True):
        shown = np.flatnonzero(image[0].max(axis=0) > 100)
        length = font.getlength(sentence.english())
        assert 0.75 * length < shown.max() - shown.min() < length + 1
        assert shown.min() < 12


def test_the_longest_line_fits():
    font = ImageFont.load_default(SIZE)
    rng = np.random.default_rng(0)
    drawn = {draw_sentence(rng, held_out=False).english() for _ in range(2000)}
    # A line starts at up to 7.
    assert max(map(font.getlength, drawn)) + 7 < WIDTH


def test_scores_count_order_and_words():
    task = load_task("line-translation")
    test = task.make(0, FEW).test
    true = [without_special(row) for row in test["words"]]
    assert task.score(true, test) == {"exact": 1.0, "bleu4": pytest.approx(1.0), "any_order": 1.0}
    turned = [row[::-1] for row in true]
    score = task.score(turned, test)
    assert (score["exact"], score["any_order"]) == (0.0, 1.0)
    assert score["bleu4"] < 0.5
    assert task.score([(9,)] * 6, test)["any_order"] == 0.0


def test_ctc_translates_its_best_path():
    task = load_task("line-translation")
    data = task.make(0, FEW)
    model = task.model("ctc")
    module = model.build(data.metadata, **model.hyperparameters)
    path = torch.full((1, 6, len(data.metadata["vocabulary"])), -9.0)
    for step, symbol in enumerate([0, 5, 5, 0, 5, 7]):
        path[0, step, symbol] = 9.0
    module.head = torch.nn.Module()
    module.head.forward = lambda _: path
    assert isinstance(module, CtcTranslator)
    assert module.translate(torch.zeros(1, 1, HEIGHT, WIDTH)) == [(5, 5, 7)]


def test_lines_of_other_words_height_and_length_are_translated():
    metadata = {
        "shape": [3, 20, 64],
        "vocabulary": list(Vocabulary(["eins", "zwölf"]).words),
        "length": 9,
        "inverted": True,
    }
    task = load_task("line-translation")
    words = torch.tensor([[1, 4, 5, 4, 5, 4, 5, 4, 2], [1, 5, 2, 0, 0, 0, 0, 0, 0]])
    for model in task.models:
        module = model.build(metadata, **model.hyperparameters)
        loss = module(torch.rand(2, 3, 20, 64), words)
        assert loss.isfinite()
        lines = module.eval().translate(torch.rand(2, 3, 20, 64))
        assert len(lines) == 2
        for line in task.describe(lines, None, metadata):
            assert set(line.split()) <= {"eins", "zwölf", "<unk>"}
