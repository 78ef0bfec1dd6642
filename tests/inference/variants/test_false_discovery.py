"""q-values equal those of SciPy, and control the false discovery rate under the null."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from danq.inference.variants.background import StratumScores, tail_ranks
from danq.inference.variants.false_discovery import FalseDiscovery
from danq.inference.variants.strata import Stratum


def scores_of(values: np.ndarray) -> StratumScores:
    """Stored distribution of ``(n, K)`` background values."""
    rank = tail_ranks(len(values))
    stored = np.ascontiguousarray(np.sort(np.abs(values), axis=0)[rank - 1].T)
    return StratumScores(Stratum("SNV", ""), len(values), rank, stored)


@pytest.mark.parametrize("blocks", [1, 2, 7])
def test_q_values_equal_those_of_scipy(blocks):
    rng = np.random.default_rng(blocks)
    # Empirical p-values of two strata: many ties, and values that are close.
    p = np.concatenate([rng.integers(1, 1002, 900) / 1001, rng.integers(1, 20, 300) / 5000])
    p = p.astype(np.float32).reshape(-1, 3)
    rates = FalseDiscovery()
    for part in np.array_split(p, blocks):
        rates.add(part)
    q = rates.q(p)
    expected = stats.false_discovery_control(p.astype(np.float64).ravel()).reshape(p.shape)
    np.testing.assert_allclose(q, expected, rtol=1e-6)
    for alpha in (0.05, 0.1):
        np.testing.assert_array_equal(q <= np.float32(alpha), expected <= alpha)


def test_undefined_p_values_are_neither_counted_nor_selected():
    p = np.array([0.01, np.nan, 0.02, np.nan], np.float32)
    rates = FalseDiscovery()
    rates.add(p)
    np.testing.assert_allclose(rates.q(p), [0.02, np.nan, 0.02, np.nan], rtol=1e-6)
    assert FalseDiscovery().q(np.zeros((0, 3), np.float32)).shape == (0, 3)


def test_p_is_one_plus_the_number_of_values_as_large_by_one_plus_all():
    background = scores_of(np.tile([[3.0], [1.0], [1.0], [2.0]], (300, 1)).astype(np.float32))
    values = np.array([[3.0], [3.5], [2.0], [1.0], [0.0], [np.nan]], np.float32)
    p = background.p(values)[:, 0]
    np.testing.assert_allclose(p, np.array([301, 1, 601, 1201, 1201, np.nan]) / 1201, rtol=1e-6)


def test_p_is_exact_in_the_tail_and_a_little_too_large_below_it():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300_000, 1)).astype(np.float32)
    background = scores_of(values)
    assert 1000 < background.rank.size < 5000
    assert (np.diff(background.rank) > 0).all()
    probes = np.append(rng.normal(size=3000) * 1.5, [0, 9, values[7, 0]]).astype(np.float32)
    larger = (np.abs(values[:, 0]) >= np.abs(probes)[:, None]).sum(1)
    exact = (1 + larger) / 300_001
    p = background.p(np.abs(probes)[:, None])[:, 0]
    tail = larger <= 1000
    assert tail.sum() > 20
    np.testing.assert_allclose(p[tail], exact[tail], rtol=1e-6)
    assert (p >= exact * (1 - 1e-6)).all()
    assert (p <= exact * 1.005 * (1 + 1e-6)).all()


@pytest.mark.parametrize("count", [999, 1000, 1001, 1300, 54_321])
def test_stored_ranks_ascend_from_one_to_the_count(count):
    rank = tail_ranks(count)
    if count < 1000:
        assert rank.size == 0
        return
    assert (rank[0], rank[-1]) == (1, count)
    larger = count - rank[::-1]
    np.testing.assert_array_equal(larger[:1000], np.arange(1000))
    assert (np.diff(larger) >= 1).all()
    assert (np.diff(larger)[1000:] <= larger[1000:-1] / 200).all()


def test_p_is_uniform_and_few_are_selected_when_no_variant_has_an_effect():
    """Variants and background are drawn from one distribution, with a heavy tail and ties."""
    rng = np.random.default_rng(4)
    families = 400
    selected = {0.05: 0, 0.1: 0}
    pooled = []
    for _ in range(families):
        draw = np.round(rng.standard_t(3, size=(1500, 2)), 4).astype(np.float32)
        background, variants = draw[:1200], draw[1200:]
        p = scores_of(background).p(np.abs(variants))
        pooled.append(p)
        rates = FalseDiscovery()
        rates.add(p)
        q = rates.q(p)
        for alpha in selected:
            selected[alpha] += bool((q <= alpha).any())
    # One variant of each family, so that the p-values are independent.
    assert stats.kstest(np.concatenate([p[:1] for p in pooled]).ravel(), "uniform").pvalue > 0.01
    for alpha, count in selected.items():
        # Without effects, the false discovery rate is the probability of any discovery.
        assert count / families <= alpha + 2 * np.sqrt(alpha * (1 - alpha) / families)
    assert selected[0.1] > 0
