"""The limit: how fast this machine takes the matrix products that the model cannot do without.

The convolution by table look-up needs no product, so what is left is the LSTM and the dense
layers. Their products are timed one by one at the model's own shapes, operands and results
already in memory, in each precision.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.harness.reference_model import Size

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Product:
    """``(m, k)`` by ``(k, n)``, ``times`` times in one batch."""

    name: str
    m: int
    k: int
    n: int
    times: int = 1

    @property
    def flop(self) -> int:
        """Operations in one batch."""
        return 2 * self.m * self.k * self.n * self.times


def products(size: Size, *, training: bool) -> list[Product]:
    """Every product of the LSTM and the dense layers for one batch.

    Training takes three for each: forward, the gradient of the input, that of the weight. The
    recurrent weight's gradient is one product over all steps.
    """
    batch, rows = size.batch, size.batch * size.steps
    gates, flat = 4 * size.hidden, size.steps * 2 * size.hidden
    forward = [
        Product("lstm input", rows, size.filters, gates, 2),
        Product("lstm recurrent", batch, size.hidden, gates, 2 * size.steps),
        Product("dense", batch, flat, size.dense),
        Product("output", batch, size.dense, size.tracks),
    ]
    if not training:
        return forward
    back = [
        Product("lstm input, gradient", rows, gates, size.filters, 2),
        Product("lstm recurrent, gradient", batch, gates, size.hidden, 2 * size.steps),
        Product("dense, gradient", batch, size.dense, flat),
        Product("output, gradient", batch, size.tracks, size.dense),
        Product("lstm input weight", gates, rows, size.filters, 2),
        Product("lstm recurrent weight", gates, rows, size.hidden, 2),
        Product("dense weight", size.dense, batch, flat),
        Product("output weight", size.tracks, batch, size.dense),
    ]
    return forward + back


class Limit:
    """A call that takes all products of a batch, and the seconds each of them took.

    Parameters
    ----------
    size
        The model and the batch.
    precision
        "fp32" or "bf16".
    training
        Products of a training step, not of a forward pass alone.
    """

    def __init__(self, size: Size, precision: str, *, training: bool) -> None:
        self.products = products(size, training=training)
        dtype = DTYPES[precision]
        self._work: list[tuple[Tensor, Tensor, Tensor]] = []
        for one in self.products:
            left = torch.rand(one.m, one.k).sub_(0.5).to(dtype)
            # A weight lies in memory as (out, in), as nn.Linear keeps it.
            right = torch.rand(one.n, one.k).sub_(0.5).to(dtype).t()
            self._work.append((left, right, torch.empty(one.m, one.n, dtype=dtype)))
        self.seconds: list[list[float]] = [[] for _ in self.products]

    @torch.inference_mode()
    def __call__(self) -> None:
        """Take every product as many times as one batch does."""
        for one, (left, right, out), spent in zip(
            self.products, self._work, self.seconds, strict=True
        ):
            begun = time.perf_counter()
            for _ in range(one.times):
                torch.mm(left, right, out=out)
            spent.append(time.perf_counter() - begun)

    @property
    def flop(self) -> int:
        """Operations of all products of one batch."""
        return sum(one.flop for one in self.products)

    def rates(self) -> dict[str, float]:
        """GFLOP/s of each product, of its fastest call."""
        return {
            one.name: one.flop / min(spent) / 1e9
            for one, spent in zip(self.products, self.seconds, strict=True)
        }

    def best_rate(self) -> float:
        """GFLOP/s of the fastest of the products that hold a tenth of the work or more."""
        rates = self.rates()
        return max(rates[one.name] for one in self.products if one.flop >= self.flop / 10)
