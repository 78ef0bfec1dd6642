"""Is a recurrent layer still worth it? danq-small on yeast with other layers in its place.

    python -m benchmarks.studies.temporal --out runs/temporal --data runs/yeast.h5 [--epochs 2]

The data set is the one that `benchmarks.studies.yeast` builds. Every model has the same filters
and the same dense layers and sees the same windows in the same order, at the default recipe, for
so many epochs. Accuracy is that of chrIV; the speed of a training step is timed in turn afterwards.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.timing import alternate
from benchmarks.speed.training_step import STEPS, step
from danq.datasets import Dataset
from danq.device import resolve_device, resolve_precision, set_threads
from danq.inference.evaluation.evaluate import evaluate
from danq.models import load_model
from danq.training import train
from danq.training.config import RunConfig

BATCH = 256
MODELS: dict[str, dict[str, Any]] = {
    "BiLSTM": {},
    "BiGRU": {"temporal": "gru"},
    "TCN": {"temporal": "tcn", "hidden": 128},
    "none": {"temporal": "none"},
    "BiLSTM, attention": {"pooling": "attention"},
}


def learn(data: Path, out: Path, numbers: dict[str, Any], epochs: int, seed: int) -> dict[str, Any]:
    """Train one model, or go on with it, and judge it on the test split."""
    config = RunConfig(
        model={"preset": "danq-small", **numbers}, training={"epochs": epochs, "patience": 0}
    )
    train(data, out=out, config=config, seed=seed, resume=True, evaluate=False)
    model = load_model(out)
    report = evaluate(
        model, Dataset.open(data), split="test", out=out / "evaluation", overwrite=True
    )
    return {
        "aupr": report.macro_aupr,
        "auroc": report.macro_auroc,
        "parameters": sum(p.numel() for p in model.module.parameters()),
    }


def speeds(data: Path, out: Path, rounds: int) -> dict[str, float]:
    """Windows a second in training, every model in turn on the same batch."""
    dataset = Dataset.open(data)
    some = dataset.indices("train")[:BATCH]
    codes = torch.from_numpy(dataset.codes(some))
    labels = torch.from_numpy(dataset.labels(some)).float()
    precision = resolve_precision("auto", resolve_device("cpu"))
    calls = {
        name: step(load_model(out / slug(name)).module, codes, labels, precision) for name in MODELS
    }
    spent = alternate(calls, rounds)
    return {name: BATCH * STEPS / sorted(times)[rounds // 2] for name, times in spent.items()}


def slug(name: str) -> str:
    """Folder of a model."""
    return name.lower().replace(", ", "-")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {}
    for name, numbers in MODELS.items():
        figures[name] = learn(args.data, args.out / slug(name), numbers, args.epochs, args.seed)
        print(name, figures[name], flush=True)
    set_threads(None)
    for name, speed in speeds(args.data, args.out, args.rounds).items():
        figures[name]["windows_per_second"] = round(speed)
    (args.out / "temporal.json").write_text(json.dumps(figures, indent=1))
    print("| layer | mean AUPR | mean AUROC | parameters | windows/s, training |")
    print("|---|---|---|---|---|")
    for name, row in figures.items():
        print(
            f"| {name} | {row['aupr']:.3f} | {row['auroc']:.3f} | {row['parameters']:,} | "
            f"{row['windows_per_second']:,} |"
        )


if __name__ == "__main__":
    main()
