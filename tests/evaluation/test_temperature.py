"""Logistic curves and temperatures against scikit-learn, scipy and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss

from danq.errors import InputError
from danq.evaluation.calibration_slope import calibration_slope, log_loss
from danq.evaluation.confidence_intervals import window_blocks
from danq.evaluation.logistic_fit import _plain_likelihood, fit_logistic, likelihood
from danq.evaluation.temperature import fit_temperature


def simulated(
    windows: int = 3000, tracks: int = 4, strands: int = 1, factor: float = 1.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``factor`` times the logits from which the labels are drawn."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(-1.5, 1.5, (1, windows, tracks))
    truth = middle + (strands > 1) * rng.normal(0, 0.7, (strands, windows, tracks))
    labels = (rng.random((windows, tracks)) < expit(truth).mean(0)).astype(np.uint8)
    return (factor * truth).astype(np.float32), labels


def neighbours(windows: int, blocks: int = 100) -> np.ndarray:
    return window_blocks(np.zeros(windows, np.int64), np.arange(windows), blocks)


@pytest.mark.parametrize("strands", [1, 2])
def test_the_compiled_likelihood_equals_numpy(strands: int):
    logits, labels = simulated(500, 3, strands)
    slope, intercept = np.array([0.5, 1.0, -2.0]), np.array([0.1, 0.0, -1.0])
    sums = np.zeros((3, 6))
    likelihood(logits, labels, slope, intercept, np.ones(3, bool), sums)
    np.testing.assert_allclose(
        sums, _plain_likelihood(logits, labels, slope, intercept), rtol=1e-10
    )


def test_the_derivatives_are_those_of_the_loss():
    logits, labels = simulated(500, 2, 2)

    def loss(slope: float, intercept: float) -> np.ndarray:
        sums = np.zeros((2, 6))
        parameters = np.full(2, slope), np.full(2, intercept)
        likelihood(logits, labels, *parameters, np.ones(2, bool), sums)
        return sums

    h = 1e-5
    by_slope = (loss(0.8 + h, 0.2)[:, 0] - loss(0.8 - h, 0.2)[:, 0]) / (2 * h)
    by_intercept = (loss(0.8, 0.2 + h)[:, 0] - loss(0.8, 0.2 - h)[:, 0]) / (2 * h)
    np.testing.assert_allclose(loss(0.8, 0.2)[:, 1], by_slope, rtol=1e-5)
    np.testing.assert_allclose(loss(0.8, 0.2)[:, 2], by_intercept, rtol=1e-5)


def test_slope_and_intercept_are_those_of_scikit_learn():
    logits, labels = simulated(factor=1.6)
    fit, pooled = fit_logistic(logits, labels), fit_logistic(logits, labels, pooled=True)
    for k in range(4):
        oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        oracle.fit(logits[0, :, [k]].T.astype(float), labels[:, k])
        assert fit.slope[k] == pytest.approx(oracle.coef_[0, 0], abs=1e-5)
        assert fit.intercept[k] == pytest.approx(oracle.intercept_[0], abs=1e-5)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    oracle.fit(logits[0].reshape(-1, 1).astype(float), labels.ravel())
    np.testing.assert_allclose(pooled.slope, np.full(4, oracle.coef_[0, 0]), atol=1e-5)
    np.testing.assert_allclose(pooled.intercept, np.full(4, oracle.intercept_[0]), atol=1e-5)


def test_tracks_without_a_maximum_are_undefined():
    logits, labels = simulated(400, 5)
    labels[:, 0] = 0
    labels[:, 1] = 1
    labels[:, 2] = logits[0, :, 2] > 0
    logits[:, :, 3] = 0.5
    fit = fit_logistic(logits, labels)
    assert np.isnan(fit.slope).tolist() == [True, True, True, True, False]
    assert np.isnan(fit.intercept).tolist() == [True, True, True, True, False]
    assert not np.isnan(fit_logistic(logits, labels, pooled=True).slope).any()
    labels[:] = 0
    assert np.isnan(fit_logistic(logits, labels, pooled=True).slope).all()


def test_extreme_logits_stay_finite():
    logits = np.array([-1e4, -800, -30, 30, 800, 1e4, 5, -5], np.float32)[None, :, None]
    labels = np.array([0, 0, 1, 0, 1, 1, 0, 1], np.uint8)[:, None]
    fit = fit_logistic(logits, labels)
    assert np.isfinite([*fit.slope, *fit.intercept]).all()
    found = fit_temperature(logits, labels, np.arange(8))
    assert np.isfinite([found.value, found.fitted, found.loss, found.scaled_loss]).all()


@pytest.mark.parametrize("strands", [1, 2])
def test_the_fitted_temperature_has_the_highest_likelihood(strands: int):
    logits, labels = simulated(2000, 5, strands, factor=1.4)

    def loss(log_t: float) -> float:
        p = expit(logits.astype(float) * np.exp(-log_t)).mean(0)
        return -np.where(labels == 1, np.log(p), np.log1p(-p)).sum() + log_t**2 / 2

    found = fit_temperature(logits, labels, neighbours(2000))
    best = minimize_scalar(loss, bracket=(0, 0.5), tol=1e-10).x
    assert np.log(found.fitted) == pytest.approx(best, abs=1e-6)
    assert found.loss == pytest.approx(loss(0.0) / labels.size)
    assert found.value == pytest.approx(found.fitted * np.exp(-found.standard_error))
    scaled = np.log(found.value)
    assert found.scaled_loss == pytest.approx((loss(scaled) - scaled**2 / 2) / labels.size)
    assert found.scaled_loss < found.loss


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_scaling_restores_the_slope_of_simulated_truth(factor: float):
    valid = simulated(6000, 20, factor=factor, seed=1)
    logits, labels = simulated(6000, 20, factor=factor, seed=2)
    found = fit_temperature(*valid, neighbours(6000))
    before = expit(logits[0])
    after = expit(logits[0] / np.float32(found.value))
    quality = calibration_slope(after, labels)
    assert quality.pooled_slope == pytest.approx(1, abs=0.05)
    assert quality.pooled_intercept == pytest.approx(0, abs=0.05)
    assert quality.mean_log_loss <= calibration_slope(before, labels).mean_log_loss + 1e-6
    # Temperatures of true probabilities differ from 1 by less than their standard error or so.
    if factor == 1:
        assert found.value == pytest.approx(1, abs=0.01)


def test_the_standard_error_counts_blocks_and_not_labels():
    """Labels that repeat over tracks and neighbours do not make a temperature more certain."""
    errors = []
    for copies in (1, 8):
        logits, labels = simulated(1000, 1, factor=1.3)
        logits = np.repeat(np.repeat(logits, copies, axis=1), copies, axis=2)
        labels = np.repeat(np.repeat(labels, copies, axis=0), copies, axis=1)
        errors.append(fit_temperature(logits, labels, neighbours(1000 * copies)).standard_error)
    assert errors[1] == pytest.approx(errors[0], rel=0.02)


def test_the_standard_error_is_that_of_repeated_samples():
    fitted, errors = [], []
    for seed in range(60):
        logits, labels = simulated(600, 2, factor=1.3, seed=seed)
        found = fit_temperature(logits, labels, neighbours(600))
        fitted.append(np.log(found.fitted))
        errors.append(found.standard_error)
    # The standard deviation of 60 values has a relative standard error of 9 %.
    assert np.mean(errors) == pytest.approx(np.std(fitted, ddof=1), rel=0.3)


def test_few_blocks_or_little_evidence_leave_the_temperature_at_1():
    logits, labels = simulated(200, 1, factor=3.0)
    few = fit_temperature(logits, labels, neighbours(200, 9))
    assert few.value == 1
    assert np.isnan(few.standard_error)
    assert few.scaled_loss == few.loss
    assert fit_temperature(logits, labels, neighbours(200, 10)).value > 1
    calibrated, labels = simulated(60, 1, seed=3)
    found = fit_temperature(calibrated, labels, neighbours(60))
    assert abs(np.log(found.fitted)) < found.standard_error
    assert found.value == 1


def test_perfect_predictions_give_a_finite_temperature():
    labels = np.tile([[0], [1]], (50, 1)).astype(np.uint8)
    logits = (labels * 8.0 - 4.0).astype(np.float32)[None]
    found = fit_temperature(logits, labels, np.arange(100))
    assert 0.05 < found.fitted < 1
    assert found.fitted <= found.value <= 1


def test_log_loss_is_that_of_scikit_learn():
    logits, labels = simulated(300, 3)
    scores = expit(logits[0])
    scores[0, 0], labels[0, 0] = 0.0, 1
    quality = calibration_slope(scores, labels)
    for k in range(3):
        clipped = np.clip(scores[:, k].astype(float), 1e-7, 1 - 1e-7)
        expected = sklearn_log_loss(labels[:, k], clipped)
        assert quality.log_loss[k] == pytest.approx(expected, rel=1e-6)
    assert log_loss(scores, labels)[0, 0] == pytest.approx(-np.log(1e-7))
    assert quality.mean_log_loss == pytest.approx(quality.log_loss.mean())


def test_slopes_are_those_of_the_logits():
    logits, labels = simulated(factor=1.6)
    quality, fit = calibration_slope(expit(logits[0]), labels), fit_logistic(logits, labels)
    np.testing.assert_allclose(quality.slope, fit.slope, atol=1e-4)
    np.testing.assert_allclose(quality.intercept, fit.intercept, atol=1e-4)
    assert quality.pooled_slope == pytest.approx(1 / 1.6, abs=0.05)


def test_scores_that_are_no_probabilities_are_refused():
    logits, labels = simulated(20, 2)
    with pytest.raises(InputError, match=r"'Abf1': the score of window \d+ is .*not a probability"):
        calibration_slope(logits[0] + 5, labels, ["Abf1", "Reb1"])
    scores = expit(logits[0])
    scores[3, 1] = np.nan
    with pytest.raises(InputError, match="the score of window 3 is NaN"):
        log_loss(scores, labels)
