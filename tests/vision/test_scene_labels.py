from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import jaccard_score

from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.scene_labels import CLASSES, composed_digits, mean_iou, palette


def test_mean_iou_equals_scikit_learn():
    rng = np.random.default_rng(0)
    right = rng.integers(0, 6, (4, 5, 5))
    found = np.where(rng.random(right.shape) < 0.6, right, rng.integers(0, 6, right.shape))
    expected = jaccard_score(right.ravel(), found.ravel(), average="macro")
    assert mean_iou(found, right) == pytest.approx(expected)


def test_colours_of_many_classes_differ():
    colours = palette(300)
    assert len(np.unique(colours, axis=0)) == len(colours) == 300
    np.testing.assert_array_equal(colours[:11], palette(3))


def test_labels_are_at_the_bright_pixels():
    images, labels = composed_digits("train", 50, np.random.default_rng(0))
    assert images[:, 0][labels > 0].min() >= 80
    assert images[:, 0][labels == 0].max() < 80


def test_all_numbers_of_steps_have_the_same_parameters():
    task = load_task("scene-labels")
    metadata = task.make(0, Sizes(4, 4, 4)).metadata
    counts = {
        sum(p.numel() for p in model.build(metadata, **model.hyperparameters).parameters())
        for model in task.models
    }
    assert len(counts) == 1


def test_the_label_map_is_written_in_the_palette(tmp_path):
    task = load_task("scene-labels")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.models[0].build(data.metadata, **task.models[0].hyperparameters).eval()
    one = data.test.rows(slice(0, 1))
    with torch.inference_mode():
        lines = task.predict(module, one, data.metadata, tmp_path / "map.png")
        found = module(torch.from_numpy(one["image"]).float() / 255)[0, -1].argmax(dim=0).numpy()
    with Image.open(tmp_path / "map.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[4::8, 4::8], palette(11)[found])
    counts = {line.split(":")[0]: int(line.split()[1]) for line in lines[:-1]}
    assert counts == {CLASSES[k]: int((found == k).sum()) for k in np.unique(found)}
