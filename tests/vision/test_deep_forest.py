from __future__ import annotations

import numpy as np
import pytest

from danq.vision.deep_forest import DeepForest, MultiGrainedScan, sliding_windows


def rings(count, rng):
    points = rng.uniform(-1, 1, (count, 2))
    return points, (np.hypot(*points.T) * 3).astype(int).clip(max=2)


def test_the_cascade_learns_rings_and_depends_on_its_seed_only():
    points, labels = rings(400, np.random.default_rng(0))
    test, right = rings(200, np.random.default_rng(1))
    first, again = (DeepForest(trees=10, folds=3, seed=1).fit(points, labels) for _ in range(2))
    found = first.probabilities(test)
    np.testing.assert_array_equal(found, again.probabilities(test))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == right).mean() > 0.9


def test_later_levels_also_read_four_class_vectors():
    points, labels = rings(120, np.random.default_rng(0))
    cascade = DeepForest(trees=4, folds=3, levels=6).fit(points, labels).cascade
    widths = [level[0][0].n_features_in_ for level in cascade]
    assert widths == [2, *[2 + 4 * 3] * (len(cascade) - 1)]
    assert [len(folds) for folds in cascade[0]] == [3] * 4


def test_a_class_that_is_missing_in_a_fold_keeps_its_column():
    points, labels = rings(60, np.random.default_rng(0))
    labels[labels == 2] = 1
    labels[7] = 2
    found = DeepForest(trees=4, folds=3, levels=1).fit(points, labels).probabilities(points)
    assert found.shape == (60, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_windows_are_counted_and_read_row_by_row():
    images = np.arange(2 * 1 * 3 * 4).reshape(2, 1, 3, 4)
    windows = sliding_windows(images, 2, 1)
    assert windows.shape == (2, 2 * 3, 4)
    assert windows[0, 0].tolist() == [0, 1, 4, 5]
    assert windows[1, 5].tolist() == [18, 19, 22, 23]
    assert sliding_windows(images, 2, 2)[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]
    colours = sliding_windows(np.stack([images[:, 0], -images[:, 0]], axis=1), 3, 1)
    assert colours.shape == (2, 2, 18)
    assert colours[0, 0, 9:].tolist() == [0, -1, -2, -4, -5, -6, -8, -9, -10]
    with pytest.raises(ValueError, match="3 x 4 pixels have no window of width 5"):
        sliding_windows(images, 5, 1)


def test_the_scan_finds_a_mark_at_any_position():
    rng = np.random.default_rng(0)
    images, labels = rng.random((120, 1, 6, 6)) * 0.5, rng.integers(3, size=120)
    for image, label in zip(images, labels, strict=True):
        if label:
            y, x = rng.integers(0, 5, 2)
            image[0, y : y + 2, x : x + 2] = np.eye(2) if label == 1 else 1 - np.eye(2)
    scan = MultiGrainedScan((2, 3), trees=5)
    features = scan.fit_transform(images[:80], labels[:80])
    # Two forests give three classes for 25 windows of width 2 and 16 of width 3.
    assert features.shape == (80, 2 * 3 * (25 + 16))
    np.testing.assert_allclose(features.reshape(80, -1, 3).sum(axis=2), 1)
    forest = DeepForest(trees=10, folds=3, levels=2).fit(features, labels[:80])
    found = forest.probabilities(scan.transform(images[80:])).argmax(axis=1)
    assert (found == labels[80:]).mean() > 0.8


def test_no_forest_of_the_scan_predicts_an_image_that_it_learned():
    images, labels = np.zeros((30, 1, 3, 3)), np.arange(30) % 2
    images[:, 0, 1, 1] = np.arange(30)
    scan = MultiGrainedScan((3,), trees=20, folds=5)
    seen = scan.fit_transform(images, labels).reshape(30, 2, 2)[:, 0].argmax(axis=1)
    # Labels alternate along the only pixel, so that neighbours of an image mislead.
    assert (seen == labels).mean() < 0.5
    assert (scan.transform(images)[:, :2].argmax(axis=1) == labels).mean() > 0.9
