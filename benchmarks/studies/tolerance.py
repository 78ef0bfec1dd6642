"""Speed and error of mutagenesis at several tolerances, on a trained model.

    python -m benchmarks.studies.tolerance runs/seed1 runs/yeast.h5 [--out FILE.json]

Scores every single-base change of some test windows on one strand in fp32. The error is the largest
difference of a probability from that at tolerance 0, over all changes and tracks. The windows are
those with the most positive tracks, where errors are largest.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.timing import speedup, time_alternately
from benchmarks.speed.mutagenesis import single_base_changes
from danq._memory import kept_memory
from danq.datasets import Dataset
from danq.device import set_threads
from danq.inference.engine.forward import predict_codes
from danq.inference.engine.incremental import Incremental
from danq.models import load_model
from danq.models.run_options import DEFAULT_TOLERANCE, RunOptions

TOLERANCES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)


def measure(module: torch.nn.Module, codes: np.ndarray, repeats: int) -> list[dict[str, float]]:
    """Speed and errors at each tolerance."""
    windows = np.concatenate([single_base_changes(window) for window in codes])
    owner = np.repeat(np.arange(len(codes)), len(windows) // len(codes))
    engines = {
        tolerance: Incremental(module, RunOptions("cpu", "fp32", tolerance=tolerance))
        for tolerance in TOLERANCES
    }

    def probabilities(tolerance: float) -> np.ndarray:
        logits = engines[tolerance].logits(codes, windows, owner)[1]
        return torch.sigmoid(torch.from_numpy(logits)).numpy()

    def full() -> np.ndarray:
        return predict_codes(module, windows, RunOptions("cpu", "fp32", strand="forward"))

    exact = probabilities(0.0)
    errors = {one: np.abs(probabilities(one) - exact) for one in TOLERANCES}
    seconds = time_alternately(
        {"full": full} | {str(one): partial(probabilities, one) for one in TOLERANCES}, repeats
    )

    def ratio(name: str, tolerance: float) -> float:
        return speedup("", seconds[name], seconds[str(tolerance)]).value or 0.0

    return [
        {
            "tolerance": one,
            "speedup": ratio("0.0", one),
            "speedup_over_full_evaluation": ratio("full", one),
            "largest_error": float(errors[one].max()),
            "mean_error": float(errors[one].mean()),
        }
        for one in TOLERANCES
    ]


def main() -> None:
    """Measure every tolerance and print the table."""
    parser = make_parser(__doc__, "repeats", "threads", "out", repeats=3)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--windows", type=int, default=8)
    args = parser.parse_args()
    set_threads(args.threads)
    dataset = Dataset.open(args.data)
    test = dataset.indices("test")
    most_positive = np.argsort(-dataset.labels(test).sum(axis=1), kind="stable")[: args.windows]
    codes = dataset.codes(test[most_positive])
    with kept_memory():
        rows = measure(load_model(args.model).module, codes, args.repeats)
    formats = ("g", ".2f", ".2f", ".1e", ".1e")
    cells = [
        [format(value, kind) for value, kind in zip(row.values(), formats, strict=True)]
        for row in rows
    ]
    header = ["tolerance", "speed-up", "speed-up over full evaluation", "largest error", "mean"]
    print(markdown_table(header, cells))
    write_json(args.out, {"default_tolerance": DEFAULT_TOLERANCE, "measurements": rows})


if __name__ == "__main__":
    main()
