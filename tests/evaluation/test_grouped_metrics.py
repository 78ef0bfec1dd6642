"""Metrics within groups against scikit-learn and scipy, for rows and for bootstrap replicates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.evaluation.amount_metrics import pearson
from danq.evaluation.confidence_intervals import draw_weights
from danq.evaluation.grouped_metrics import (
    FEWEST,
    Replicates,
    agreement,
    ranking_within,
    spearman_within,
)

ROWS, BLOCKS, DRAWS = 300, 12, 5


def rho(first, second) -> float:
    """Spearman correlation of scipy."""
    return float(np.asarray(spearmanr(first, second))[0])


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    """Scores with ties, labels, effects and groups of very different sizes."""
    rng = np.random.default_rng(3)
    return {
        "score": np.round(rng.normal(size=ROWS), 1),
        "effect": np.round(rng.normal(size=ROWS), 1),
        "label": (rng.random(ROWS) < 0.2).astype(np.uint8),
        "group": rng.integers(0, 40, ROWS) * rng.integers(0, 2, ROWS),
    }


@pytest.fixture
def replicates() -> Replicates:
    drawn = draw_weights(BLOCKS, DRAWS, 1).T
    weights = np.concatenate([np.ones((1, BLOCKS), np.uint8), drawn])
    return Replicates(np.arange(ROWS) * BLOCKS // ROWS, weights)


def repeated(replicates: Replicates, r: int, *columns: np.ndarray) -> list[np.ndarray]:
    """Columns with each row as often as the replicate draws it."""
    times = replicates.weights[r][replicates.block]
    return [np.repeat(column, times) for column in columns]


@pytest.mark.parametrize("grouped", [False, True])
def test_ranking_is_the_mean_over_positives_of_the_metrics_of_groups(rows, replicates, grouped):
    group = rows["group"] if grouped else np.zeros(ROWS, np.int64)
    auroc, ap = ranking_within(rows["score"], rows["label"], group, replicates)
    for r in range(1 + DRAWS):
        score, label, index = repeated(replicates, r, rows["score"], rows["label"], group)
        sums = np.zeros(3)
        for one in np.unique(index):
            y, x = label[index == one], score[index == one]
            if 0 < y.sum() < len(y):
                values = roc_auc_score(y, x), average_precision_score(y, x), 1
                sums += y.sum() * np.array(values)
        assert [auroc[r], ap[r]] == pytest.approx(list(sums[:2] / sums[2]), abs=1e-12)


@pytest.mark.parametrize("grouped", [False, True])
def test_spearman_is_the_mean_over_rows_of_the_correlations_of_groups(rows, replicates, grouped):
    group = rows["group"] if grouped else np.zeros(ROWS, np.int64)
    found = spearman_within(rows["score"], rows["effect"], group, replicates)
    sizes = np.bincount(group)
    for r in range(1 + DRAWS):
        x, y, index = repeated(replicates, r, rows["score"], rows["effect"], group)
        total = used = 0.0
        for one in np.unique(index):
            a, b = x[index == one], y[index == one]
            if sizes[one] >= FEWEST and np.ptp(a) > 0 and np.ptp(b) > 0:
                total += len(a) * rho(a, b)
                used += len(a)
        assert found[r] == pytest.approx(total / used, abs=1e-12)


def test_agreement_counts_signs(replicates, rows):
    assert agreement(
        np.array([1.0, -2, 0, 3, 5]), np.array([2.0, -1, 4, -1, 0]), Replicates.single(5)
    )[0] == pytest.approx(2.5 / 4)
    found = agreement(rows["score"], rows["effect"], replicates)
    x, y = repeated(replicates, 2, rows["score"], rows["effect"])
    known = y != 0
    same = np.sign(x) == np.sign(y)
    assert found[2] == pytest.approx(np.mean(np.where(x[known] == 0, 0.5, same[known])))


def test_values_without_a_pair_are_undefined():
    score, one = np.array([1.0, 2.0, 3.0]), Replicates.single(3)
    groups = np.zeros(3, np.int64)
    assert np.isnan(ranking_within(score, np.ones(3, np.uint8), groups, one)).all()
    assert np.isnan(spearman_within(score, np.ones(3), groups, one)).all()
    assert np.isnan(spearman_within(score, score, np.array([0, 0, 1]), one)).all()
    assert np.isnan(agreement(score, np.zeros(3), one)).all()


def test_differences_between_groups_do_not_count():
    # Group 1 has all positives but one, and larger scores; within the groups, the order is wrong.
    score = np.array([1.0, 2, 3, 11, 12, 13])
    label = np.array([1, 0, 0, 1, 1, 0], np.uint8)
    group = np.array([0, 0, 0, 1, 1, 1])
    one = Replicates.single(6)
    assert ranking_within(score, label, np.zeros(6, np.int64), one)[0][0] == pytest.approx(4 / 9)
    assert ranking_within(score, label, group, one)[0][0] == 0
    effect = np.array([3.0, 2, 1, 13, 12, 11])
    assert spearman_within(score, effect, group, one)[0] == pytest.approx(-1)
    assert spearman_within(score, effect, np.zeros(6, np.int64), one)[0] > 0.5


def test_pearson_is_that_of_the_drawn_rows(rows, replicates):
    for scale, shift in ((1.0, 0.0), (1e-4, 1e6)):
        first, second = rows["score"] * scale + shift, rows["score"] + rows["effect"]
        found = pearson(first, second, replicates)
        for r in range(1 + DRAWS):
            x, y = repeated(replicates, r, first, second)
            assert found[r] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)


def test_pearson_of_equal_values_or_few_rows_is_undefined(rows, replicates):
    assert np.isnan(pearson(np.full(ROWS, 0.1), rows["effect"], replicates)).all()
    two = Replicates(replicates.block[:2], replicates.weights[:1])
    assert np.isnan(pearson(np.arange(2.0), np.arange(2.0), two)).all()
