"""Metrics of amounts against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_squared_error, r2_score

from danq.errors import InputError
from danq.evaluation.amount_metrics import (
    METRICS,
    across_tracks,
    amount_metrics,
    bootstrap_amounts,
    ranks,
    replicate_ceiling,
)
from danq.evaluation.confidence_intervals import draw_weights


def amounts(rows: int = 300, tracks: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and measured amounts with ties and missing values."""
    rng = np.random.default_rng(seed)
    measured = rng.poisson(4, (rows, tracks)).astype(np.float32) + 1_000
    predicted = (measured + rng.normal(0, 2, measured.shape)).round(1).astype(np.float32)
    measured[rng.random(measured.shape) < 0.2] = np.nan
    return predicted, measured


def oracle(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    known = ~np.isnan(y)
    x, y = x[known].astype(float), y[known].astype(float)
    return {
        "pearson": stats.pearsonr(x, y)[0],
        "spearman": stats.spearmanr(x, y)[0],
        "r2": r2_score(y, x),
        "mse": mean_squared_error(y, x),
    }


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_equal_those_of_scipy_and_scikit_learn(metric):
    predicted, measured = amounts()
    found = amount_metrics(predicted, measured)
    wanted = [oracle(predicted[:, k], measured[:, k])[metric] for k in range(5)]
    np.testing.assert_allclose(getattr(found, metric), wanted, rtol=1e-9)
    assert found.windows.tolist() == (~np.isnan(measured)).sum(0).tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_replicates_equal_metrics_of_repeated_windows(metric):
    predicted, measured = amounts(120, 2)
    blocks = np.arange(120) // 10
    found = bootstrap_amounts(predicted, measured, blocks, replicates=20, seed=3)
    weights = draw_weights(12, 20, 3)
    for replicate in range(20):
        times = weights[blocks, replicate]
        for k in range(2):
            x, y = np.repeat(predicted[:, k], times), np.repeat(measured[:, k], times)
            assert getattr(found, metric)[replicate, k] == pytest.approx(
                oracle(x, y)[metric], rel=1e-8
            )


def test_intervals_are_quantiles_of_the_replicates():
    predicted, measured = amounts(200, 3)
    found = bootstrap_amounts(predicted, measured, np.arange(200) // 5, replicates=100, level=0.9)
    low, high = found.per_track("pearson")
    np.testing.assert_allclose(low, np.quantile(found.pearson, 0.05, axis=0))
    np.testing.assert_allclose(high, np.quantile(found.pearson, 0.95, axis=0))
    point = amount_metrics(predicted, measured).pearson
    assert (low < point).all()
    assert (point < high).all()
    low, high = found.macro("mse")
    wanted = np.quantile(found.mse.mean(1), [0.05, 0.95])
    np.testing.assert_allclose([low, high], wanted)


def test_tracks_without_variance_or_windows_have_no_correlation():
    predicted, measured = amounts(50, 4)
    measured[:, 0] = np.nan
    measured[:, 1] = 0.1
    predicted[:, 2] = 0.3
    measured[2:, 3] = np.nan
    measured[:2, 3] = [1, 2]
    found = amount_metrics(predicted, measured)
    assert np.isnan(found.pearson).tolist() == [True, True, True, True]
    assert np.isnan(found.spearman).tolist() == [True, True, True, True]
    assert np.isnan(found.r2).tolist() == [True, True, False, False]
    assert np.isnan(found.mse).tolist() == [True, False, False, False]
    assert found.windows[[0, 3]].tolist() == [0, 2]
    drawn = bootstrap_amounts(predicted, measured, np.arange(50), replicates=30)
    assert np.isnan(drawn.pearson).all()
    assert np.isnan(drawn.spearman).all()
    low, high = drawn.macro("pearson")
    assert np.isnan([low, high]).all()


def test_correlations_over_tracks_equal_those_of_scipy():
    predicted, measured = amounts(60, 9)
    measured[0, 2:] = np.nan
    measured[1] = np.nan
    found = across_tracks(predicted, measured)
    x = np.where(np.isnan(measured), np.nan, predicted).astype(float)
    x, y = x - np.nanmean(x, axis=0), measured - np.nanmean(measured.astype(float), axis=0)
    assert np.isnan(found[:2]).all()
    for row in range(2, 60):
        known = ~np.isnan(y[row])
        assert found[row] == pytest.approx(stats.pearsonr(x[row, known], y[row, known])[0])
    same = np.repeat(np.arange(10.0)[:, None], 4, axis=1)
    assert np.isnan(across_tracks(same, same)).all()


def test_the_ceiling_of_simulated_replicates():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200_000, 1))
    replicates = [truth + rng.normal(0, 0.7, truth.shape) for _ in range(2)]
    found = replicate_ceiling(*replicates)
    assert found.pearson[0] == pytest.approx(stats.pearsonr(*np.hstack(replicates).T)[0])
    single = stats.pearsonr(truth[:, 0], replicates[0][:, 0])[0]
    mean = stats.pearsonr(truth[:, 0], sum(replicates)[:, 0])[0]
    assert found.single[0] == pytest.approx(single, abs=0.005)
    assert found.mean[0] == pytest.approx(mean, abs=0.005)
    opposite = replicate_ceiling(truth, -truth)
    assert (opposite.single[0], opposite.mean[0]) == (0, 0)


def test_missing_windows_of_a_replicate_do_not_count():
    first, second = amounts(80, 2)
    first[5:20, 0] = np.nan
    known = ~np.isnan(first[:, 0]) & ~np.isnan(second[:, 0])
    wanted = stats.pearsonr(first[known, 0].astype(float), second[known, 0].astype(float))[0]
    assert replicate_ceiling(first, second).pearson[0] == pytest.approx(wanted)


def test_ranks_equal_those_of_scipy():
    values = np.random.default_rng(0).integers(0, 30, 200).astype(float)
    np.testing.assert_array_equal(ranks(values), stats.rankdata(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:-1], y), r"predictions have shape \(299, 5\), measured amounts \(300, 5"),
        (lambda x, y: (x[:, 0], y[:, 0]), r"predictions have shape \(300,\)"),
        (lambda x, y: (np.where(x == x[7, 1], np.nan, x), y), r"record 'b': the prediction of win"),
        (lambda x, y: (x, np.where(np.arange(300)[:, None] == 4, np.inf, y)), r"record 'a': the m"),
    ],
)
def test_bad_values_are_refused(change, message):
    predicted, measured = amounts()
    predicted[7, 1] = -5
    with pytest.raises(InputError, match=message):
        amount_metrics(*change(predicted, measured), names=tuple("abcde"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replicates": 1}, "replicates is 1"),
        ({"level": 1.0}, "level of the intervals is 1.0"),
        ({"blocks": np.zeros(300, int)}, r"300 windows in 1 block\(s\) are too few"),
        ({"blocks": np.arange(299)}, r"blocks of shape \(299,\) are not 300 indices"),
        ({"blocks": np.arange(300) - 1}, r"blocks of shape \(300,\) are not 300 indices"),
    ],
)
def test_bad_options_of_the_bootstrap_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        bootstrap_amounts(*amounts(), **({"blocks": np.arange(300)} | options))


def test_replicates_of_other_shapes_are_refused():
    first, second = amounts()
    with pytest.raises(InputError, match=r"replicates have the shapes \(300, 5\) and \(299, 5\)"):
        replicate_ceiling(first, second[:-1])
    second[3, 3] = np.inf
    with pytest.raises(InputError, match="infinite amount"):
        replicate_ceiling(first, second)
