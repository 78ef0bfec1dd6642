from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from danq.core import Tcn, lengths_mask, tcn_blocks

LENGTHS = [20, 7, 1]


def make(causal: bool = True, width: int = 3, channels=(6, 6, 4)) -> Tcn:
    torch.manual_seed(0)
    layer = Tcn(5, channels, width, causal=causal).double()
    for block in layer.blocks:
        for name, value in block.named_parameters():
            if "weight" in name:
                nn.init.normal_(value, 0.0, 0.5)
    return layer


def data() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    x = torch.randn(3, 20, 5, dtype=torch.float64)
    return x, lengths_mask(torch.tensor(LENGTHS), 20)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_no_step_depends_on_a_later_one(width):
    x, _ = data()
    layer = make(width=width)
    before = layer(x)
    for step in (0, 6, 19):
        other = x.clone()
        other[:, step] += 1
        changed = (layer(other) != before).any(dim=2).any(dim=0)
        assert not changed[:step].any()
        assert changed[step]


def test_receptive_field_by_autograd():
    layer = Tcn(2, [3, 3, 3], 3)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 60, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 45].sum(), x)
    seen = gradient[0].abs().sum(dim=1).nonzero().flatten()
    assert (int(seen.min()), int(seen.max())) == (45 - 28, 45)


def test_centred_filters_read_both_sides():
    layer = Tcn(2, [3, 3], 3, causal=False)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.1)
    x = torch.ones(1, 61, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x)[0, 30].sum(), x)
    seen = gradient[0].abs().sum(dim=1).nonzero().flatten()
    assert seen.tolist() == list(range(30 - 6, 30 + 6 + 1))


@pytest.mark.parametrize(
    ("causal", "width"), [(True, 2), (True, 3), (True, 4), (False, 3), (False, 5)]
)
def test_smallest_number_of_blocks_by_autograd(causal, width):
    def sees_all(blocks: int, steps: int) -> bool:
        layer = Tcn(1, [1] * blocks, width, causal=causal)
        for parameter in layer.parameters():
            nn.init.constant_(parameter, 0.3)
        x = torch.ones(1, steps, 1, requires_grad=True)
        ends = (steps - 1,) if causal else (0, steps - 1)
        return all(
            bool(torch.autograd.grad(layer(x)[0, end, 0], x)[0].abs().min() > 0) for end in ends
        )

    for steps in (1, 2, 9, 30):
        blocks = tcn_blocks(steps, width, causal=causal)
        assert sees_all(blocks, steps)
        assert blocks == 1 or not sees_all(blocks - 1, steps)


@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_nothing(causal):
    x, mask = data()
    layer = make(causal)
    out = layer(x, mask)
    assert out.shape == (3, 20, layer.out_features)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(out[row, :length], layer(x[row : row + 1, :length])[0])
    assert not out[~mask].any()


def test_one_block_by_numpy():
    torch.manual_seed(0)
    layer = Tcn(2, [3, 3], 2).double()
    x = torch.randn(1, 9, 2, dtype=torch.float64)

    def conv(steps: np.ndarray, part: nn.Module, dilation: int) -> np.ndarray:
        g, v = part.parametrizations.weight.original0, part.parametrizations.weight.original1
        v, g = v.detach().numpy(), g.detach().numpy()
        weight = g * v / np.sqrt((v**2).sum(axis=(1, 2), keepdims=True))
        out = np.tile(part.bias.detach().numpy(), (len(steps), 1))
        for t in range(len(steps)):
            for tap in range(2):
                at = t - (1 - tap) * dilation
                if at >= 0:
                    out[t] += weight[:, :, tap] @ steps[at]
        return np.maximum(out, 0)

    y = x[0].numpy()
    for dilation, block in zip((1, 2), layer.blocks, strict=True):
        z = conv(conv(y, block.first, dilation), block.second, dilation)
        if block.skip is not None:
            skip = block.skip.weight[:, :, 0].detach().numpy()
            y = y @ skip.T + block.skip.bias.detach().numpy()
        y = np.maximum(z + y, 0)
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), y, atol=1e-12)


def test_gradients():
    layer = make(channels=(3, 2))
    x = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    mask = lengths_mask(torch.tensor([6, 4]), 6)
    assert torch.autograd.gradcheck(lambda x: layer(x, mask), x)


def test_he_initialisation_keeps_the_variance_through_the_blocks():
    x = torch.randn(4, 200, 16, generator=torch.Generator().manual_seed(0))
    spread = {}
    for start in ("paper", "he"):
        torch.manual_seed(0)
        layer = Tcn(16, [64] * 4, 4, start=start)
        spread[start] = float(layer(x).detach().square().mean())
        first = layer.blocks[1].first.weight
        variance = 2 / (64 * 4) if start == "he" else 1 / (3 * 64 * 4)
        assert float(first.detach().var()) == pytest.approx(variance, rel=0.1)
    assert spread["paper"] < 0.1 < 1 < spread["he"]


def test_invalid_arguments_are_refused():
    with pytest.raises(ValueError, match="start is 'zero', not paper or he"):
        Tcn(2, [3], 3, start="zero")
    with pytest.raises(ValueError, match="channels are \\[\\] and width is 3"):
        Tcn(2, [], 3)
    with pytest.raises(ValueError, match="width is 4, not odd"):
        Tcn(2, [3], 4, causal=False)
    with pytest.raises(ValueError, match="width is 1, the minimum is 2"):
        tcn_blocks(5, 1)
