"""Convolution, ReLU and max-pool: danq's look-up over codes against torch's layers.

    python -m benchmarks.speed.convolution [--quick]

The same filters and the same windows; torch's layers get one-hot floats that are ready.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness.reference_model import QUICK, Size, difference, one_hot, random_codes
from benchmarks.harness.subprocess_call import Apart
from benchmarks.harness.timing import Row, alternate, compare
from danq.core import OneHotConv

PART = "conv + ReLU + pool"


def measure(*, quick: bool = False, rounds: int = 5) -> list[Row]:
    """Ratios of the forward pass, and of forward and backward, on one batch."""
    size = QUICK if quick else Size()
    torch.manual_seed(0)
    plain = layers(size)
    ours = OneHotConv(size.filters, size.width, pool=size.pool)
    with torch.no_grad():
        for source, target in zip(plain.parameters(), ours.parameters(), strict=True):
            target.copy_(source)
    codes = random_codes(size, size.batch)
    hot, x = one_hot(codes), torch.from_numpy(codes)
    upstream = torch.randn(size.batch, size.steps, size.filters)
    off = agreement(plain, ours, hot, x, upstream)
    # Each layer gets the gradient in its own layout, so that neither pays for a transpose.
    turned = upstream.transpose(1, 2).contiguous()
    spent = alternate(
        {
            "plain": Apart(yardstick, size, codes, None),
            "ours": lambda: forward(ours, x),
            "plain, back": Apart(yardstick, size, codes, turned),
            "ours, back": lambda: backward(ours, x, upstream),
        },
        rounds,
    )
    rows = [
        compare(PART, "forward", spent["plain"], spent["ours"], target=12.0),
        compare(PART, "forward + backward", spent["plain, back"], spent["ours, back"], target=15.0),
    ]
    rows[0].details = {"largest_difference": off[0]}
    rows[1].details = {"largest_gradient_difference": off[1]}
    return rows


def layers(size: Size) -> nn.Sequential:
    """The yardstick's first layers."""
    return nn.Sequential(nn.Conv1d(4, size.filters, size.width), nn.ReLU(), nn.MaxPool1d(size.pool))


def yardstick(size: Size, codes: np.ndarray, upstream: Tensor | None) -> Callable[[], object]:
    """A call of them, forward, or with a gradient forward and backward; one-hot input ready."""
    plain, hot = layers(size), one_hot(codes)
    if upstream is None:
        return lambda: forward(plain, hot)
    return lambda: backward(plain, hot, upstream)


def forward(module: nn.Module, x: Tensor) -> Tensor:
    """A forward pass that keeps nothing for a backward one."""
    with torch.inference_mode():
        return module(x)


def backward(module: nn.Module, x: Tensor, upstream: Tensor) -> None:
    """Forward, and the gradients of weight and bias."""
    module.zero_grad(set_to_none=True)
    module(x).backward(upstream)


def agreement(
    plain: nn.Module, ours: nn.Module, hot: Tensor, x: Tensor, upstream: Tensor
) -> tuple[float, float]:
    """Largest difference of outputs, and of gradients as a share of the largest gradient."""
    one, other = plain(hot).transpose(1, 2), ours(x)
    one.backward(upstream)
    other.backward(upstream)
    worst = 0.0
    for left, right in zip(plain.parameters(), ours.parameters(), strict=True):
        assert left.grad is not None
        assert right.grad is not None
        worst = max(worst, difference(left.grad, right.grad) / float(left.grad.abs().max()))
    return difference(one, other), worst


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
