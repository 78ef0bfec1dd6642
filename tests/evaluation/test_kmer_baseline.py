"""The k-mer baseline against plain counting and scikit-learn's ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.linear_model import Ridge
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from danq.errors import InputError
from danq.evaluation.kmer_baseline import (
    _plain_count_kmers,
    canonical_kmers,
    count_kmers,
    fit_kmer_baseline,
)


@settings(max_examples=40)
@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(0, 4), st.integers(0, 30)),
        elements=st.sampled_from([0, 1, 2, 3, 3, 2, 4]),
    ),
    st.integers(1, 5),
)
def test_counts_equal_the_plain_twin(codes: np.ndarray, k: int):
    np.testing.assert_array_equal(count_kmers(codes, k), _plain_count_kmers(codes, k))


def test_both_strands_have_the_same_counts():
    codes = np.random.default_rng(0).integers(0, 5, (20, 80)).astype(np.uint8)
    other = np.where(codes < 4, 3 - codes, 4)[:, ::-1].astype(np.uint8)
    np.testing.assert_array_equal(count_kmers(codes), count_kmers(other))


@pytest.mark.parametrize(("k", "kmers"), [(1, 2), (2, 10), (3, 32), (5, 512), (6, 2080)])
def test_number_of_canonical_kmers(k: int, kmers: int):
    column, names = canonical_kmers(k)
    assert len(names) == kmers
    assert column.shape == (4**k,)
    assert list(names) == sorted(names)


def test_counts_by_hand():
    # ACGTN: AC and its complement GT are one k-mer, CG is its own complement.
    counts = count_kmers(np.array([[0, 1, 2, 3, 4]], np.uint8), 2)[0]
    names = canonical_kmers(2)[1]
    assert {n: int(c) for n, c in zip(names, counts, strict=True) if c} == {"AC": 2, "CG": 1}


def planted(windows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows whose first track is positive where GATA (or TATC) was planted."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (windows, 60)).astype(np.uint8)
    labels = (rng.random((windows, 3)) < [0.2, 0.1, 0.3]).astype(np.uint8)
    for row in np.flatnonzero(labels[:, 0]):
        at = rng.integers(0, 55)
        codes[row, at : at + 4] = [2, 0, 3, 0]
    return codes, labels


def test_equals_scikit_learns_ridge():
    codes, labels = planted(900, 1)
    batches = [(codes[:200], labels[:200]), (codes[200:700], labels[200:700])]
    fitted = fit_kmer_baseline(batches, [(codes[700:], labels[700:])], k=3, penalties=(0.05,))
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=0.05 * 700))
    oracle.fit(count_kmers(codes[:700], 3).astype(float), labels[:700])
    wanted = oracle.predict(count_kmers(codes, 3).astype(float))
    np.testing.assert_allclose(fitted.predict(codes), wanted, rtol=0, atol=1e-5)
    assert fitted.predict(codes).dtype == np.float32


def test_constant_kmers_have_no_effect():
    # Without G and C most k-mers do not occur, so their counts are constant.
    codes, labels = planted(300, 2)
    codes[codes == 1], codes[codes == 2] = 0, 3
    fitted = fit_kmer_baseline([(codes, labels)], [(codes, labels)], k=4)
    assert np.isfinite(fitted.predict(codes)).all()


def test_the_penalty_is_selected_on_the_validation_windows():
    train, valid = planted(600, 3), planted(600, 4)
    penalties = (1e-6, 0.1, 1e5)
    fitted = fit_kmer_baseline([train], [valid], k=4, penalties=penalties)
    assert set(fitted.tried) == set(penalties)
    assert fitted.tried[fitted.penalty] == max(fitted.tried.values())
    scores = fitted.predict(valid[0])
    wanted = np.mean([average_precision_score(valid[1][:, k], scores[:, k]) for k in range(3)])
    assert fitted.tried[fitted.penalty] == pytest.approx(wanted, abs=1e-6)


def test_a_planted_kmer_is_found():
    train, valid, test = planted(2000, 5), planted(500, 6), planted(500, 7)
    fitted = fit_kmer_baseline([train], [valid], k=4)
    names = canonical_kmers(4)[1]
    assert names[int(fitted.weights[:, 0].argmax())] == "GATA"
    # A third of the other windows have the k-mer by chance, which limits the metric.
    assert average_precision_score(test[1][:, 0], fitted.predict(test[0])[:, 0]) > 0.5


def test_bad_input_is_refused():
    codes, labels = planted(50, 0)
    with pytest.raises(InputError, match="k is 7, not between 1 and 6"):
        count_kmers(codes, 7)
    with pytest.raises(InputError, match="windows of 70000 bp are longer than 65,535 bp"):
        count_kmers(np.zeros((1, 70_000), np.uint8))
    with pytest.raises(InputError, match=r"penalties \[0\] are not positive"):
        fit_kmer_baseline([(codes, labels)], [(codes, labels)], penalties=[0])
    with pytest.raises(InputError, match="no training windows"):
        fit_kmer_baseline([], [(codes, labels)])
    with pytest.raises(InputError, match="no validation windows"):
        fit_kmer_baseline([(codes, labels)], [])
