"""Losses of amounts against formulas in float64 of scipy, with missing values and weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.autograd import gradcheck

from danq.core.amount_losses import (
    expected_value,
    gaussian_loss,
    multinomial_loss,
    poisson_loss,
    soft_bin_loss,
    soft_bins,
    total_count_loss,
    weighted_mean,
)

B, K, S = 6, 3, 8
CENTRES = torch.arange(18, dtype=torch.float64)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def double(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float64))


def missing(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """A mask with some missing values; the last row has none measured."""
    mask = rng.random(shape) < 0.7
    mask[0] = True
    mask[-1] = False
    return mask


def with_holes(values: np.ndarray, mask: np.ndarray) -> torch.Tensor:
    return double(np.where(mask, values, np.nan))


def wanted(values: np.ndarray, mask: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(values[mask], weights=np.broadcast_to(weights, values.shape)[mask]))


def test_gaussian_and_poisson_equal_scipy(rng):
    x, counts = rng.normal(size=(B, K)), rng.poisson(3, (B, K)).astype(float)
    mask, weights = missing(rng, B, K), rng.random((B, 1)) + 0.1
    arguments = (double(x), with_holes(counts, mask), torch.from_numpy(mask), double(weights))
    assert float(gaussian_loss(*arguments)) == pytest.approx(
        wanted((x - counts) ** 2, mask, weights), rel=1e-12
    )
    likelihood = -stats.poisson.logpmf(counts, np.exp(x)) - special.gammaln(counts + 1)
    assert float(poisson_loss(*arguments)) == pytest.approx(
        wanted(likelihood, mask, weights), rel=1e-12
    )
    plain = torch.nn.functional.poisson_nll_loss(double(x), double(counts))
    torch.testing.assert_close(poisson_loss(double(x), double(counts)), plain)


def test_the_profile_loss_equals_the_multinomial_of_scipy(rng):
    logits, counts = rng.normal(size=(B, K, S)), rng.poisson(2, (B, K, S)).astype(float)
    counts[1, 1] = 0
    mask, weights = missing(rng, B, K, S), rng.random((B, 1)) + 0.1
    profiles, totals = np.zeros((B, K)), np.zeros((B, K))
    log_totals = rng.normal(2, 1, (B, K))
    for row in np.ndindex(B, K):
        known = mask[row]
        if not known.any():
            continue
        p = np.exp(logits[row][known]) / np.exp(logits[row][known]).sum()
        k = counts[row][known]
        profiles[row] = -stats.multinomial.logpmf(k, k.sum(), p)
        totals[row] = (log_totals[row] - np.log(1 + k.sum())) ** 2
    known = mask.any(2)
    rest = (with_holes(counts, mask), torch.from_numpy(mask), double(weights))
    assert float(multinomial_loss(double(logits), *rest)) == pytest.approx(
        wanted(profiles, known, weights), rel=1e-10
    )
    assert float(total_count_loss(double(log_totals), *rest)) == pytest.approx(
        wanted(totals, known, weights), rel=1e-12
    )


def test_soft_bins_equal_those_of_dream(rng):
    # Rafi et al.: bins between the points below, of a normal distribution shifted by 0.5.
    values = np.array([-3.0, 0.2, 4.4, 11.0, 17.0, 40.0])
    points = np.array([-np.inf, *range(1, 18), np.inf])
    dream = np.diff(stats.norm(values[:, None] + 0.5, 0.5).cdf(points), axis=1)
    found = soft_bins(double(values), CENTRES, 0.5).numpy()
    np.testing.assert_allclose(found, dream, rtol=0, atol=1e-15)
    logits, mask = rng.normal(size=(6, 18)), np.array([1, 1, 0, 1, 1, 1], bool)
    weights = rng.random(6) + 0.1
    q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    divergence = np.array([stats.entropy(p, each) for p, each in zip(dream, q, strict=True)])
    loss = soft_bin_loss(
        double(logits), with_holes(values, mask), CENTRES, 0.5, torch.from_numpy(mask),
        double(weights),
    )  # fmt: skip
    assert float(loss) == pytest.approx(wanted(divergence, mask, weights), rel=1e-9)


def test_the_expected_value_of_soft_bins_is_the_amount():
    values = double(np.linspace(2, 15, 27))
    logits = soft_bins(values, CENTRES, 0.5).clamp(min=1e-300).log()
    torch.testing.assert_close(expected_value(logits, CENTRES), values, rtol=0, atol=0.01)


def losses(rng: np.random.Generator):
    values = double(rng.poisson(3, (B, K)).astype(float))
    steps = double(rng.poisson(2, (B, K, S)).astype(float))
    mask, step_mask = (torch.from_numpy(missing(rng, *shape)) for shape in ((B, K), (B, K, S)))
    weights = double(rng.random((B, K)))
    hole = values.masked_fill(~mask, float("nan"))
    step_hole = steps.masked_fill(~step_mask, float("nan"))
    return {
        "gaussian": ((B, K), partial(gaussian_loss, target=hole, mask=mask, weights=weights)),
        "poisson": ((B, K), partial(poisson_loss, target=hole, mask=mask, weights=weights)),
        "multinomial": (
            (B, K, S),
            partial(multinomial_loss, counts=step_hole, mask=step_mask, weights=weights),
        ),
        "total": (
            (B, K),
            partial(total_count_loss, counts=step_hole, mask=step_mask, weights=weights),
        ),
        "bins": (
            (B, K, 18),
            partial(
                soft_bin_loss, target=hole, centres=CENTRES, spread=0.5, mask=mask, weights=weights
            ),
        ),
    }


@pytest.mark.parametrize("name", ["gaussian", "poisson", "multinomial", "total", "bins"])
def test_gradients_equal_finite_differences(rng, name):
    shape, loss = losses(rng)[name]
    outputs = double(rng.normal(size=shape)).requires_grad_()
    assert gradcheck(loss, (outputs,))
    outputs.grad = None
    loss(outputs).backward()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()
    assert not outputs.grad[-1].any()
    assert outputs.grad[0].any()


@pytest.mark.parametrize("name", ["gaussian", "poisson", "multinomial", "total", "bins"])
def test_outputs_of_missing_values_may_be_anything(rng, name):
    shape, loss = losses(rng)[name]
    outputs = double(rng.normal(size=shape))
    before = loss(outputs)
    outputs[-1] = 1e5
    torch.testing.assert_close(loss(outputs), before)


def test_without_a_measured_value_the_loss_is_zero():
    nothing = torch.zeros(2, 3, dtype=torch.bool)
    holes = torch.full((2, 3), float("nan"))
    x = torch.randn(2, 3, requires_grad=True)
    loss = gaussian_loss(x, holes, nothing) + poisson_loss(x, holes, nothing)
    loss.backward()
    assert float(loss.detach()) == 0
    assert x.grad is not None
    assert not x.grad.any()
    assert float(weighted_mean(torch.ones(4), weights=torch.zeros(4))) == 0
