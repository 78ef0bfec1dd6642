"""Inference: danq in fp32 and bf16 against the reference model and against the limit.

danq reads codes and returns probabilities as numpy arrays (`predict_codes`). The reference model
reads one-hot floats, whose preparation is not timed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.harness.reference_model import (
    QUICK,
    ModelSize,
    ReferenceModel,
    matched_models,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import SubprocessCall
from benchmarks.harness.timing import Measurement
from benchmarks.speed.matrix_products import Targets, measure_precisions
from danq.device import Precision, autocast
from danq.inference.engine.forward import predict_codes
from danq.models.run_options import RunOptions

TARGETS: dict[Precision, Targets] = {
    "fp32": Targets(1.45, percent_of_limit=80.0),
    "bf16": Targets(2.6, goal=3.2, percent_of_limit=65.0),
}


def measure(*, quick: bool = False, repeats: int = 5) -> list[Measurement]:
    """Speed-up and percentage of the limit for several batches in one call."""
    size, batches = (QUICK, 2) if quick else (ModelSize(), 4)
    reference, module = matched_models(size)
    codes = random_codes(size, batches * size.batch)

    def danq(precision: Precision) -> np.ndarray:
        return predict_codes(
            module,
            codes,
            RunOptions("cpu", precision, batch_size=size.batch, strand="forward"),
        )

    expected = predict(reference.eval(), one_hot(codes), size.batch, "fp32").numpy()
    differences = {
        name: {"largest_difference": float(np.abs(danq(name) - expected).max())} for name in TARGETS
    }
    calls = {
        **{
            f"reference {name}": SubprocessCall(reference_call, size, codes, name)
            for name in TARGETS
        },
        **{name: lambda name=name: danq(name) for name in TARGETS},
    }
    return measure_precisions(
        size, calls, TARGETS, differences, batches=batches, training=False, repeats=repeats
    )


def reference_call(
    size: ModelSize, codes: np.ndarray, precision: Precision
) -> Callable[[], torch.Tensor]:
    """A call of the reference model on one-hot windows that are ready."""
    reference, hot = matched_models(size)[0].eval(), one_hot(codes)
    return lambda: predict(reference, hot, size.batch, precision)


@torch.inference_mode()
def predict(
    reference: ReferenceModel, hot: torch.Tensor, batch: int, precision: Precision
) -> torch.Tensor:
    """The reference model's probabilities, batch by batch."""
    with autocast(hot.device, precision):
        return torch.cat([torch.sigmoid(reference(part).float()) for part in hot.split(batch)])
