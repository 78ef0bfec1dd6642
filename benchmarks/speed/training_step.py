"""A training step of DanQ: forward, loss, backward and optimiser step, against the yardstick.

    python -m benchmarks.speed.training_step [--quick]

A call takes a few steps in a row, danq's under `danq._memory.kept_memory` as `danq train` does.

Both take the same fused AdamW with the same settings, so the ratio owes nothing to the optimiser.
The yardstick computes in eager float32 on one-hot floats that are ready.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.harness.reference_model import (
    QUICK,
    Size,
    difference,
    matched,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import Apart
from benchmarks.harness.timing import Row, alternate, compare, share
from benchmarks.speed.inference import of_limit
from benchmarks.speed.matrix_products import Limit
from danq._memory import kept_memory
from danq.core import CnnRnn
from danq.device import Precision, autocast

PART = "training step"
ASKED: dict[Precision, tuple[float, float]] = {"fp32": (1.7, 2.0), "bf16": (3.2, 4.0)}
STEPS = 4
CPU = torch.device("cpu")


def measure(*, quick: bool = False, rounds: int = 5) -> list[Row]:
    """Ratios and shares of the limit of one step on one batch."""
    size = QUICK if quick else Size()
    codes = random_codes(size, size.batch)
    labels = (torch.rand(size.batch, size.tracks) < 0.02).float()
    off = {name: agreement(size, name) for name in ASKED}
    x = torch.from_numpy(codes)
    limits = {name: Limit(size, name, training=True) for name in ASKED}
    ours, other = matched(size)[1], matched(size)[1]
    calls: dict[str, Callable[[], object]] = {
        "yardstick": Apart(yardstick, size, codes, labels, "fp32"),
        "yardstick bf16": Apart(yardstick, size, codes, labels, "bf16"),
        "fp32": step(ours, x, labels, "fp32"),
        "bf16": step(other, x, labels, "bf16"),
        **{f"{name} limit": limit for name, limit in limits.items()},
    }
    spent = {
        name: [one / (1 if name.endswith("limit") else STEPS) for one in times]
        for name, times in alternate(calls, rounds).items()
    }
    rows = []
    for name, (target, goal) in ASKED.items():
        row = compare(PART, name, spent["yardstick"], spent[name], target=target, goal=goal)
        row.details = {
            "windows_per_second": size.batch / (row.ours or 1),
            **off[name],
            "all_s": spent[name],
            "yardstick_all_s": spent["yardstick"],
        }
        rows.append(row)
        row = share(PART, f"{name}, of the limit", spent[f"{name} limit"], spent[name])
        work = 3 * (size.lstm_flop + size.dense_flop)
        row.details = of_limit(limits[name], work, size.batch, row)
        rows.append(row)
    against = "bf16 against the yardstick under bf16 autocast"
    rows.append(compare(PART, against, spent["yardstick bf16"], spent["bf16"]))
    return rows


def yardstick(
    size: Size, codes: np.ndarray, labels: Tensor, precision: Precision
) -> Callable[[], object]:
    """Steps of the yardstick, its one-hot input ready."""
    return step(matched(size)[0], one_hot(codes), labels, precision)


def step(
    module: nn.Module, x: Tensor, labels: Tensor, precision: Precision
) -> Callable[[], object]:
    """A call that takes `STEPS` steps of training on one batch."""
    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, weight_decay=1e-2, fused=True)

    def call() -> None:
        with kept_memory() if isinstance(module, CnnRnn) else nullcontext():
            for _ in range(STEPS):
                optimizer.zero_grad(set_to_none=True)
                with autocast(x.device, precision):
                    logits = module(x)
                F.binary_cross_entropy_with_logits(logits.float(), labels).backward()
                optimizer.step()

    return call


def agreement(size: Size, precision: Precision) -> dict[str, float]:
    """Largest differences of loss and gradients from the yardstick's, dropout off.

    Gradients are compared parameter by parameter, each difference divided by the yardstick's
    largest gradient of that parameter.
    """
    plain, ours = matched(size, dropout=False)
    codes = random_codes(size, size.batch)
    labels = (torch.rand(size.batch, size.tracks) < 0.02).float()
    loss = F.binary_cross_entropy_with_logits(plain(one_hot(codes)), labels)
    loss.backward()
    with autocast(CPU, precision):
        logits = ours(torch.from_numpy(codes))
    own = F.binary_cross_entropy_with_logits(logits.float(), labels)
    own.backward()
    worst = 0.0
    for one, other in zip(plain.parameters(), ours.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        scale = float(one.grad.abs().max()) or 1.0
        worst = max(worst, difference(one.grad, other.grad) / scale)
    return {"loss_difference": difference(loss, own), "largest_gradient_difference": worst}


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
