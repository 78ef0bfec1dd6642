"""Paired differences: hand-computed cases, scikit-learn, and coverage on simulated data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from danq.errors import InputError
from danq.evaluation.confidence_intervals import draw_weights, window_blocks
from danq.evaluation.paired_bootstrap import amount_differences, paired_differences


def pair(windows: int, tracks: int = 3, *, noise: float = 0.5, gap: float = 0.0, seed: int = 0):
    """Probabilities of two models and labels; neighbours share half of the variance.

    The errors of the second model are larger by the factor ``1 + gap``.
    """
    rng = np.random.default_rng(seed)

    def smooth(*shape: int) -> np.ndarray:
        shared = np.repeat(rng.normal(size=(-(-windows // 5), *shape)), 5, axis=0)[:windows]
        return (shared + rng.normal(size=(windows, *shape))) / np.sqrt(2)

    truth = smooth(tracks) - 1
    labels = (rng.random(truth.shape) < expit(truth)).astype(np.uint8)
    scores = [
        expit(truth + noise * factor * smooth(tracks)).astype(np.float32)
        for factor in (1.0, 1.0 + gap)
    ]
    return (*scores, labels)


def neighbours(windows: int, count: int) -> np.ndarray:
    return window_blocks(np.zeros(windows, np.int64), np.arange(windows), count)


def test_a_small_case_by_hand():
    """Two blocks of two windows: a replicate has both blocks, or one of them twice."""
    labels = np.array([[1], [0], [1], [0]], np.uint8)
    first = np.array([[0.8], [0.2], [0.4], [0.6]], np.float32)  # right, then wrong
    second = np.array([[0.6], [0.4], [0.6], [0.4]], np.float32)
    found = paired_differences(first, second, labels, np.array([0, 0, 1, 1]), replicates=400)
    auroc, loss = found.tracks["auroc"], found.tracks["log_loss"]
    assert (auroc.first[0], auroc.second[0], auroc.difference[0]) == (0.75, 1.0, 0.25)
    assert auroc.low[0] == 0  # the first block twice: both models are right
    assert auroc.high[0] == 1  # the second block twice: the first model ranks all pairs wrongly
    assert loss.first[0] == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2, rel=1e-6)
    assert loss.second[0] == pytest.approx(-np.log(0.6), rel=1e-6)
    assert loss.low[0] == pytest.approx(np.log(0.4) - np.log(0.6), rel=1e-6)
    assert loss.high[0] == pytest.approx(np.log(0.8) - np.log(0.6), rel=1e-6)
    draws = draw_weights(2, 400, 0)
    twice = [int((draws[0] == count).sum()) for count in (2, 1, 0)]  # first twice, both, second
    assert auroc.p[0] == pytest.approx(min(1, 2 * (twice[0] + 1) / 401))
    both = -np.log(0.6) + (np.log(0.8) + np.log(0.4)) / 2
    assert both < 0
    assert loss.p[0] == pytest.approx(min(1, 2 * (min(twice[0], 400 - twice[0]) + 1) / 401))


def test_replicates_are_the_weighted_metrics_of_scikit_learn():
    first, second, labels = pair(300, gap=1.0)
    blocks = neighbours(300, 25)
    found = paired_differences(first, second, labels, blocks, replicates=9, level=0.999999)
    weights = draw_weights(25, 9, 0)[blocks]
    functions = {"auroc": roc_auc_score, "aupr": average_precision_score, "log_loss": log_loss}
    for metric, function in functions.items():
        draws = np.array(
            [
                [
                    function(labels[:, k], second[:, k].astype(float), sample_weight=w)
                    - function(labels[:, k], first[:, k].astype(float), sample_weight=w)
                    for k in range(3)
                ]
                for w in weights.T
            ]
        )
        got = found.tracks[metric]
        np.testing.assert_allclose(got.low, draws.min(0), atol=1e-5)
        np.testing.assert_allclose(got.high, draws.max(0), atol=1e-5)
        np.testing.assert_allclose(found.macro[metric].high, draws.mean(1).max(), atol=1e-5)
        np.testing.assert_allclose(found.macro[metric].low, draws.mean(1).min(), atol=1e-5)
        smaller = np.minimum((draws <= 0).sum(0), (draws >= 0).sum(0)) + 1
        np.testing.assert_allclose(got.p, np.minimum(1, 2 * smaller / 10))


def test_equal_models_have_no_difference_and_exchanged_models_the_opposite_one():
    first, second, labels = pair(400, gap=0.5)
    blocks = neighbours(400, 40)
    same = paired_differences(first, first, labels, blocks, replicates=50)
    there = paired_differences(first, second, labels, blocks, replicates=50)
    back = paired_differences(second, first, labels, blocks, replicates=50)
    for metric in ("auroc", "aupr", "log_loss"):
        for one in (same.tracks[metric], same.macro[metric]):
            assert (one.difference == 0).all()
            assert (one.low == 0).all()
            assert (one.high == 0).all()
            assert (one.p == 1).all()
        np.testing.assert_allclose(there.tracks[metric].low, -back.tracks[metric].high, atol=1e-7)
        np.testing.assert_allclose(there.tracks[metric].p, back.tracks[metric].p)


def test_pairs_narrow_the_interval():
    """Models with common errors are compared more exactly than their intervals suggest."""
    from danq.evaluation.confidence_intervals import bootstrap

    first, _, labels = pair(2000)
    second = expit(np.log(first / (1 - first)) * 1.2 + 0.1 * np.sin(np.arange(2000))[:, None])
    blocks = neighbours(2000, 100)
    found = paired_differences(first, second.astype(np.float32), labels, blocks, replicates=100)
    alone = bootstrap(first, labels, blocks, replicates=100).per_track()[1]
    width = found.tracks["aupr"].high - found.tracks["aupr"].low
    assert (width < 0.5 * (alone.high - alone.low)).all()


def test_tracks_without_positives_are_undefined_and_left_out_of_means():
    first, second, labels = pair(300, gap=1.0)
    labels[:, 1] = 0
    blocks = neighbours(300, 30)
    found = paired_differences(first, second, labels, blocks, replicates=30)
    for metric in ("auroc", "aupr"):
        for values in found.tracks[metric]:
            assert np.isnan(values).tolist() == [False, True, False]
        each = found.tracks[metric].difference
        assert found.macro[metric].difference[0] == pytest.approx(np.nanmean(each))
    assert not np.isnan(found.tracks["log_loss"].p).any()
    assert found.positives[1] == 0
    labels[:] = 0
    none = paired_differences(first, second, labels, blocks, replicates=30)
    assert np.isnan(none.macro["auroc"].p).all()
    assert np.isfinite(none.macro["log_loss"].p).all()


def test_bad_input_is_refused():
    first, second, labels = pair(50)
    with pytest.raises(InputError, match="number of bootstrap replicates is 1"):
        paired_differences(first, second, labels, neighbours(50, 5), replicates=1)
    with pytest.raises(InputError, match=r"50 windows in 1 block\(s\) are too few"):
        paired_differences(first, second, labels, np.zeros(50, np.int64))
    with pytest.raises(InputError, match="is 2.0, not a probability"):
        paired_differences(first, second * 0 + 2, labels, neighbours(50, 5))
    second[3, 2] = np.nan
    with pytest.raises(InputError, match="the score of window 3 is NaN"):
        paired_differences(first, second, labels, neighbours(50, 5))


def share_of_errors(repeats: int, windows: int) -> dict[str, float]:
    """Share of intervals of means that exclude 0, for models of equal quality."""
    wrong = dict.fromkeys(("auroc", "aupr", "log_loss"), 0)
    for seed in range(repeats):
        first, second, labels = pair(windows, 2, seed=seed)
        found = paired_differences(
            first, second, labels, neighbours(windows, 100), replicates=200, seed=seed
        )
        for metric in wrong:
            one = found.macro[metric]
            wrong[metric] += int(one.low[0] > 0 or one.high[0] < 0)
    return {metric: count / repeats for metric, count in wrong.items()}


def test_intervals_of_equal_models_rarely_exclude_0():
    # 5 % of 40 is 2; 8 or more have a probability of .001.
    assert max(share_of_errors(40, 500).values()) < 0.2


@pytest.mark.slow
def test_intervals_of_equal_models_cover_0_in_95_percent():
    # The standard error of a share of .05 of 1,000 is .007; percentile intervals are a little
    # too narrow.
    for share in share_of_errors(1000, 1000).values():
        assert 0.02 < share < 0.08


def test_a_real_difference_is_found():
    first, second, labels = pair(4000, gap=2.0)
    found = paired_differences(first, second, labels, neighbours(4000, 200), replicates=200)
    assert found.macro["auroc"].high[0] < 0
    assert found.macro["aupr"].high[0] < 0
    assert found.macro["log_loss"].low[0] > 0
    assert found.macro["log_loss"].p[0] == pytest.approx(2 / 201)


def amounts(windows: int, noise: float, seed: int = 0):
    """Measured amounts, some missing, and predictions of two models."""
    rng = np.random.default_rng(seed)
    measured = rng.gamma(2, 2, (windows, 3))
    first = measured + rng.normal(0, 2, measured.shape)
    second = measured + rng.normal(0, noise, measured.shape)
    measured[rng.random(measured.shape) < 0.1] = np.nan
    return first, second, measured


def test_differences_of_amounts_are_those_of_scipy_and_scikit_learn():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_squared_error, r2_score

    first, second, measured = amounts(400, 1.0)
    found = amount_differences(first, second, measured, neighbours(400, 20), replicates=40)
    for track in range(3):
        known = ~np.isnan(measured[:, track])
        assert found.windows[track] == known.sum()
        truth = measured[known, track]
        for name, values in (("first", first), ("second", second)):
            own = values[known, track]
            right = {
                "pearson": pearsonr(own, truth).statistic,
                "spearman": spearmanr(own, truth).statistic,
                "r2": r2_score(truth, own),
                "mse": mean_squared_error(truth, own),
            }
            for metric, value in right.items():
                assert getattr(found.tracks[metric], name)[track] == pytest.approx(value)
    for metric in ("pearson", "spearman", "r2", "mse"):
        one = found.tracks[metric]
        np.testing.assert_allclose(one.difference, one.second - one.first)
        assert found.macro[metric].difference[0] == pytest.approx(one.difference.mean())
        sign = -1 if metric == "mse" else 1
        assert (sign * one.low > 0).all() or (sign * one.high > 0).all()
        assert found.macro[metric].p[0] == pytest.approx(2 / 41)


def test_replicates_of_amounts_draw_the_same_blocks_for_both_models():
    first, _, measured = amounts(300, 1.0)
    found = amount_differences(first, first, measured, neighbours(300, 30), replicates=20)
    for metric in ("pearson", "spearman", "r2", "mse"):
        np.testing.assert_array_equal(found.tracks[metric].low, 0)
        np.testing.assert_array_equal(found.tracks[metric].high, 0)
        np.testing.assert_array_equal(found.tracks[metric].p, 1)


def test_a_track_that_one_model_predicts_as_constant_is_left_out_of_means():
    first, second, measured = amounts(300, 1.0)
    second[:, 1] = 4.0
    found = amount_differences(first, second, measured, neighbours(300, 30), replicates=20)
    assert np.isnan(found.tracks["pearson"].difference).tolist() == [False, True, False]
    assert np.isnan(found.tracks["pearson"].p).tolist() == [False, True, False]
    assert not np.isnan(found.tracks["pearson"].first[1])
    mean = np.delete(found.tracks["pearson"].first, 1).mean()
    assert found.macro["pearson"].first[0] == pytest.approx(mean)
    assert not np.isnan(found.tracks["mse"].difference).any()
    measured[:, 2] = np.nan
    found = amount_differences(first, second, measured, neighbours(300, 30), replicates=20)
    assert np.isnan(found.tracks["mse"].difference).tolist() == [False, False, True]
    assert found.windows[2] == 0
    with pytest.raises(InputError, match="the prediction of window 5 is nan"):
        amount_differences(
            np.where(np.arange(300)[:, None] == 5, np.nan, first),
            second,
            measured,
            neighbours(300, 30),
        )


def test_intervals_of_equal_models_of_amounts_rarely_exclude_0():
    wrong = dict.fromkeys(("pearson", "mse"), 0)
    for seed in range(40):
        first, second, measured = amounts(400, 2.0, seed)
        found = amount_differences(
            first, second, measured, neighbours(400, 50), replicates=100, seed=seed
        )
        for metric in wrong:
            one = found.macro[metric]
            wrong[metric] += int(one.low[0] > 0 or one.high[0] < 0)
    # 5 % of 40 is 2; 8 or more have a probability of .001.
    assert max(wrong.values()) < 8
