"""How much results depend on threads, batch size, precision and device.

    python -m benchmarks.determinism [--model RUN] [--out FILE.json]

The reference is fp32 on the CPU with one thread and batches of 512. Each row compares another
setting with it on the same windows: the share of equal bits, and the largest difference of a
probability and of its log2 odds. Half of the windows are the others with one base changed; the last
column is the largest difference of the effect of that change in log2 odds. The last rows train a
small model twice. Without --model, the model is danq-small with 64 tracks, 500 bp and random
weights.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.synthetic_data import random_dataset
from danq.core import CnnRnn
from danq.inference.engine.forward import predict_codes
from danq.models import RunOptions, architecture, build_module, load_model, untrained
from danq.training.optimizer import build_optimizer
from danq.training.recipe import Recipe

REFERENCE = RunOptions("cpu", "fp32", batch_size=512, threads=1)
SETTINGS: dict[str, dict[str, Any]] = {
    "again": {},
    "2 threads": {"threads": 2},
    "batches of 1": {"batch_size": 1},
    "batches of 7": {"batch_size": 7},
    "batches of 64": {"batch_size": 64},
    "bf16": {"precision": "bf16"},
    "bf16, 2 threads": {"precision": "bf16", "threads": 2},
    "bf16, batches of 7": {"precision": "bf16", "batch_size": 7},
    "GPU, fp32": {"device": "cuda"},
    "GPU, bf16": {"device": "cuda", "precision": "bf16"},
}
"""Each setting with its difference from the reference."""


def windows(count: int, length: int, seed: int = 0) -> np.ndarray:
    """Random windows, each followed by a copy with another base in the middle."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (count, length), dtype=np.uint8)
    mutated = codes.copy()
    mutated[:, length // 2] = (mutated[:, length // 2] + 1) % 4
    return np.stack([codes, mutated], axis=1).reshape(2 * count, length)


def log2_odds(probabilities: np.ndarray) -> np.ndarray:
    """Log2 odds in float64."""
    p = np.clip(probabilities.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log2(p / (1 - p))


def differences(got: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Share of equal bits, and the largest differences."""
    odds, reference = log2_odds(got), log2_odds(expected)
    effects, others = odds[1::2] - odds[::2], reference[1::2] - reference[::2]
    return {
        "equal": float((got == expected).mean()),
        "probability": float(np.abs(got.astype(np.float64) - expected).max()),
        "log2_odds": float(np.abs(odds - reference).max()),
        "effect": float(np.abs(effects - others).max()),
    }


def trained(threads: int, steps: int) -> CnnRnn:
    """A small model after some training steps on random data."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    dataset = random_dataset(1 << 20, 64 * steps, 16, window=500)
    module = build_module(architecture("danq-small"), 16, 500)
    optimizer = build_optimizer(module, Recipe(lr=1e-3))
    for step in range(steps):
        rows = np.arange(64 * step, 64 * (step + 1))
        torch.manual_seed(step)
        logits = module(torch.from_numpy(dataset.codes(rows)))
        labels = torch.from_numpy(dataset.labels(rows)).float()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return module.eval()


def measure(module: CnnRnn, codes: np.ndarray) -> dict[str, dict[str, float]]:
    """Differences of every setting that this machine has."""
    expected = predict_codes(module, codes, REFERENCE)
    rows = {}
    for name, changes in SETTINGS.items():
        if changes.get("device") == "cuda" and not torch.cuda.is_available():
            continue
        got = predict_codes(module, codes, replace(REFERENCE, **changes))
        rows[name] = differences(got, expected)
    return rows


def main() -> None:
    """Measure every setting and print the table."""
    parser = make_parser(__doc__, "out")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    if args.model is None:
        torch.manual_seed(0)
        names = tuple(f"track{number}" for number in range(64))
        model = untrained("danq-small", architecture("danq-small"), names, 500, 200)
    else:
        model = load_model(args.model)
    rows = measure(model.module, windows(args.windows, model.window))
    codes = windows(args.windows, 500)
    expected = predict_codes(trained(1, args.steps), codes, REFERENCE)
    for threads in (1, 2):
        got = predict_codes(trained(threads, args.steps), codes, REFERENCE)
        name = f"trained for {args.steps} steps, {threads} thread" + "s" * (threads > 1)
        rows[name] = differences(got, expected)
    cells = [
        [name, f"{row['equal']:.2%}", *(f"{row[key]:.1e}" for key in list(row)[1:])]
        for name, row in rows.items()
    ]
    header = ["setting", "equal bits", "probability", "log2 odds", "effect of a variant"]
    print(markdown_table(header, cells))
    write_json(args.out, {"measurements": rows})


if __name__ == "__main__":
    main()
