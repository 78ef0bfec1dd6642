"""Training step: forward, loss, backward and optimiser, against the reference model.

Each call takes a few steps. danq's run with kept memory (`danq._memory.kept_memory`), as in
training. Both models use the same fused AdamW. The reference model reads one-hot floats, whose
preparation is not timed.
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
    ModelSize,
    difference,
    gradient_difference,
    matched_models,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import SubprocessCall
from benchmarks.harness.timing import Measurement
from benchmarks.speed.matrix_products import Targets, measure_precisions
from danq._memory import kept_memory
from danq.core import CnnRnn
from danq.device import Precision, autocast

TARGETS: dict[Precision, Targets] = {
    "fp32": Targets(1.7, goal=2.0),
    "bf16": Targets(3.2, goal=4.0),
}
STEPS = 4


def measure(*, quick: bool = False, repeats: int = 5) -> list[Measurement]:
    """Speed-up and percentage of the limit for steps on one batch."""
    size = QUICK if quick else ModelSize()
    codes = random_codes(size, size.batch)
    labels = (torch.rand(size.batch, size.tracks) < 0.02).float()
    differences = {name: differences_from_reference(size, name) for name in TARGETS}
    calls = {
        **{
            f"reference {name}": SubprocessCall(reference_steps, size, codes, labels, name)
            for name in TARGETS
        },
        **{
            name: training_steps(matched_models(size)[1], torch.from_numpy(codes), labels, name)
            for name in TARGETS
        },
    }
    return measure_precisions(
        size, calls, TARGETS, differences, batches=STEPS, training=True, repeats=repeats
    )


def reference_steps(
    size: ModelSize, codes: np.ndarray, labels: Tensor, precision: Precision
) -> Callable[[], None]:
    """Training steps of the reference model on one-hot windows that are ready."""
    return training_steps(matched_models(size)[0], one_hot(codes), labels, precision)


def training_steps(
    module: nn.Module, x: Tensor, labels: Tensor, precision: Precision
) -> Callable[[], None]:
    """A call that takes `STEPS` training steps on one batch."""
    module.train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, weight_decay=1e-2, fused=True)

    def call() -> None:
        with kept_memory() if isinstance(module, CnnRnn) else nullcontext():
            for _ in range(STEPS):
                train_step(module, optimizer, x, labels, precision)

    return call


def train_step(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    labels: Tensor,
    precision: Precision,
) -> Tensor:
    """One training step; returns the loss."""
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(module, x, labels, precision)
    loss.backward()
    optimizer.step()
    return loss.detach()


def loss_of(module: nn.Module, x: Tensor, labels: Tensor, precision: Precision) -> Tensor:
    """Binary cross-entropy, its model computed in a precision."""
    with autocast(x.device, precision):
        logits = module(x)
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


def differences_from_reference(size: ModelSize, precision: Precision) -> dict[str, float]:
    """Largest differences of loss and gradients from the reference model's, without dropout."""
    reference, module = matched_models(size, dropout=False)
    codes = random_codes(size, size.batch)
    labels = (torch.rand(size.batch, size.tracks) < 0.02).float()
    losses = (
        loss_of(reference, one_hot(codes), labels, "fp32"),
        loss_of(module, torch.from_numpy(codes), labels, precision),
    )
    for loss in losses:
        loss.backward()
    return {
        "loss_difference": difference(*losses),
        "largest_gradient_difference": gradient_difference(reference, module),
    }
