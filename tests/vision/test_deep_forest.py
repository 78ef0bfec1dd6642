from __future__ import annotations

import numpy as np

from danq.vision.deep_forest import DeepForest


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
