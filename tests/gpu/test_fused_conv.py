"""The fused first layer against torch's layers: in Triton's interpreter, or on a card."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.core import OneHotConv, one_hot
from danq.gpu import fused_conv
from danq.gpu.fused_conv import FusedConv, PackedFilters, why_not
from tests.gpu.small_models import codes


def make(device: torch.device, seed: int = 0, **shape) -> OneHotConv:
    torch.manual_seed(seed)
    layer = OneHotConv(**shape).to(device)
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    return layer


def compare(layer: OneHotConv, x: torch.Tensor) -> None:
    fused = FusedConv(layer, torch.float32)
    wanted = layer.double().plain(x)
    upstream = torch.randn(wanted.shape, dtype=torch.float64, device=x.device)
    wanted_grads = torch.autograd.grad(wanted, (layer.weight, layer.bias), upstream)
    layer.float()
    found = fused(x)
    # Sums of at most 4 * 64 values of size 1: float32 keeps 7 digits.
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    found_grads = torch.autograd.grad(found, (layer.weight, layer.bias), upstream.float())
    for a, b in zip(found_grads, wanted_grads, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5 * float(b.norm() + 1))
    with torch.no_grad():
        assert torch.equal(fused(x), found)


shapes = st.fixed_dictionaries(
    {
        "filters": st.integers(1, 70),
        "width": st.integers(1, 33),
        "pool": st.integers(1, 20),
        "activation": st.sampled_from(["relu", "identity"]),
        "unknown": st.sampled_from([0.0, 0.25]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=20, deadline=None)
@given(
    shape=shapes,
    rows=st.integers(1, 4),
    extra=st.integers(0, 60),
    unknown=st.sampled_from([0, 0.3]),
)
def test_values_and_gradients_equal_those_of_plain_layers(device, shape, rows, extra, unknown):
    layer = make(device, **shape)
    length = layer.width + layer.pool - 1 + extra
    compare(layer, codes(rows, length, shape["seed"], unknown).to(device))


@pytest.mark.parametrize(
    ("width", "pool", "length"), [(26, 13, 1000), (30, 15, 120), (64, 64, 140), (1, 1, 1)]
)
def test_shapes_of_presets_and_the_largest_and_smallest(device, width, pool, length):
    compare(make(device, filters=3, width=width, pool=pool), codes(1, length).to(device))


def test_a_pool_window_of_unknown_bases_is_the_bias(device):
    layer = make(device, filters=5, width=4, pool=3)
    found = FusedConv(layer, torch.float32)(torch.full((2, 30), 4, dtype=torch.uint8).to(device))
    assert torch.equal(found, layer.bias.detach().relu().expand_as(found))


def test_equal_scores_share_one_winner(device):
    layer = make(device, filters=2, width=1, pool=4, activation="identity")
    x = torch.zeros(1, 4, dtype=torch.uint8, device=device)  # four equal positions
    FusedConv(layer, torch.float32)(x).sum().backward()
    assert layer.weight.grad[:, :, 0].tolist() == [[1.0, 0, 0, 0]] * 2


def test_a_layer_that_the_kernels_cannot_hold_is_named(device):
    reason = why_not(OneHotConv(4, 33, pool=100))
    assert reason == "filters of width 33 with a pool of 100 are too large for it"
    assert why_not(OneHotConv(4, 32, pool=100)) is None


def test_three_parts_of_bfloat16_are_the_weights(device):
    layer = make(device, filters=7, width=5, pool=2)
    filters = PackedFilters(layer, torch.float32)
    total = filters.weights.double().sum(0)[:20, :7].view(5, 4, 7).permute(2, 1, 0)
    assert torch.equal(total, layer.weight.detach().double())
    assert filters.weights[:, 20:].abs().sum() == 0
    assert filters.weights[:, :, 7:].abs().sum() == 0


def test_changed_weights_are_used_unless_they_are_fixed(device):
    layer, x = make(device, filters=4, width=5, pool=2), codes(2, 20).to(device)
    fused, fixed = FusedConv(layer, torch.float32), FusedConv(layer, torch.float32, fixed=True)
    before = fused(x)
    with torch.no_grad():
        layer.weight.mul_(2)
    assert not torch.equal(fused(x), before)
    assert torch.equal(fixed(x), before)


def test_winners_are_stored_for_gradients_only(device, monkeypatch):
    layer, x = make(device, filters=4, width=5, pool=2), codes(2, 20).to(device)
    wanted = FusedConv(layer, torch.float32)(x).detach()
    seen = []
    layout = PackedFilters.layout

    def record(self, length, *, train):
        seen.append(train)
        return layout(self, length, train=train)

    monkeypatch.setattr(fused_conv.PackedFilters, "layout", record)
    fused = FusedConv(layer, torch.float32)
    assert torch.equal(fused(x), wanted)
    with torch.no_grad():
        assert torch.equal(fused(x), wanted)
    with torch.inference_mode():
        assert torch.equal(fused(x), wanted)
    layer.freeze()
    assert torch.equal(fused(x), wanted)
    assert seen == [True, False, False, False]


def test_soft_channels_and_short_windows_are_those_of_the_plain_layer(device):
    layer = make(device, filters=4, width=5, pool=2)
    fused, x = FusedConv(layer, torch.float32), codes(2, 20).to(device)
    soft = one_hot(x, 0.0)
    assert torch.equal(fused(soft), layer(soft))
    torch.testing.assert_close(fused(soft), fused(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="input of 5 symbols"):
        fused(x[:, :5])


# The interpreter computes with numpy.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_a_filter_with_a_weight_that_is_not_finite_is_nan(device, value, activation):
    layer = make(device, filters=5, width=4, pool=3, activation=activation)
    with torch.no_grad():
        layer.weight[1, 2, 3] = value
        layer.bias[3] = float("nan")
    x = codes(2, 40).to(device)
    fused = FusedConv(layer, torch.float32)
    wanted = layer.plain(x)
    assert wanted.isnan().all(dim=(0, 1)).tolist() == [False, True, False, True, False]
    for found in (fused(x), fused.eval()(x)):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5, equal_nan=True)
    with torch.no_grad():
        torch.testing.assert_close(fused(x), wanted, rtol=1e-5, atol=1e-5, equal_nan=True)
