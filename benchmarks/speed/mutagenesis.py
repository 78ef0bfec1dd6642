"""In silico mutagenesis of one sequence: exact incremental evaluation against full evaluation.

All single-base changes of 1000 bases are scored on one strand: 3,001 windows, including the
unchanged one. The reference model and `predict_codes` evaluate every window. danq's mutagenesis
reuses what the windows share, at tolerance 0.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness.reference_model import (
    QUICK,
    ModelSize,
    danq_model,
    matched_models,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import SubprocessCall
from benchmarks.harness.timing import Measurement, speedup, time_alternately
from benchmarks.speed.inference import predict, reference_call
from danq.device import Precision
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.inference.mutagenesis.mutate import mutate
from danq.models.run_options import RunOptions

REFERENCE_TARGETS: dict[Precision, float] = {"fp32": 3.3, "bf16": 6.0}
FULL_TARGETS: dict[Precision, float | None] = {"fp32": 1.8, "bf16": None}


def measure(*, quick: bool = False, repeats: int = 5) -> list[Measurement]:
    """Speed-up over the reference model and over full evaluation, and the largest difference."""
    size = QUICK if quick else ModelSize()
    reference, module = matched_models(size, dropout=False)
    model = danq_model(size, module)
    codes = random_codes(size, 1, unknown=0)
    windows = np.concatenate([codes, single_base_changes(codes[0])])

    def incremental(precision: Precision) -> object:
        options = {"device": "cpu", "strand": "forward", "tolerance": 0.0}
        return mutate(model.with_options(precision=precision, **options), codes)

    def full(precision: Precision) -> np.ndarray:
        return predict_codes(module, windows, RunOptions("cpu", precision, strand="forward"))

    expected = predict(reference.eval(), one_hot(windows), size.batch, "fp32")
    engine = Incremental(module, RunOptions("cpu", "fp32", tolerance=0.0))
    _, logits = engine.logits(codes, windows, np.zeros(len(windows), np.int64))
    largest = float(np.abs(torch.logit(expected.double()).numpy() - logits).max())
    seconds = time_alternately(
        {
            "reference": SubprocessCall(reference_call, size, windows, "fp32"),
            **{f"full {name}": lambda name=name: full(name) for name in FULL_TARGETS},
            **{name: lambda name=name: incremental(name) for name in FULL_TARGETS},
        },
        repeats,
    )
    rows = []
    for name, target in REFERENCE_TARGETS.items():
        own = seconds[name]
        rows += [
            speedup(
                f"{name} against reference model in fp32",
                seconds["reference"],
                own,
                target=target,
                details={"windows": len(windows), "all_seconds": own},
            ),
            speedup(
                f"{name} against full evaluation in {name}",
                seconds[f"full {name}"],
                own,
                target=FULL_TARGETS[name],
            ),
        ]
    largest_row = Measurement(
        "largest difference of logits in fp32", largest, "", target=2e-6, at_most=True
    )
    return [*rows, largest_row]


def single_base_changes(codes: np.ndarray) -> np.ndarray:
    """``(3 L, L)`` windows, each with one base changed."""
    length = len(codes)
    rows = np.repeat(codes[None], 3 * length, axis=0)
    position = np.repeat(np.arange(length), 3)
    rows[np.arange(3 * length), position] = (codes[position] + np.tile([1, 2, 3], length)) % 4
    return rows
