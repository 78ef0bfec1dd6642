"""Saturation mutagenesis of one sequence: exact increments against every window by itself.

    python -m benchmarks.speed.mutagenesis [--quick]

All single-base changes of 1000 bases, 3,001 windows with the unchanged one, one strand. The
yardstick and danq's plain engine evaluate every window; danq's mutagenesis computes once what the
windows share, at tolerance 0.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness.reference_model import (
    QUICK,
    Size,
    danq_model,
    matched,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import Apart
from benchmarks.harness.timing import Row, alternate, compare
from benchmarks.speed.inference import run, yardstick
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.inference.mutagenesis.mutate import mutate
from danq.models.run_options import RunOptions

PART = "mutagenesis"
YARDSTICK = {"fp32": 3.3, "bf16": 6.0}
PLAIN = {"fp32": 1.8, "bf16": None}


def measure(*, quick: bool = False, rounds: int = 5) -> list[Row]:
    """Ratios to the yardstick and to danq's plain engine, and the largest difference."""
    size = QUICK if quick else Size()
    plain, module = matched(size, dropout=False)
    plain.eval()
    model = danq_model(size, module)
    codes = random_codes(size, 1, unknown=0)
    windows = np.concatenate([codes, changes(codes[0])])

    def increments(precision: str) -> np.ndarray:
        return mutate(
            model, codes[0], strand="forward", tolerance=0.0, device="cpu", precision=precision
        )

    def each(precision: str) -> np.ndarray:
        return predict_codes(module, windows, RunOptions("cpu", precision, strand="forward"))

    expected = run(plain, one_hot(windows), size.batch)
    engine = Incremental(module, RunOptions("cpu", "fp32", tolerance=0.0))
    _, logits = engine.logits(codes, windows, np.zeros(len(windows), np.int64))
    off = float(np.abs(torch.logit(expected.double()).numpy() - logits).max())
    spent = alternate(
        {
            "yardstick": Apart(yardstick, size, windows, "fp32"),
            **{f"plain {name}": lambda name=name: each(name) for name in YARDSTICK},
            **{name: lambda name=name: increments(name) for name in YARDSTICK},
        },
        rounds,
    )
    rows = []
    for name, target in YARDSTICK.items():
        against = f"{name}, against the yardstick in fp32"
        rows.append(compare(PART, against, spent["yardstick"], spent[name], target=target))
        rows[-1].details = {"windows": len(windows), "all_s": spent[name]}
        against = f"{name}, against the plain engine in {name}"
        rows.append(compare(PART, against, spent[f"plain {name}"], spent[name], target=PLAIN[name]))
    rows.append(Row(PART, "fp32, largest difference of logits", off, "", target=2e-6, at_most=True))
    return rows


def changes(codes: np.ndarray) -> np.ndarray:
    """``(3 L, L)`` windows, each with one base changed."""
    length = len(codes)
    rows = np.repeat(codes[None], 3 * length, axis=0)
    place = np.repeat(np.arange(length), 3)
    rows[np.arange(3 * length), place] = (codes[place] + np.tile([1, 2, 3], length)) % 4
    return rows


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
