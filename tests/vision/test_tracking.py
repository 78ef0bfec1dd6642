from __future__ import annotations

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.task_registry import load_task
from danq.vision.tasks.tracking import detected, last_box, linear_motion, overlap, tracks


def covered(box, other, points=400):
    """Overlap of two boxes by counting points of a fine grid."""
    grid = (np.arange(2 * points) + 0.5) / points - 0.5
    inside = []
    for x, y, width, height in (box, other):
        inside.append(
            (np.abs(grid - x) < width / 2)[None] & (np.abs(grid - y) < height / 2)[:, None]
        )
    both, either = inside[0] & inside[1], inside[0] | inside[1]
    return both.sum() / max(1, either.sum())


def test_overlap_equals_counting():
    boxes = np.random.default_rng(0).uniform(0.2, 0.7, (6, 1, 4))
    others = boxes + np.random.default_rng(1).normal(size=boxes.shape) * 0.1
    expected = [[covered(a[0], b[0])] for a, b in zip(boxes, others, strict=True)]
    np.testing.assert_allclose(overlap(boxes, others), expected, atol=0.02)
    apart = np.full((1, 1, 4), 0.1)
    assert overlap(apart, apart + np.array([0.5, 0, 0, 0])) == 0


def test_boxes_stay_within_the_frame():
    boxes = tracks(200, np.random.default_rng(0))
    assert (boxes[..., :2] - boxes[..., 2:] / 2 > -1e-6).all()
    assert (boxes[..., :2] + boxes[..., 2:] / 2 < 1 + 1e-6).all()


def test_baselines_extend_the_last_detection():
    features = np.zeros((1, 5, 5), np.float32)
    features[0, 0] = [0.1, 0.5, 0.2, 0.2, 1]
    features[0, 2] = [0.3, 0.5, 0.2, 0.3, 1]
    assert last_box(features)[0, :, 0] == pytest.approx([0.1, 0.1, 0.3, 0.3, 0.3])
    assert linear_motion(features)[0, :, 0] == pytest.approx([0.1, 0.1, 0.3, 0.4, 0.5])
    assert last_box(features)[0, 4, 3] == pytest.approx(0.3)


def test_detections_are_noisy_boxes_or_zeros():
    boxes = tracks(300, np.random.default_rng(0))
    features, seen = detected(boxes, np.random.default_rng(1))
    assert not features[~seen].any()
    assert seen[:, 0].all()
    errors = (features[..., :4] - boxes)[seen]
    assert errors.std() == pytest.approx(0.03 * np.sqrt(1 + 1.4**2 / 12), rel=0.05)


def test_detections_are_read_from_a_file(tmp_path):
    task = load_task("tracking")
    metadata = {"features": 5}
    (tmp_path / "a.tsv").write_text("0.1\t0.2\t0.1\t0.1\t1\n0\t0\t0\t0\t0\n")
    assert task.read_input(tmp_path / "a.tsv", metadata, None)["detections"].shape == (1, 2, 5)
    (tmp_path / "b.tsv").write_text("0.1\t0.2\n")
    with pytest.raises(InputError, match="2 numbers per line, expected 5"):
        task.read_input(tmp_path / "b.tsv", metadata, None)
    (tmp_path / "c.tsv").write_text("box\n")
    with pytest.raises(InputError, match="line 1: 1 numbers per line, expected 5"):
        task.read_input(tmp_path / "c.tsv", metadata, None)
