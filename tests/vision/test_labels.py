from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score

from danq.vision.registry import load_task
from danq.vision.task import Sizes
from danq.vision.tasks.labels import CLASSES, PALETTE, composed_digits, mean_iou


def test_mean_iou_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 6, (4, 5, 5))
    found = np.where(rng.random(right.shape) < 0.6, right, rng.integers(0, 6, right.shape))
    expected = jaccard_score(right.ravel(), found.ravel(), average="macro")
    assert mean_iou(found, right) == pytest.approx(expected)


def test_labels_are_where_digits_are_bright():
    images, labels = composed_digits("train", 50, np.random.default_rng(0))
    assert images[:, 0][labels > 0].min() >= 80
    assert images[:, 0][labels == 0].max() < 80


def test_steps_cost_no_parameter():
    task = load_task("scene-labels")
    facts = task.make(0, Sizes(4, 4, 4)).facts
    counts = {
        sum(p.numel() for p in system.build(facts, **system.numbers).parameters())
        for system in task.systems
    }
    assert len(counts) == 1


def test_the_map_is_written_in_its_colours(tmp_path):
    task = load_task("scene-labels")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.systems[0].build(data.facts, **task.systems[0].numbers).eval()
    one, device = data.test.rows(slice(0, 1)), torch.device("cpu")
    with torch.inference_mode():
        lines = task.tell(module, one, data.facts, device, tmp_path / "map.png")
        found = module(torch.from_numpy(one["image"]).float() / 255)[0, -1].argmax(dim=0).numpy()
    with Image.open(tmp_path / "map.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture)[4::8, 4::8], PALETTE[found])
    counts = {line.split(":")[0]: int(line.split()[1]) for line in lines[:-1]}
    assert counts == {CLASSES[k]: int((found == k).sum()) for k in np.unique(found)}
