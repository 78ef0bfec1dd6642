"""Train on segments of yeast with all tracks, and evaluate 64 of them on a held-out chromosome.

    python -m benchmarks.studies.yeast_segments --out runs/segments --seeds 1 2 3 4 5

chrXV is the validation chromosome and chrIV the test chromosome. Each model is evaluated, and the
mean of the models so far. A seed whose run directory exists is resumed. The environment variable
DANQ_SHARED_DATA gives the folder of the data.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import write_json
from benchmarks.harness.yeast_data import ALL_TRACKS, SEGMENTS, TRACKS, yeast_dataset
from benchmarks.studies.train_and_evaluate import TRACKS as NAMED
from danq.datasets import Dataset
from danq.inference.evaluation.evaluate import evaluate
from danq.models import Model, load_model
from danq.training import RunSettings, read_config, train


def metrics(models: Sequence[Model], dataset: Dataset) -> dict[str, float]:
    """Mean AUPR and AUROC of the first 64 tracks on both held-out chromosomes."""
    found: dict[str, float] = {}
    for split in ("valid", "test"):
        table = evaluate([*models], dataset, split=split, bootstrap=0).table.head(TRACKS)  # type: ignore[union-attr]
        found |= {f"{split}_{name}": float(table[name].mean()) for name in ("aupr", "auroc")}  # type: ignore[arg-type]
    aupr = dict(zip(table["track"], table["aupr"], strict=True))
    return found | {name: aupr[name] for name in NAMED}


def main() -> None:
    """Build the data set, train every seed, and write the metrics."""
    parser = make_parser(__doc__, "seeds", "threads")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    parser.add_argument("--config", type=Path, default=SEGMENTS)
    args = parser.parse_args()
    data = yeast_dataset(args.out, args.config, ALL_TRACKS)
    dataset = Dataset.open(data)
    models: list[Model] = []
    results = {}
    for seed in args.seeds:
        start, folder = time.perf_counter(), args.out / f"seed{seed}"
        run = RunSettings(seed=seed, evaluate=False, threads=args.threads)
        train(data, out=folder, config=read_config(args.config), run=run, resume=True)
        seconds = round(time.perf_counter() - start)
        models.append(load_model(folder, threads=args.threads))
        results[f"seed {seed}"] = metrics(models[-1:], dataset) | {"seconds": seconds}
        results[f"mean of {len(models)}"] = metrics(models, dataset)
        for name in (f"seed {seed}", f"mean of {len(models)}"):
            print(name, {key: round(value, 4) for key, value in results[name].items()}, flush=True)
    write_json(args.out / "yeast_segments.json", results)


if __name__ == "__main__":
    main()
