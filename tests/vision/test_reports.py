from __future__ import annotations

import numpy as np
import torch

from danq.core.greedy_and_beam_search import Hypothesis
from danq.vision.registry import load_task
from danq.vision.scenes import COLOURS
from danq.vision.task import Sizes
from danq.vision.tasks import reports
from danq.vision.words import Vocabulary


def test_reports_say_what_the_pictures_show():
    images, texts, tags = reports.reported_scenes(30, np.random.default_rng(0))
    for image, report, held in zip(images, texts, tags, strict=True):
        count = reports.NUMBERS.index(report[-1].removeprefix("the picture shows "))
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
    module = task.systems[0].build(data.facts, **task.systems[0].numbers).eval()
    known = Vocabulary(data.facts["vocabulary"])
    a, b = known.encode(["red"], 1)[0], known.encode(["circle"], 1)[0]
    said = [(a,), (b, a), (), (b,), (), (a,), (a,), (a,)]
    found = [Hypothesis(symbols, 0.0, True) for symbols in said]
    monkeypatch.setattr(reports, "greedy", lambda *_, **__: found)
    rows, tags = reports.write(module, torch.zeros(2, 3, 32, 32))
    assert rows == [[a, b, a], []]
    assert tags.shape == (2, len(reports.TAGS))


def test_the_truth_scores_full_marks():
    task = load_task("reports")
    data = task.make(0, Sizes(4, 4, 8))
    right = [list(row) for row in reports._bare(data.test["words"])]
    figures = reports._judged(right, data.test["tags"], data.test)
    assert figures == {"bleu4": 1.0, "exact": 1.0, "tag_f1": 1.0}
