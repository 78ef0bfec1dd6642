from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from danq.vision.task import Sizes
from danq.vision.task_registry import load_task
from danq.vision.tasks.scene_clips import FRAMES, NONE, class_iou, moving_digit_labels


def test_class_iou_equals_scikit_learn_without_pixels_of_no_class():
    rng = np.random.default_rng(0)
    right = rng.integers(-1, 6, (4, 3, 5, 5))
    found = np.where(rng.random(right.shape) < 0.6, right.clip(0), rng.integers(0, 6, right.shape))
    kept = right >= 0
    expected = jaccard_score(right[kept], found[kept], average="macro")
    assert class_iou(found, right) == pytest.approx(expected)


def test_padding_is_last_and_has_no_class():
    clips, real, labels = moving_digit_labels("train", 40, np.random.default_rng(0))
    assert (real.cumprod(axis=1) == real).all()
    assert set(real.sum(axis=1)) == {3, 4, 5, 6}
    assert (labels[~real] == NONE).all()
    assert labels[real].min() == 0
    assert clips[~real].max() == 0


def test_padded_frames_do_not_count():
    task = load_task("scene-clips")
    data = task.make(0, Sizes(4, 4, 8))
    batch = next(data.test.batches(8, torch.device("cpu")))
    real = batch["real"]
    noisy = batch | {"clip": torch.where(real[..., None, None, None], batch["clip"], 1.0)}
    for model in task.models:
        module = model.build(data.metadata, **model.hyperparameters).eval()
        with torch.inference_mode():
            torch.testing.assert_close(task.loss(module, noisy), task.loss(module, batch))


def test_a_clip_is_read_and_its_classes_counted(tmp_path):
    task = load_task("scene-clips")
    data = task.make(0, Sizes(4, 4, 4))
    module = task.models[0].build(data.metadata, **task.models[0].hyperparameters).eval()
    np.save(tmp_path / "a.npy", data.test["clip"][0])
    with torch.inference_mode():
        examples = task.read_input(tmp_path / "a.npy", data.metadata, None)
        lines = task.predict(module, examples, data.metadata)
    assert len(lines) == FRAMES
    for line in lines:
        counts = [int(part.split()[-1]) for part in line.split(": ")[1].split(", ")]
        assert sum(counts) == 16 * 16
