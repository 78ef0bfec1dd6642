from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.core import Recurrent


def hard(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def by_hand(x: np.ndarray, weights: list[np.ndarray], backward: bool) -> np.ndarray:
    """Outputs in float64, computed step by step for each row; gates in the order i, f, g, o."""
    wi, wh, bi, bh = (w.astype(np.float64) for w in weights)
    units = wh.shape[1]
    out = np.zeros((*x.shape[:2], units))
    for b in range(len(x)):
        h, c = np.zeros(units), np.zeros(units)
        steps = range(x.shape[1])
        for t in reversed(steps) if backward else steps:
            i, f, g, o = np.split(wi @ x[b, t] + wh @ h + bi + bh, 4)
            c = hard(f) * c + hard(i) * np.tanh(g)
            h = hard(o) * np.tanh(c)
            out[b, t] = h
    return out


def expected(layer: Recurrent, x: torch.Tensor, second: str) -> np.ndarray:
    values = [p.detach().numpy() for p in layer.rnn.parameters()]
    data = x.detach().numpy().astype(np.float64)
    parts = [by_hand(data, values[:4], False)]
    if len(values) == 8:
        parts.append(by_hand(data, values[4:], second == "backward"))
    return np.concatenate(parts, axis=2)


def layer_with(features: int, hidden: int, scale: float = 3.0, **hyperparameters) -> Recurrent:
    torch.manual_seed(3)
    layer = Recurrent(features, hidden, gates="hard", **hyperparameters)
    with torch.no_grad():
        for value in layer.rnn.parameters():
            value.mul_(scale)  # large enough for saturated gates
    return layer


@pytest.mark.parametrize("shape", [(1, 1, 3, 2), (5, 9, 4, 7), (17, 6, 24, 33)])
@pytest.mark.parametrize("second", ["backward", "forward"])
def test_kernel_and_torch_operators_equal_the_formula(shape, second):
    rows, steps, features, hidden = shape
    layer = layer_with(features, hidden, second_direction=second)
    x = torch.randn(rows, steps, features)
    right = expected(layer, x, second)
    with torch.no_grad():
        fast = layer(x)
    np.testing.assert_allclose(fast.numpy(), right, atol=2e-6)
    np.testing.assert_allclose(layer(x).detach().numpy(), right, atol=2e-6)


def test_one_direction():
    layer = layer_with(4, 6, bidirectional=False)
    x = torch.randn(3, 5, 4)
    with torch.no_grad():
        np.testing.assert_allclose(layer(x).numpy(), expected(layer, x, "backward"), atol=2e-6)


def test_a_gate_beyond_its_limits_is_0_or_1():
    layer = layer_with(2, 3, scale=1e4)
    with torch.no_grad():
        out = layer(torch.full((1, 2, 2), 50.0))
    assert torch.isfinite(out).all()
    assert out.abs().max() <= 1


@pytest.mark.parametrize("second", ["backward", "forward"])
def test_padding_does_not_change_outputs(second):
    layer = layer_with(5, 4, second_direction=second)
    x = torch.randn(3, 7, 5)
    lengths = [7, 3, 1]
    mask = torch.arange(7)[None] < torch.tensor(lengths)[:, None]
    out = layer(x, mask)
    for row, length in enumerate(lengths):
        torch.testing.assert_close(out[row, :length], layer(x[row : row + 1, :length])[0])
        assert not out[row, length:].any()


def test_gradients_equal_numerical_ones():
    layer = layer_with(3, 4, second_direction="forward").double()
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


def test_bfloat16_is_close_to_float32():
    layer = layer_with(12, 10, scale=1.0)
    x = torch.randn(8, 20, 12)
    with torch.no_grad():
        single = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            half = layer(x)
    plain = layer(x)
    torch.testing.assert_close(half, single, atol=0.02, rtol=0)
    torch.testing.assert_close(plain.detach(), single, atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {"gates": "soft"},
        {"gates": "hard", "kind": "gru"},
        {"gates": "hard", "layers": 2},
        {"gates": "hard", "second_direction": "sideways"},
        {"second_direction": "forward"},
    ],
)
def test_invalid_hyperparameters(hyperparameters):
    with pytest.raises(ValueError, match=r"gates|second_direction"):
        Recurrent(2, 2, **hyperparameters)
