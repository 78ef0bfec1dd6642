from __future__ import annotations

import numpy as np
import torch

from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.dense_captions import bright_components, objects


def test_boxes_touch_their_objects():
    images, boxes, phrases = objects(30, np.random.default_rng(0))
    assert {len(row) for row in phrases} == {1, 2, 3, 4}
    for image, own, row in zip(images, boxes, phrases, strict=True):
        assert (own[len(row) :] == 0).all()
        if len(row) == 1:
            (found,) = bright_components(image)
            np.testing.assert_allclose(found, own[0], atol=1e-6)


def test_perfect_regions_have_a_score_of_one():
    task = load_task("dense-captions")
    data = task.make(0, Sizes(4, 4, 6))
    found = [
        type_(boxes, phrases, np.ones(len(boxes)))
        for type_, boxes, phrases in _true(task, data.test)
    ]
    scores = task.score({"found": found, "given": found}, data.test)
    assert scores == {"map": 1.0, "box_map": 1.0, "given_map": 1.0}


def _true(task, examples):
    from danq.vision.tasks.dense_captions import Regions, _true_regions

    return [(Regions, r.boxes, r.phrases) for r in _true_regions(examples)]


@torch.inference_mode()
def test_regions_are_found_without_true_boxes_and_do_not_overlap():
    task = load_task("dense-captions")
    data = task.make(0, Sizes(4, 4, 2))
    module = task.models[0].build(data.metadata, **task.models[0].hyperparameters).eval()
    image = type(data.test)({"image": data.test["image"][:1]})
    lines = task.predict(module, image, data.metadata)
    assert 0 < len(lines) <= 8
    scores = [float(line.split("\t")[1]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    for line in lines:
        x0, y0, x1, y1 = map(float, line.split("\t")[0].split(","))
        assert 0 <= x0 <= x1 <= 1
        assert 0 <= y0 <= y1 <= 1
