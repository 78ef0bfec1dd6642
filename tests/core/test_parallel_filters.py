"""Filters of several widths side by side, against torch's convolutions with the same padding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from danq.core import CnnRnn, Mean, Mlp, MultiLabel, Recurrent, lengths_mask, one_hot
from danq.core.parallel_filters import ParallelOneHotConv, StepConv, TemporalStack, divided


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("pool", [1, 3])
@pytest.mark.parametrize("unknown", [0.0, 0.25])
def test_the_first_layer_equals_torchs_convolutions(pool, unknown):
    torch.manual_seed(0)
    layer = ParallelOneHotConv(7, (9, 15, 4), pool=pool, unknown=unknown)
    codes = torch.randint(0, 5, (3, 40), dtype=torch.uint8)
    padded = F.pad(codes, (20, 20), value=4)
    parts = []
    for conv, width in zip(layer.layers, (9, 15, 4), strict=True):
        same = F.conv1d(one_hot(padded, unknown), conv.weight, conv.bias, padding="same")
        parts.append(F.max_pool1d(F.relu(same[:, :, 20:60]), pool))
        assert conv.width == width
    wanted = torch.cat(parts, dim=1).transpose(1, 2)
    assert layer.steps(40) == 40 // pool
    torch.testing.assert_close(layer(codes), wanted)
    torch.testing.assert_close(layer(one_hot(codes, unknown)), wanted)


def test_filters_are_divided_among_the_widths():
    assert divided(7, 3) == [3, 2, 2]
    assert divided(320, 2) == [160, 160]
    with pytest.raises(ValueError, match="1 filters for 2 widths"):
        ParallelOneHotConv(1, (3, 5))
    with pytest.raises(ValueError, match="4 channels for 0 widths"):
        StepConv(3, 4, ())


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_convolutions_over_steps_equal_torchs():
    torch.manual_seed(0)
    layer, x = StepConv(5, 6, (9, 4)).eval(), torch.randn(2, 11, 5)
    parts = [
        F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, padding="same") for conv in layer.layers
    ]
    torch.testing.assert_close(layer(x), F.relu(torch.cat(parts, 1)).transpose(1, 2))


def test_padding_changes_nothing():
    torch.manual_seed(0)
    stack = TemporalStack([Recurrent(5, 3), StepConv(6, 4, (3, 5)), StepConv(4, 6, (9,))]).eval()
    lengths = [7, 3, 1]
    x, mask = torch.randn(3, 7, 5), lengths_mask(torch.tensor(lengths), 7)
    x[~mask] = float("nan")
    out = stack(x.nan_to_num(nan=9.0), mask)
    assert not out[~mask].any()
    for row, length in enumerate(lengths):
        torch.testing.assert_close(out[row, :length], stack(x[row : row + 1, :length])[0])


def test_dropout_follows_the_convolution():
    torch.manual_seed(0)
    layer = StepConv(5, 400, (3,), dropout=0.5).train()
    zeros = (layer(torch.ones(4, 9, 5)) == 0).float().mean()
    assert float(zeros) > 0.6
    assert (layer.eval()(torch.ones(4, 9, 5)) == 0).float().mean() < 0.6


def test_gradients_reach_every_layer():
    torch.manual_seed(0)
    encoder = ParallelOneHotConv(6, (3, 5), pool=2)
    temporal = TemporalStack([Recurrent(6, 4), StepConv(8, 6, (3, 5))])
    model = CnnRnn(encoder, temporal, Mean(6), MultiLabel(Mlp(6, ()), 2))
    codes = torch.randint(0, 4, (4, 30), dtype=torch.uint8)
    model(codes).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    encoder.freeze()
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
