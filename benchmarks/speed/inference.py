"""Forward passes of DanQ: danq in fp32 and bf16 against the yardstick, and against the limit.

    python -m benchmarks.speed.inference [--quick]

danq reads codes and gives probabilities in numpy, through `danq.inference.predict_codes`. The
yardstick reads one-hot floats that are ready; making them is not counted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.harness.reference_model import (
    QUICK,
    Size,
    Yardstick,
    matched,
    one_hot,
    random_codes,
)
from benchmarks.harness.subprocess_call import Apart
from benchmarks.harness.timing import Row, alternate, compare, share
from benchmarks.speed.matrix_products import Limit
from danq.inference.engine.forward import predict_codes
from danq.models.run_options import RunOptions

PART = "inference"
ASKED = {"fp32": (1.45, None), "bf16": (2.6, 3.2)}
OF_LIMIT = {"fp32": 80.0, "bf16": 65.0}


def measure(*, quick: bool = False, rounds: int = 5) -> list[Row]:
    """Ratios and shares of the limit; batches in a row, each model keeping its weights."""
    size, batches = (QUICK, 2) if quick else (Size(), 4)
    plain, ours = matched(size)
    plain.eval()
    codes = random_codes(size, batches * size.batch)
    limits = {precision: Limit(size, precision, training=False) for precision in ASKED}

    def danq(precision: str) -> np.ndarray:
        return predict_codes(
            ours,
            codes,
            RunOptions("cpu", precision, batch_size=size.batch, strand="forward"),
        )

    expected = run(plain, one_hot(codes), size.batch).numpy()
    off = {name: float(np.abs(danq(name) - expected).max()) for name in ASKED}
    spent = alternate(
        {
            "yardstick": Apart(yardstick, size, codes, "fp32"),
            "yardstick bf16": Apart(yardstick, size, codes, "bf16"),
            **{name: lambda name=name: danq(name) for name in ASKED},
            **{f"{name} limit": limit for name, limit in limits.items()},
        },
        rounds,
    )
    rows = []
    for name, (target, goal) in ASKED.items():
        rows.append(compare(PART, name, spent["yardstick"], spent[name], target=target, goal=goal))
        rows[-1].details = {
            "windows_per_second": len(codes) / (rows[-1].ours or 1),
            "largest_difference": off[name],
            "all_s": spent[name],
            "yardstick_all_s": spent["yardstick"],
        }
        limit = limits[name]
        # One call of the limit is one batch.
        least = [batches * seconds for seconds in spent[f"{name} limit"]]
        rows.append(share(PART, f"{name}, of the limit", least, spent[name], target=OF_LIMIT[name]))
        rows[-1].details = of_limit(limit, size.lstm_flop + size.dense_flop, len(codes), rows[-1])
    rows.append(
        compare(
            PART,
            "bf16 against the yardstick under bf16 autocast",
            spent["yardstick bf16"],
            spent["bf16"],
        )
    )
    return rows


def of_limit(limit: Limit, flop_per_window: int, windows: int, row: Row) -> dict[str, object]:
    """What the limit was made of; beside it, the share had all products the best one's rate."""
    best = limit.best_rate()
    ideal = windows * flop_per_window / best / 1e9
    return {
        "gflop_per_window": flop_per_window / 1e9,
        "gflop_per_second": limit.rates(),
        "best_gflop_per_second": best,
        "percent_of_limit_at_the_best_rate": 100 * ideal / (row.ours or 1),
    }


def yardstick(size: Size, codes: np.ndarray, precision: str) -> Callable[[], torch.Tensor]:
    """A call of the yardstick on windows, batch by batch, its one-hot input ready."""
    plain, hot = matched(size)[0].eval(), one_hot(codes)
    return lambda: (run if precision == "fp32" else run_bf16)(plain, hot, size.batch)


@torch.inference_mode()
def run(model: Yardstick, hot: torch.Tensor, batch: int) -> torch.Tensor:
    """The yardstick's probabilities, batch by batch."""
    return torch.cat([torch.sigmoid(model(part)) for part in hot.split(batch)])


@torch.inference_mode()
def run_bf16(model: Yardstick, hot: torch.Tensor, batch: int) -> torch.Tensor:
    """The same under bf16 autocast."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return torch.cat([torch.sigmoid(model(part).float()) for part in hot.split(batch)])


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
