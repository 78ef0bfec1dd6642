"""Dropout: fraction of zeros, independence, gradients, random seeds and shares of a batch."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from scipy import stats

from danq.core import OneHotConv, Recurrent
from danq.core.dropout import Dropout, TorchDropout, share_of_batch


def mask(rows: int, columns: int, p: float, seed: int = 0) -> np.ndarray:
    torch.manual_seed(seed)
    return (Dropout(p)(torch.ones(rows, columns)) == 0).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_values_and_gradients_are_0_or_scaled(dtype, p):
    x = torch.randn(64, 5, 37).to(dtype).requires_grad_()
    y = Dropout(p)(x)
    y.backward(torch.ones_like(y))
    kept = y != 0
    assert y.dtype == dtype
    scale = torch.tensor(1 / (1 - p))
    expected = (x.float() * scale).to(dtype)
    assert torch.equal(y[kept], expected[kept])
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(kept, scale, 0.0).to(dtype))


@pytest.mark.parametrize("p", [0.01, 0.2, 0.5, 0.97])
def test_the_fraction_of_zeros_is_p(p):
    dropped = int(mask(500, 2001, p).sum())
    assert stats.binomtest(dropped, 500 * 2001, p).pvalue > 1e-4


def test_positions_are_independent():
    dropped = mask(400, 1000, 0.5).astype(float) - 0.5
    noise = 0.25 / np.sqrt(dropped.size)
    for rows, columns in [(0, 1), (0, 2), (0, 16), (1, 0), (1, 1), (2, 0), (7, 3)]:
        left = dropped[: 400 - rows, : 1000 - columns]
        assert abs((left * dropped[rows:, columns:]).mean()) < 4.5 * noise
    # The fractions in rows and in columns have the variance of a binomial.
    for axis, n in ((0, 400), (1, 1000)):
        spread = dropped.mean(axis=axis).var() * 4 * n
        assert abs(spread - 1) < 0.25
    again = mask(400, 1000, 0.5, seed=1).astype(float) - 0.5
    assert abs((dropped * again).mean()) < 4.5 * noise


def test_masks_depend_on_the_seed_of_torch_and_not_on_threads():
    before = numba.get_num_threads()
    one = mask(33, 100, 0.5, seed=3)
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(mask(33, 100, 0.5, seed=3), one)
    finally:
        numba.set_num_threads(before)
    assert (mask(33, 100, 0.5, seed=4) != one).any()
    torch.manual_seed(3)
    layer = Dropout(0.5)
    first, second = layer(torch.ones(33, 100)), layer(torch.ones(33, 100))
    assert not torch.equal(first, second)


def test_cases_that_torch_computes():
    x = torch.randn(4, 6)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert not Dropout(1.0)(x).any()
    wide = torch.ones(40, 50, dtype=torch.float64)
    assert set(Dropout(0.5)(wide).unique().tolist()) == {0.0, 2.0}
    assert Dropout(0.5)(torch.ones(0, 3)).shape == (0, 3)


def test_a_gradient_of_a_gradient_passes_through():
    x = torch.randn(6, 7).requires_grad_()
    y = Dropout(0.5)(x * x)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(second, torch.where(y != 0, 4.0, 0.0))


def test_layers_that_cannot_be_differentiated_twice_say_so():
    codes = torch.randint(0, 5, (2, 30), dtype=torch.uint8)
    conv = OneHotConv(3, 4)
    for layer, x in ((conv, codes), (Recurrent(3, 2), torch.randn(2, 5, 3))):
        parameters = list(layer.parameters())
        first = torch.autograd.grad((layer(x) ** 2).sum(), parameters, create_graph=True)
        with pytest.raises(RuntimeError, match="once_differentiable"):
            torch.stack([one.sum() for one in first]).sum().backward()


def by_share(layer, x: torch.Tensor, world: int) -> torch.Tensor:
    """Outputs for a batch whose examples are computed in shares, one after the other."""
    out = torch.empty_like(x)
    for rank in range(world):
        torch.manual_seed(5)
        with share_of_batch(range(len(x))[rank::world], len(x)):
            out[rank::world] = layer(x[rank::world])
    return out


@pytest.mark.parametrize("kind", [Dropout, TorchDropout])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_shares_of_a_batch_have_its_masks(kind, dtype, world):
    x = torch.ones(11, 3, 130, dtype=dtype)
    for layout in (x, x.transpose(1, 2)):
        torch.manual_seed(5)
        whole = kind(0.5)(layout)
        assert torch.equal(by_share(kind(0.5), layout, world), whole)


@pytest.mark.parametrize("kind", [Dropout, TorchDropout])
def test_examples_of_several_rows(kind):
    frames = torch.ones(6, 4, 50)

    def layer(x: torch.Tensor) -> torch.Tensor:
        return kind(0.5)(x.flatten(0, 1)).view_as(x)

    torch.manual_seed(5)
    whole = layer(frames)
    assert torch.equal(by_share(layer, frames, 2), whole)


@pytest.mark.parametrize("kind", [Dropout, TorchDropout])
def test_rows_that_are_no_multiple_of_the_examples(kind):
    with share_of_batch(range(1, 8, 2), 8):
        assert set(kind(0.5)(torch.ones(5, 70)).unique().tolist()) == {0.0, 2.0}


def test_the_gradient_of_a_share_has_the_mask_of_its_outputs():
    x = torch.randn(4, 30).requires_grad_()
    with share_of_batch(range(1, 8, 2), 8):
        y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.where(y != 0, 2.0, 0.0))
