from __future__ import annotations

import secrets
from functools import cache

import captcha.image
import numpy as np
import pytest
import torch

from danq.vision.generators.captcha_images import text_lines
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.text_lines import CtcReader, edit_distance


def levenshtein(a, b):
    @cache
    def gap(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(gap(i - 1, j) + 1, gap(i, j - 1) + 1, gap(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return gap(len(a), len(b))


def test_edit_distance_equals_the_recursion():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = ("".join(rng.choice(list("123"), rng.integers(0, 6))) for _ in range(2))
        assert edit_distance(a, b) == levenshtein(a, b)


def test_lines_depend_on_the_seed_and_the_package_is_restored():
    first, texts = text_lines(3, np.random.default_rng(1))
    again, _ = text_lines(3, np.random.default_rng(1))
    np.testing.assert_array_equal(first, again)
    assert all(3 <= len(text) <= 5 and text.isdigit() for text in texts)
    assert captcha.image.secrets is secrets


def test_ctc_transcribes_its_best_path():
    task = load_task("text-lines")
    data = task.make(0, Sizes(4, 4, 4))
    assert len(data.metadata["vocabulary"]) == 4 + 10
    module = task.model("crnn").build(data.metadata, **task.model("crnn").hyperparameters)
    path = torch.full((1, 20, 14), -9.0)
    for step, symbol in enumerate([0, 5, 5, 0, 5, 7, 0, 0, *[0] * 12]):
        path[0, step, symbol] = 9.0
    module.head = torch.nn.Module()
    module.head.forward = lambda _: path
    assert isinstance(module, CtcReader)
    assert module.transcribe(torch.zeros(1, 1, 30, 80)) == [(5, 5, 7)]


@pytest.mark.parametrize("name", ["crnn", "attention"])
def test_an_untrained_model_transcribes_every_line(name):
    task = load_task("text-lines")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.model(name).build(data.metadata, **task.model(name).hyperparameters).eval()
    with torch.inference_mode():
        lines = task.predict(module, data.test, data.metadata)
    assert len(lines) == 4
