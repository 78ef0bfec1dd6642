from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from danq.vision.detection_metrics import (
    Regions,
    average_precision,
    correct_regions,
    mean_average_precision,
)

TRUE = Regions(
    np.array([[0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 1.0, 1.0]], np.float32),
    [(1,), (2,)],
    np.ones(2, np.float32),
)


def found(boxes, phrases, scores):
    return Regions(np.array(boxes, np.float32).reshape(-1, 4), phrases, np.array(scores))


def test_average_precision_equals_scikit_learn_times_the_share_found():
    rng = np.random.default_rng(0)
    correct = rng.random(50) < 0.4
    for scores in (rng.random(50), rng.integers(0, 6, 50) / 6):
        expected = average_precision_score(correct, scores)
        assert average_precision(scores, correct, int(correct.sum())) == pytest.approx(expected)
        half = average_precision(scores, correct, 2 * int(correct.sum()))
        assert half == pytest.approx(expected / 2)


def test_average_precision_by_hand():
    scores, correct = np.array([0.9, 0.8, 0.7]), np.array([True, False, True])
    assert average_precision(scores, correct, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(scores, correct, 0) == 0
    assert average_precision(scores[:0], correct[:0], 3) == 0


def test_a_true_region_is_taken_once_by_the_best_score():
    box = [0.0, 0.0, 0.4, 0.4]
    twice = found([box, box], [(1,), (1,)], [0.5, 0.6])
    assert correct_regions(twice, TRUE, 0.5, True).tolist() == [False, True]


def test_a_detection_needs_the_overlap_and_the_phrase():
    # Overlaps 0.75 with the first, 0.49 with the second region.
    boxes = [[0.0, 0.0, 0.4, 0.3], [0.5, 0.5, 0.85, 0.85]]
    detections = found(boxes, [(1,), (1,)], [0.9, 0.8])
    assert correct_regions(detections, TRUE, 0.7, False).tolist() == [True, False]
    assert correct_regions(detections, TRUE, 0.4, False).tolist() == [True, True]
    assert correct_regions(detections, TRUE, 0.4, True).tolist() == [True, False]
    # The thresholds .3 and .4 find both boxes, .5 to .7 only the first.
    assert mean_average_precision([detections], [TRUE], phrases=False) == pytest.approx(
        (1 + 1 + 0.5 * 3) / 5
    )
    assert mean_average_precision([detections], [TRUE]) == pytest.approx(0.5)


def test_perfect_and_missing_regions():
    assert mean_average_precision([TRUE], [TRUE]) == 1
    assert mean_average_precision([found([], [], [])], [TRUE]) == 0
    nothing = found([], [], [])
    extra = mean_average_precision([TRUE, TRUE], [TRUE, nothing])
    assert extra == pytest.approx(0.5)
