"""Convolution, ReLU and max-pool: danq's table look-up on codes against torch's layers.

Both use the same filters and windows. torch's layers read one-hot floats, whose preparation is
not timed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness.reference_model import (
    QUICK,
    ModelSize,
    copy_weights,
    difference,
    gradient_difference,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import SubprocessCall
from benchmarks.harness.timing import Measurement, speedup, time_alternately
from danq.core import OneHotConv


def measure(*, quick: bool = False, repeats: int = 5) -> list[Measurement]:
    """Speed-up of the forward pass, and of forward and backward, on one batch."""
    size = QUICK if quick else ModelSize()
    torch.manual_seed(0)
    reference, module = torch_layers(size), OneHotConv(size.filters, size.width, pool=size.pool)
    copy_weights(reference, module)
    codes = random_codes(size, size.batch)
    x = torch.from_numpy(codes)
    gradient = torch.randn(size.batch, size.steps, size.filters)
    # Each layer gets the gradient in its own layout, so that no time is spent on a transpose.
    turned = gradient.transpose(1, 2).contiguous()
    one, other = reference(one_hot(codes)), module(x)
    one.backward(turned)
    other.backward(gradient)
    worst = gradient_difference(reference, module)
    seconds = time_alternately(
        {
            "reference": SubprocessCall(reference_call, size, codes, None),
            "danq": lambda: forward(module, x),
            "reference, backward": SubprocessCall(reference_call, size, codes, turned),
            "danq, backward": lambda: backward(module, x, gradient),
        },
        repeats,
    )
    return [
        speedup(
            "forward",
            seconds["reference"],
            seconds["danq"],
            target=12.0,
            details={"largest_difference": difference(one.transpose(1, 2), other)},
        ),
        speedup(
            "forward and backward",
            seconds["reference, backward"],
            seconds["danq, backward"],
            target=15.0,
            details={"largest_gradient_difference": worst},
        ),
    ]


def torch_layers(size: ModelSize) -> nn.Sequential:
    """The reference model's first layers."""
    return nn.Sequential(nn.Conv1d(4, size.filters, size.width), nn.ReLU(), nn.MaxPool1d(size.pool))


def reference_call(
    size: ModelSize, codes: np.ndarray, gradient: Tensor | None
) -> Callable[[], object]:
    """A forward pass of torch's layers; with a gradient, forward and backward."""
    layers, hot = torch_layers(size), one_hot(codes)
    if gradient is None:
        return lambda: forward(layers, hot)
    return lambda: backward(layers, hot, gradient)


@torch.inference_mode()
def forward(module: nn.Module, x: Tensor) -> Tensor:
    """A forward pass without gradients."""
    return module(x)


def backward(module: nn.Module, x: Tensor, gradient: Tensor) -> None:
    """A forward pass, and the gradients of weight and bias."""
    module.zero_grad(set_to_none=True)
    module(x).backward(gradient)
