from __future__ import annotations

import pytest
import torch

from danq.core import KernelAttention


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 5, 6), torch.randn(3, 7)


@pytest.mark.parametrize("width", [1, 3, 5])
def test_every_map_is_convolved_with_its_own_kernel(width):
    maps, query = inputs()
    layer = KernelAttention(4, 7, width=width)
    half = width // 2
    weights = layer.weights(maps, query)
    for row in range(3):
        kernel = torch.sigmoid(layer.kernel.weight @ query[row] + layer.kernel.bias)
        kernel = kernel.view(4, width, width)
        scores = torch.zeros(5, 6)
        for i in range(5):
            for j in range(6):
                for y in range(max(0, i - half), min(5, i + half + 1)):
                    for x in range(max(0, j - half), min(6, j + half + 1)):
                        part = kernel[:, y - i + half, x - j + half]
                        scores[i, j] += part @ maps[row, :, y, x]
        wanted = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(weights[row], wanted)
        torch.testing.assert_close(layer(maps, query)[row], maps[row] * wanted)


def test_weights_sum_to_one_and_have_gradients_for_the_query():
    maps, query = inputs()
    query.requires_grad_(True)
    layer = KernelAttention(4, 7)
    weights = layer.weights(maps, query)
    assert weights.min() > 0
    torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(3))
    layer(maps, query).square().sum().backward()
    assert query.grad is not None
    assert query.grad.abs().sum(dim=1).min() > 0


def test_even_widths_are_refused():
    with pytest.raises(ValueError, match="width is 4, not odd"):
        KernelAttention(4, 7, width=4)
