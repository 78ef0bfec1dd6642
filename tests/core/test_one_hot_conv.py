from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.core import BothStrandsConv, OneHotConv, one_hot


def make(filters: int, width: int, pool: int, activation: str, unknown: float, seed: int):
    torch.manual_seed(seed)
    layer = OneHotConv(filters, width, pool=pool, activation=activation, unknown=unknown)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    return layer


def random_codes(rows: int, length: int, n_share: float, seed: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (rows, length), dtype=np.uint8)
    codes[rng.random(codes.shape) < n_share] = 4
    return torch.from_numpy(codes)


shapes = st.fixed_dictionaries(
    {
        "filters": st.integers(1, 40),
        "width": st.integers(1, 27),
        "pool": st.integers(1, 14),
        "activation": st.sampled_from(["relu", "identity"]),
        "unknown": st.sampled_from([0.0, 0.25]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=40)
@given(shape=shapes, rows=st.integers(1, 5), extra=st.integers(0, 60), n_share=st.floats(0, 1))
def test_look_up_equals_plain_layers(shape, rows, extra, n_share):
    layer = make(**shape)
    codes = random_codes(rows, layer.width + layer.pool - 1 + extra, n_share, shape["seed"])
    torch.testing.assert_close(layer(codes), layer.plain(codes), rtol=1e-5, atol=1e-5)


@settings(max_examples=25)
@given(shape=shapes, rows=st.integers(1, 4), extra=st.integers(0, 40), n_share=st.floats(0, 0.3))
def test_gradients_equal_autograd_in_float64(shape, rows, extra, n_share):
    layer = make(**shape).double()
    codes = random_codes(rows, layer.width + layer.pool - 1 + extra, n_share, shape["seed"])
    got = layer(codes)
    assert got.dtype == torch.float64
    upstream = torch.randn(got.shape, dtype=torch.float64)
    wanted = torch.autograd.grad(
        layer.plain(codes), (layer.weight, layer.bias), upstream, allow_unused=False
    )
    found = torch.autograd.grad(got, (layer.weight, layer.bias), upstream)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_known_answer():
    layer = OneHotConv(1, 3, pool=2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 0], layer.weight[0, 1, 1], layer.weight[0, 2, 2] = 1, 10, 100  # "ACG"
        layer.bias.fill_(-5)
    codes = torch.tensor([[0, 1, 2, 3, 0, 1, 2]], dtype=torch.uint8)  # ACGTACG
    # Scores at offsets 0..4: ACG 111, CGT 0, GTA 0, TAC 0, ACG 111; the pool drops the last.
    assert layer(codes).tolist() == [[[106.0], [0.0]]]


def test_batch_size_and_threads_change_nothing():
    import numba

    layer = make(33, 7, 3, "relu", 0.25, 1)
    codes = random_codes(64, 90, 0.05, 1)
    whole = layer(codes)
    assert torch.equal(torch.cat([layer(row[None]) for row in codes]), whole)
    whole.square().sum().backward()
    grad = layer.weight.grad.clone()
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        layer.weight.grad = None
        layer(codes).square().sum().backward()
        assert torch.equal(layer.weight.grad, grad)
    finally:
        numba.set_num_threads(before)


def test_codes_in_fortran_order():
    layer = make(33, 7, 3, "relu", 0.25, seed=4)
    codes = random_codes(6, 40, 0.1, seed=4)
    columns = codes.t().contiguous().t()
    assert not columns.is_contiguous()
    wanted, found = layer(codes), layer(columns)
    assert torch.equal(found, wanted)
    grads = [torch.autograd.grad(out.sum(), (layer.weight, layer.bias)) for out in (wanted, found)]
    assert all(map(torch.equal, *grads))


def test_soft_one_hot_of_codes_gives_the_same():
    layer = make(8, 5, 2, "relu", 0.25, 3)
    codes = random_codes(4, 50, 0.1, 3)
    torch.testing.assert_close(layer(one_hot(codes, 0.25)), layer(codes), rtol=1e-5, atol=1e-5)


def test_short_input_is_refused():
    with pytest.raises(ValueError, match=r"input of 10 symbols .* need \(38\)"):
        OneHotConv(4, 26, pool=13)(torch.zeros(1, 10, dtype=torch.uint8))


def test_invalid_arguments_are_refused():
    with pytest.raises(ValueError, match="activation is 'tanh'"):
        OneHotConv(4, 5, activation="tanh")
    with pytest.raises(ValueError, match="pool is 0"):
        OneHotConv(4, 5, pool=0)


def test_autocast_feeds_a_half_precision_layer():
    layer = make(16, 5, 4, "relu", 0.0, 5)
    dense = torch.nn.Linear(16, 3)
    codes = random_codes(4, 50, 0.0, 5)
    with torch.autocast("cpu", torch.bfloat16):
        out = dense(layer(codes))
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("activation", ["relu", "identity"])
@pytest.mark.parametrize("training", [False, True])
def test_a_filter_with_a_weight_that_is_not_finite_is_nan(value, activation, training):
    layer = make(40, 4, 3, activation, 0.0, 1)
    with torch.no_grad():
        layer.weight[1, 2, 3] = value
        layer.bias[39] = float("nan")
    codes = random_codes(2, 40, 0.1, 1)
    with torch.set_grad_enabled(training):
        found, wanted = layer(codes), layer.plain(codes)
    assert wanted.isnan().all(dim=(0, 1)).nonzero().flatten().tolist() == [1, 39]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_a_bias_that_is_infinite_stays_infinite():
    layer = make(3, 4, 3, "relu", 0.0, 1)
    with torch.no_grad():
        layer.bias[:2] = torch.tensor([float("inf"), -float("inf")])
    found = layer(random_codes(2, 40, 0.1, 1))
    assert torch.equal(found[..., 0], torch.full_like(found[..., 0], float("inf")))
    assert torch.equal(found[..., 1], torch.zeros_like(found[..., 1]))


@pytest.mark.parametrize("unknown", [0.0, 0.25])
def test_filters_of_both_strands_find_a_motif_on_either_strand(unknown):
    torch.manual_seed(0)
    layer = BothStrandsConv(6, 7, pool=3, unknown=unknown)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    assert layer.weight.shape == (3, 4, 7)
    assert layer.out_features == 6
    codes = torch.randint(0, 5, (5, 37), dtype=torch.uint8)
    out = layer(codes[:, :36])
    reverse = torch.where(codes < 4, 3 - codes, codes).flip(1)
    other = layer(reverse[:, 1:]).flip(1)
    torch.testing.assert_close(out[..., :3], other[..., 3:])
    torch.testing.assert_close(out[..., 3:], other[..., :3])
    torch.testing.assert_close(out, layer.plain(codes[:, :36]))
    grads = []
    for run in (layer, layer.plain):
        layer.zero_grad()
        run(codes).square().sum().backward()
        assert layer.weight.grad is not None
        grads.append(layer.weight.grad.clone())
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="5 filters of two strands"):
        BothStrandsConv(5, 7)
    with pytest.raises(ValueError, match="6 filters of two strands in groups: 2; .* multiple of 4"):
        BothStrandsConv(6, 7, groups=2)


def test_each_group_of_filters_of_both_strands_is_a_layer_of_its_own():
    torch.manual_seed(0)
    layer, codes = BothStrandsConv(12, 5, groups=3), random_codes(2, 30, 0.1, 1)
    torch.nn.init.normal_(layer.bias)
    parts = []
    for group in range(3):
        one = BothStrandsConv(4, 5)
        one.weight.data, one.bias.data = (
            values[2 * group : 2 * group + 2].detach() for values in (layer.weight, layer.bias)
        )
        parts.append(one(codes))
    torch.testing.assert_close(layer(codes), torch.cat(parts, dim=2))
