"""Ranking metrics against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.errors import InputError
from danq.evaluation.metrics import _plain_rank, average_precision, rank, roc_auc
from danq.evaluation.score_sort import radix_sort

NUMBERS = st.one_of(
    st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 1e-45, -1e-45]),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 20)))
    scores = draw(hnp.arrays(np.float32, shape, elements=NUMBERS))
    labels = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    return scores, labels


def oracle(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metrics of scikit-learn, NaN where it would warn or raise an error."""
    auroc, aupr = np.full((2, scores.shape[1]), np.nan)
    for k in range(scores.shape[1]):
        hits = labels[:, k].sum()
        if hits:
            aupr[k] = average_precision_score(labels[:, k], scores[:, k])
        if 0 < hits < len(labels):
            auroc[k] = roc_auc_score(labels[:, k], scores[:, k])
    return auroc, aupr


@settings(max_examples=150)
@given(tables())
def test_equals_scikit_learn(table: tuple[np.ndarray, np.ndarray]):
    scores, labels = table
    auroc, aupr = oracle(scores, labels)
    got = rank(scores, labels)
    np.testing.assert_allclose(got.auroc, auroc, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.aupr, aupr, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(got.positives, labels.sum(0))


@settings(max_examples=30)
@given(tables())
def test_equals_the_plain_twin(table: tuple[np.ndarray, np.ndarray]):
    for ours, plain in zip(rank(*table), _plain_rank(*table), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_many_windows_and_more_tracks_than_a_block(ties: bool):
    rng = np.random.default_rng(3)
    labels = (rng.random((20_000, 35)) < np.linspace(0.0005, 0.6, 35)).astype(np.uint8)
    scores = (rng.normal(size=labels.shape) + labels).astype(np.float32)
    if ties:
        scores = np.round(scores, 1)
    auroc, aupr = oracle(scores, labels)
    got = rank(scores, labels)
    np.testing.assert_allclose(got.auroc, auroc, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got.aupr, aupr, rtol=0, atol=1e-12)


def test_known_by_hand():
    # Ranks: +, -, + and -, tied, so that 2.5 of 4 pairs and 1/2 * (1 + 2/4) come out.
    scores = np.array([[0.9], [0.5], [0.1], [0.1]], np.float32)
    labels = np.array([[1], [0], [1], [0]], np.uint8)
    assert roc_auc(scores, labels)[0] == 2.5 / 4
    assert average_precision(scores, labels)[0] == 0.75


def test_a_constant_score_is_chance():
    labels = np.array([[1], [0], [0], [0], [0]], np.uint8)
    got = rank(np.full((5, 1), 0.3, np.float32), labels)
    assert (got.auroc[0], got.aupr[0]) == (0.5, 0.2)


def test_one_class():
    scores = np.linspace(0, 1, 6, dtype=np.float32).reshape(3, 2)
    got = rank(scores, np.array([[0, 1]] * 3, np.uint8))
    assert np.isnan(got.auroc).all()
    assert np.isnan(got.aupr[0])
    assert got.aupr[1] == 1


def test_no_windows():
    got = rank(np.empty((0, 2), np.float32), np.empty((0, 2), np.uint8))
    assert np.isnan(got.auroc).all()
    assert np.isnan(got.aupr).all()


def test_infinite_scores_rank():
    scores = np.array([[-np.inf], [0], [np.inf]], np.float32)
    labels = np.array([[0], [0], [1]], np.uint8)
    assert rank(scores, labels).aupr[0] == 1


def test_other_layouts_and_dtypes():
    rng = np.random.default_rng(0)
    scores = rng.random((50, 6)).astype(np.float16)
    labels = rng.random((50, 6)) < 0.4
    wanted = oracle(scores.astype(np.float32), labels)
    for s in (scores, np.asfortranarray(scores), scores.astype(np.float32)):
        got = rank(s, np.asfortranarray(labels))  # pyright: ignore[reportArgumentType]
        np.testing.assert_allclose(got[:2], wanted, rtol=0, atol=1e-12)


def good() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((4, 2), np.float32), np.zeros((4, 2), np.uint8)


def test_nan_scores_are_refused():
    scores, labels = good()
    scores[2, 1] = np.nan
    with pytest.raises(InputError, match=r"record 'Reb1': the score of window 2 is NaN \(1 of 4"):
        rank(scores, labels, ["Abf1", "Reb1"])


def test_invalid_labels_are_refused():
    scores, labels = good()
    labels[3, 0] = 2
    with pytest.raises(InputError, match="track 0.*label of window 3 is 2, neither 0 nor 1"):
        rank(scores, labels)


def test_shapes_and_dtypes_are_refused():
    scores, labels = good()
    with pytest.raises(InputError, match=r"scores have shape \(4, 2\), labels \(3, 2\)"):
        rank(scores, labels[:3])
    with pytest.raises(InputError, match="not both tables"):
        rank(scores[:, 0], labels[:, 0])
    with pytest.raises(InputError, match="scores are float64, not float32"):
        rank(scores.astype(np.float64), labels)
    with pytest.raises(InputError, match="labels are int64, not uint8"):
        rank(scores, labels.astype(np.int64))


@settings(max_examples=40)
@given(hnp.arrays(np.int64, st.integers(0, 200), elements=st.integers(0, 2**63 - 1)))
def test_radix_sort_is_stable_on_its_bits(keys: np.ndarray):
    got = radix_sort(keys.copy(), np.empty_like(keys), 31)
    np.testing.assert_array_equal(got, keys[np.argsort(keys >> 31, kind="stable")])
