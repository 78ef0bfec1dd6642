from __future__ import annotations

import numpy as np
import torch

from danq.core.greedy_and_beam_search import Hypothesis
from danq.vision.generators.shape_images import COLOURS
from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks import image_reports as reports
from danq.vision.vocabulary import Vocabulary


def test_reports_describe_their_images():
    images, texts, tags = reports.reported_scenes(30, np.random.default_rng(0))
    for image, report, held in zip(images, texts, tags, strict=True):
        count = reports.COUNTS.index(report[-1].removeprefix("the image shows "))
        assert count == len(report) - 1
        said = {" ".join(line.split()[3:5]) for line in report[:-1]}
        assert said == {name for name, holds in zip(reports.TAGS, held, strict=True) if holds}
        for line in report[:-1]:
            vertical, side = line.split()[-2:]
            rows = slice(0, 16) if vertical == "upper" else slice(16, 32)
            columns = slice(0, 16) if side == "left" else slice(16, 32)
            pixels = image[:, rows, columns].reshape(3, -1).T.tolist()
            assert list(COLOURS[line.split()[3]]) in pixels


def test_a_report_ends_at_its_first_empty_sentence(monkeypatch):
    task = load_task("reports")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.models[0].build(data.metadata, **task.models[0].hyperparameters).eval()
    known = Vocabulary(data.metadata["vocabulary"])
    a, b = known.encode(["red"], 1)[0], known.encode(["circle"], 1)[0]
    said = [(a,), (b, a), (), (b,), (), (a,), (a,), (a,)]
    found = [Hypothesis(symbols, 0.0, True) for symbols in said]
    monkeypatch.setattr(reports, "greedy", lambda *_, **__: found)
    rows, tags = reports.write(module, torch.zeros(2, 3, 32, 32))
    assert rows == [(a, b, a), ()]
    assert tags.shape == (2, len(reports.TAGS))


def test_true_reports_have_perfect_scores():
    task = load_task("reports")
    data = task.make(0, Sizes(4, 4, 8))
    true = reports._flat(data.test["words"])
    metrics = task.score((true, data.test["tags"]), data.test)
    assert metrics == {"bleu4": 1.0, "exact": 1.0, "tag_f1": 1.0}
