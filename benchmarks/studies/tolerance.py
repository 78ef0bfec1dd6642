"""What a tolerance gives and costs in mutagenesis, on a trained model.

    python -m benchmarks.studies.tolerance runs/seed1 runs/yeast.h5 [--out F.json]

Every single-base change of some test windows, one strand, fp32, at tolerance 0 and at rising ones,
in turn. The error is the largest difference of a probability from that at tolerance 0, over all
changes and tracks; windows with the most positive tracks are taken, where errors are largest.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.timing import alternate, machine
from benchmarks.speed.mutagenesis import changes
from danq._memory import kept_memory
from danq.datasets import Dataset
from danq.device import set_threads
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.models import load_model
from danq.models.run_options import DEFAULT_TOLERANCE, RunOptions

TOLERANCES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--windows", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    set_threads(args.threads)
    dataset = Dataset.open(args.data)
    test = dataset.indices("test")
    crowded = np.argsort(-dataset.labels(test).sum(axis=1), kind="stable")[: args.windows]
    codes = dataset.codes(test[crowded])
    with kept_memory():
        figures = measure(load_model(args.model).module, codes, args.rounds)
    print("| tolerance | times tolerance 0 | times plain | largest error | mean error |")
    print("|---|---|---|---|---|")
    for row in figures:
        print(
            f"| {row['tolerance']:g} | {row['speed']:.2f} | {row['to_plain']:.2f} | "
            f"{row['largest']:.1e} | {row['mean']:.1e} |"
        )
    if args.out:
        about = {"machine": machine(), "default": DEFAULT_TOLERANCE, "figures": figures}
        args.out.write_text(json.dumps(about, indent=1))


def measure(module: torch.nn.Module, codes: np.ndarray, rounds: int) -> list[dict[str, float]]:
    """Speed and errors of each tolerance."""
    windows = np.concatenate([changes(window) for window in codes])
    owner = np.repeat(np.arange(len(codes)), len(windows) // len(codes))
    engines = {
        tolerance: Incremental(module, RunOptions("cpu", "fp32", tolerance=tolerance))
        for tolerance in TOLERANCES
    }

    def probabilities(tolerance: float) -> np.ndarray:
        logits = engines[tolerance].logits(codes, windows, owner)[1]
        return torch.sigmoid(torch.from_numpy(logits)).numpy()

    exact = probabilities(0.0)
    errors = {one: np.abs(probabilities(one) - exact) for one in TOLERANCES}

    def plain() -> np.ndarray:
        return predict_codes(module, windows, RunOptions("cpu", "fp32", strand="forward"))

    spent = alternate(
        {"plain": plain} | {str(one): partial(probabilities, one) for one in TOLERANCES}, rounds
    )

    def ratio(name: str, tolerance: float) -> float:
        pairs = zip(spent[name], spent[str(tolerance)], strict=True)
        return float(np.median([base / own for base, own in pairs]))

    return [
        {
            "tolerance": one,
            "speed": ratio("0.0", one),
            "to_plain": ratio("plain", one),
            "largest": float(errors[one].max()),
            "mean": float(errors[one].mean()),
        }
        for one in TOLERANCES
    ]


if __name__ == "__main__":
    main()
