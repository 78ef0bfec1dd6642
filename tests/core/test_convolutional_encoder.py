from __future__ import annotations

import pytest
import torch
from torch import nn

from danq.core import ConvStage, conv_encoder


def test_sizes_may_differ_between_dimensions():
    stage = ConvStage(3, 2, 5, (1, 3, 5), pool=(1, 2, 3), padding=(0, 1, 2))
    out = stage(torch.randn(2, 2, 4, 9, 13))
    assert out.shape == (2, 5, *(stage.size(n, dim) for dim, n in enumerate((4, 9, 13))))
    with pytest.raises(ValueError, match=r"2 sizes \(3, 3\) for 3 dimensions"):
        ConvStage(3, 2, 5, (3, 3))


def test_normalisation_comes_before_relu():
    torch.manual_seed(0)
    x = torch.randn(6, 2, 20)
    stage = ConvStage(1, 2, 3, 3, norm=True, pool=2)
    y = nn.functional.conv1d(x, stage.conv.weight, stage.conv.bias)
    y = (y - y.mean(dim=(0, 2), keepdim=True)) / (
        y.var(dim=(0, 2), unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(stage(x), nn.functional.max_pool1d(y.relu(), 2))


def test_conv_encoder_keeps_sizes_and_halves_them():
    encoder = conv_encoder(2, 1, [4, 8, 16], width=(3, 5), pool=(2, 1))
    assert encoder(torch.zeros(1, 1, 16, 10)).shape == (1, 16, 2, 10)
    assert encoder.steps(16) == 2
    assert encoder.steps(10, dim=1) == 10
    assert encoder.out_features == 16
