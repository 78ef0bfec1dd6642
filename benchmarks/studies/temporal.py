"""Replace the LSTM of danq-small by other layers and compare them on yeast.

    python -m benchmarks.studies.temporal --out runs/temporal --data runs/yeast.h5 [--epochs 2]

`benchmarks.studies.yeast` builds the data set. All models have the same filters and dense layers
and see the same windows in the same order for the same number of epochs, with the default recipe.
The metrics are those of chrIV. The speed of a training step is timed alternately afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.timing import time_alternately
from benchmarks.speed.training_step import STEPS, training_steps
from benchmarks.studies.train_and_evaluate import run_folder, train_and_evaluate
from danq.datasets import Dataset
from danq.device import resolve_device, resolve_precision, set_threads
from danq.models import load_model
from danq.training import ModelSettings, Recipe, RunConfig

BATCH = 256
MODELS: dict[str, dict[str, Any]] = {
    "BiLSTM": {},
    "BiGRU": {"temporal": "gru"},
    "TCN": {"temporal": "tcn", "hidden": 128},
    "none": {"temporal": "none"},
    "BiLSTM, attention": {"pooling": "attention"},
}


def speeds(data: Path, out: Path, seed: int, repeats: int) -> dict[str, float]:
    """Windows per second of a training step of each model on the same batch."""
    dataset = Dataset.open(data)
    some = dataset.indices("train")[:BATCH]
    codes = torch.from_numpy(dataset.codes(some))
    labels = torch.from_numpy(dataset.labels(some)).float()
    precision = resolve_precision("auto", resolve_device("cpu"))
    calls = {
        name: training_steps(
            load_model(run_folder(out, name, seed)).module, codes, labels, precision
        )
        for name in MODELS
    }
    seconds = time_alternately(calls, repeats)
    return {name: BATCH * STEPS / sorted(one)[repeats // 2] for name, one in seconds.items()}


def main() -> None:
    """Train, evaluate and time every model, and print the table."""
    parser = make_parser(__doc__, "repeats")
    parser.add_argument("--data", type=Path, required=True, help="data set")
    parser.add_argument("--out", type=Path, required=True, help="folder for models")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(epochs=args.epochs, patience=0)
    configs = {
        name: RunConfig(model=ModelSettings("danq-small", **changes), recipe=recipe)
        for name, changes in MODELS.items()
    }
    metrics = train_and_evaluate(args.data, args.out, configs, [args.seed])
    set_threads(None)
    speed = speeds(args.data, args.out, args.seed, args.repeats)
    write_json(args.out / "temporal.json", {**metrics, "windows_per_second": speed})
    rows = []
    for name in MODELS:
        run = metrics[name]["seeds"][args.seed]
        rows.append(
            [
                name,
                f"{run['aupr']:.3f}",
                f"{run['auroc']:.3f}",
                f"{run['parameters']:,}",
                f"{speed[name]:,.0f}",
            ]
        )
    header = ["layer", "mean AUPR", "mean AUROC", "parameters", "windows/s, training"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
