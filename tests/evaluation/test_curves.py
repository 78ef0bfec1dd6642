"""Curves and calibration against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from danq.errors import InputError
from danq.evaluation.calibration import calibration, log_odds_edges
from danq.evaluation.curves import curve_grid, thresholds


@settings(max_examples=60)
@given(
    hnp.arrays(np.float32, 40, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, -3.0])),
    hnp.arrays(np.uint8, 40, elements=st.integers(0, 1)),
)
def test_thresholds_are_those_of_scikit_learn(scores: np.ndarray, labels: np.ndarray):
    if not 0 < labels.sum() < 40:
        return
    found, passed = thresholds(scores, labels)
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    np.testing.assert_allclose(found / found[-1], tpr[1:])
    np.testing.assert_allclose(passed / passed[-1], fpr[1:])
    precision, recall, _ = precision_recall_curve(labels, scores)
    np.testing.assert_allclose((found / (found + passed))[::-1], precision[:-1])
    np.testing.assert_allclose((found / found[-1])[::-1], recall[:-1])


def test_grid_interpolates_the_curves():
    rng = np.random.default_rng(1)
    labels = (rng.random((500, 3)) < 0.3).astype(np.uint8)
    scores = np.round(rng.normal(size=(500, 3)) + labels, 1).astype(np.float32)
    got = curve_grid(scores, labels, points=11)
    assert got.grid.tolist() == pytest.approx(np.linspace(0, 1, 11))
    for k in range(3):
        fpr, tpr, _ = roc_curve(labels[:, k], scores[:, k], drop_intermediate=False)
        np.testing.assert_allclose(
            got.true_positive_rate[k], np.interp(got.grid, fpr, tpr), atol=1e-12
        )
        precision, recall, _ = precision_recall_curve(labels[:, k], scores[:, k])
        for place, value in zip(got.grid[1:], got.precision[k, 1:], strict=True):
            # Recall falls along scikit-learn's arrays: the last point that still reaches it.
            at = np.flatnonzero(recall >= place - 1e-12)[-1]
            assert value == precision[at]


def test_a_perfect_track_reaches_the_corner():
    scores = np.array([[0.9], [0.8], [0.2], [0.1]], np.float32)
    got = curve_grid(scores, np.array([[1], [1], [0], [0]], np.uint8), points=3)
    assert got.precision.tolist() == [[1, 1, 1]]
    assert got.true_positive_rate.tolist() == [[1, 1, 1]]


def test_tracks_of_one_class_have_no_curve():
    scores = np.linspace(0, 1, 8, dtype=np.float32).reshape(4, 2)
    got = curve_grid(scores, np.array([[0, 1]] * 4, np.uint8), points=5)
    assert np.isnan(got.precision[0]).all()
    assert (got.precision[1] == 1).all()
    assert np.isnan(got.true_positive_rate).all()


def test_calibration_equals_scikit_learn():
    rng = np.random.default_rng(2)
    scores = rng.beta(0.5, 2, (3000, 4)).astype(np.float32)
    labels = (rng.random(scores.shape) < scores).astype(np.uint8)
    scores[:2, 0], labels[:2, 0] = (0, 1), (0, 1)
    got = calibration(scores, labels, np.linspace(0, 1, 11))
    for k in range(4):
        observed, predicted = calibration_curve(labels[:, k], scores[:, k], n_bins=10)
        full = got.windows[k] > 0
        np.testing.assert_allclose(got.observed[k, full], observed)
        np.testing.assert_allclose(got.predicted[k, full], predicted)
    observed, predicted = calibration_curve(labels.ravel(), scores.ravel(), n_bins=10)
    np.testing.assert_allclose(got.pooled().observed[0], observed)
    np.testing.assert_allclose(got.pooled().predicted[0], predicted)
    assert got.windows.sum() == scores.size


def test_calibration_error_by_hand():
    scores = np.array([[0.25]] * 4 + [[0.75]] * 4, np.float32)
    labels = np.array([[0], [0], [0], [0], [1], [1], [1], [0]], np.uint8)
    got = calibration(scores, labels, np.array([0, 0.5, 1]))
    assert got.error()[0] == pytest.approx((4 * 0.25 + 4 * 0) / 8)


def test_log_odds_edges_increase_from_0_to_1():
    edges = log_odds_edges()
    assert (edges[0], edges[-1]) == (0, 1)
    assert (np.diff(edges) > 0).all()
    inner = np.log(edges[1:-1] / (1 - edges[1:-1]))
    np.testing.assert_allclose(np.diff(inner), np.diff(inner)[0])


def test_bad_input_is_refused():
    scores, labels = np.full((3, 2), 0.5, np.float32), np.zeros((3, 2), np.uint8)
    with pytest.raises(InputError, match="number of points is 1, the minimum is 2"):
        curve_grid(scores, labels, points=1)
    with pytest.raises(InputError, match=r"edges \[0\.0, 0\.5\] do not increase from 0 to 1"):
        calibration(scores, labels, np.array([0, 0.5]))
    high = scores.copy()
    high[1, 1] = 1.5
    with pytest.raises(InputError, match=r"record 'b': the score of window 1 is 1\.5, not a prob"):
        calibration(high, labels, names=["a", "b"])
    high[1, 1] = np.nan
    with pytest.raises(InputError, match="record 'b': the score of window 1 is NaN"):
        calibration(high, labels, names=["a", "b"])
    with pytest.raises(InputError, match="record 'b': the score of window 1 is NaN"):
        curve_grid(high, labels, names=["a", "b"])
