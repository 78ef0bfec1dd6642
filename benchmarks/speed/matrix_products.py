"""Measure a model's speed against the reference model and against its matrix products.

The convolution is a table look-up and needs no matrix product; the LSTM and the dense layers do.
Their products are timed one by one in the model's own shapes, with operands and results already in
memory. The sum of these times is the limit of the model's speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.harness.reference_model import ModelSize
from benchmarks.harness.timing import Measurement, speedup, summarise, time_alternately

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Product:
    """``(m, k)`` by ``(k, n)``, ``times`` times per batch."""

    name: str
    m: int
    k: int
    n: int
    times: int = 1

    @property
    def flop(self) -> int:
        """Operations per batch."""
        return 2 * self.m * self.k * self.n * self.times


def products(size: ModelSize, *, training: bool) -> list[Product]:
    """Every product of the LSTM and the dense layers for one batch.

    Training takes three for each: the forward product and the gradients of the input and of the
    weight. The recurrent weight's gradient is one product over all steps.
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
    backward = [
        Product("lstm input, gradient", rows, gates, size.filters, 2),
        Product("lstm recurrent, gradient", batch, gates, size.hidden, 2 * size.steps),
        Product("dense, gradient", batch, size.dense, flat),
        Product("output, gradient", batch, size.tracks, size.dense),
        Product("lstm input weight", gates, rows, size.filters, 2),
        Product("lstm recurrent weight", gates, rows, size.hidden, 2),
        Product("dense weight", size.dense, batch, flat),
        Product("output weight", size.tracks, batch, size.dense),
    ]
    return forward + backward


class MatrixProducts:
    """A call that computes all products of a batch and records the time of each.

    Parameters
    ----------
    size
        The model and the batch.
    precision
        "fp32" or "bf16".
    training
        Include the products of the backward pass.
    """

    def __init__(self, size: ModelSize, precision: str, *, training: bool) -> None:
        self.products = products(size, training=training)
        dtype = DTYPES[precision]
        self._operands: list[tuple[Tensor, Tensor, Tensor]] = []
        for one in self.products:
            left = torch.rand(one.m, one.k).sub_(0.5).to(dtype)
            # nn.Linear stores a weight as (out, in).
            right = torch.rand(one.n, one.k).sub_(0.5).to(dtype).t()
            self._operands.append((left, right, torch.empty(one.m, one.n, dtype=dtype)))
        self.seconds: list[list[float]] = [[] for _ in self.products]

    @torch.inference_mode()
    def __call__(self) -> None:
        """Compute every product as often as one batch does."""
        for one, (left, right, out), seconds in zip(
            self.products, self._operands, self.seconds, strict=True
        ):
            start = time.perf_counter()
            for _ in range(one.times):
                torch.mm(left, right, out=out)
            seconds.append(time.perf_counter() - start)

    def details(self, seconds_per_batch: float) -> dict[str, Any]:
        """Rates of the products, and the share of the limit at the rate of the fastest product.

        The fastest is taken among the products with at least a tenth of the operations.
        """
        flop = sum(one.flop for one in self.products)
        rates = {
            one.name: one.flop / min(seconds) / 1e9
            for one, seconds in zip(self.products, self.seconds, strict=True)
        }
        best = max(rates[one.name] for one in self.products if one.flop >= flop / 10)
        return {
            "gflop_per_batch": flop / 1e9,
            "gflop_per_second": rates,
            "best_gflop_per_second": best,
            "percent_of_limit_at_best_rate": 100 * flop / best / 1e9 / seconds_per_batch,
        }


class Targets(NamedTuple):
    """Required and desired speed-up, and required percentage of the limit."""

    speedup: float
    goal: float | None = None
    percent_of_limit: float | None = None


def measure_precisions(
    size: ModelSize,
    calls: Mapping[str, Callable[[], object]],
    targets: Mapping[str, Targets],
    differences: Mapping[str, dict[str, float]],
    *,
    batches: int,
    training: bool,
    repeats: int,
) -> list[Measurement]:
    """Speed-up and percentage of the limit in each precision.

    Parameters
    ----------
    calls
        danq under the name of each precision and the reference model as "reference PRECISION".
    targets, differences
        Targets and differences from the reference model by precision.
    batches
        Batches in a call.
    """
    limits = {name: MatrixProducts(size, name, training=training) for name in targets}
    seconds = time_alternately(
        {**calls, **{f"limit {name}": limit for name, limit in limits.items()}}, repeats
    )
    for name in calls:
        seconds[name] = [one / batches for one in seconds[name]]
    baseline = seconds["reference fp32"]
    rows = []
    for name, target in targets.items():
        own = seconds[name]
        row = speedup(
            f"{name} against reference model in fp32",
            baseline,
            own,
            target=target.speedup,
            goal=target.goal,
        )
        assert row.seconds is not None
        row.details = {
            "windows_per_second": size.batch / row.seconds,
            **differences[name],
            "batch_seconds": own,
            "reference_batch_seconds": baseline,
        }
        shares = [100 * a / b for a, b in zip(seconds[f"limit {name}"], own, strict=True)]
        share = summarise(
            f"{name}, percentage of limit",
            shares,
            "%",
            target=target.percent_of_limit,
            details=limits[name].details(row.seconds),
        )
        rows += [row, share]
    rows.append(
        speedup("bf16 against reference model in bf16", seconds["reference bf16"], seconds["bf16"])
    )
    return rows
