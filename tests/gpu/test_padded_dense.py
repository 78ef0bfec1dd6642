from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from danq.core import Mlp, MultiLabel
from danq.gpu.padded_dense import ALIGNED, MULTIPLE, PaddedDense


@pytest.mark.parametrize(
    ("features", "hidden", "labels"),
    [(16, (12,), 5), (13, (70, 3), 64), (1, (), 1), (64, (64, 128), 65)],
)
def test_values_and_gradients_equal_those_of_plain_layers(features, hidden, labels):
    torch.manual_seed(0)
    plain = MultiLabel(Mlp(features, hidden), labels)
    exact = copy.deepcopy(plain).double()
    padded = PaddedDense([*plain.body, plain.output], torch.float32)
    x = torch.randn(7, features).requires_grad_()
    wide = x.detach().double().requires_grad_()
    found, wanted = padded(x), exact(wide)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)
    upstream = torch.randn_like(wanted)
    grads = torch.autograd.grad(found, [x, *plain.parameters()], upstream.float())
    wanted_grads = torch.autograd.grad(wanted, [wide, *exact.parameters()], upstream)
    for a, b in zip(grads, wanted_grads, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-5)
    fixed = PaddedDense([*plain.body, plain.output], torch.float32, fixed=True)
    with torch.no_grad():
        assert torch.equal(fixed(x), found)
    for layer, weights in zip(padded.layers, padded.weights, strict=True):
        if isinstance(layer, nn.Linear):
            assert weights.weight.shape[0] % MULTIPLE == 0
            assert weights.weight.shape[1] % ALIGNED == 0
            assert weights.weight[layer.out_features :].abs().sum() == 0
            assert weights.weight[:, layer.in_features :].abs().sum() == 0


def test_bfloat16_rounds_as_autocast_does():
    torch.manual_seed(0)
    plain, x = MultiLabel(Mlp(40, (30,)), 9), torch.randn(5, 40)
    padded = PaddedDense([*plain.body, plain.output], torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        wanted, found = plain(x), padded(x)
    assert found.dtype == torch.bfloat16
    # Two layers, each rounded to 8 bits, summed in another order.
    torch.testing.assert_close(found.float(), wanted.float(), rtol=0.02, atol=0.02)
    found.float().sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in plain.parameters())


def test_changed_weights_are_used_unless_they_are_fixed():
    plain, x = MultiLabel(Mlp(8, (6,)), 3), torch.randn(2, 8)
    layers = [*plain.body, plain.output]
    padded = PaddedDense(layers, torch.float32)
    fixed = PaddedDense(layers, torch.float32, fixed=True)
    before = padded(x)
    with torch.no_grad():
        plain.output.bias.add_(1)
    torch.testing.assert_close(padded(x), before + 1)
    assert torch.equal(fixed(x), before)
