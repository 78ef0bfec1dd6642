"""Compare training from another model with training from scratch, on a tenth of the windows.

    python -m benchmarks.studies.transfer --out runs/transfer --seeds 1 2 3

Of the 64 tracks of `benchmarks.studies.yeast` in alphabetical order, every fourth is left out. A
danq-small is pretrained on the other 48 tracks. The 16 tracks that were left out are then learned
from every tenth training window, once from that model and once from initial weights, with the same
epochs. chrXV is the validation chromosome, which selects the epoch, and chrIV the test chromosome,
in both trainings. A run directory that exists is resumed.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.report import markdown_table, write_json
from benchmarks.harness.yeast_data import yeast_dataset
from benchmarks.studies.train_and_evaluate import run_folder
from danq.datasets import Dataset
from danq.inference.evaluation.evaluate import evaluate
from danq.inference.evaluation.peak_report import EvaluationReport
from danq.models import load_model
from danq.training import ModelSettings, Recipe, RunConfig, RunSettings, train

EVERY_TRACK = 4
EVERY_WINDOW = 10
SMALL = ModelSettings("danq-small")
COLUMNS = ("aupr", "auroc", "valid_aupr")


def divided_tracks(tracks: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tracks to pretrain on, and every fourth one in alphabetical order, which is left out."""
    ordered = sorted(tracks)
    left_out = ordered[EVERY_TRACK - 1 :: EVERY_TRACK]
    return [track for track in ordered if track not in left_out], left_out


def part_of(dataset: Dataset, tracks: Sequence[str], every: int = 1) -> Dataset:
    """A dataset with some tracks, all held-out windows, and every n-th training window."""
    columns = [dataset.tracks.index(track) for track in tracks]
    keep = np.ones(len(dataset), np.bool_)
    training = dataset.indices("train")
    keep[np.setdiff1d(training, training[::every])] = False
    rows = np.flatnonzero(keep)
    labels = dataset.labels(rows)[:, columns]
    return replace(
        dataset,
        contig=dataset.contig[rows],
        start=dataset.start[rows],
        split=dataset.split[rows],
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=tuple(tracks),
        groups=tuple(dataset.groups[column] for column in columns),
        sources=tuple(dataset.sources[column] for column in columns),
        peaks=dataset.peaks[columns],
    )


def file_of(dataset: Dataset, path: Path) -> Path:
    """The file of a dataset, which is written if it does not exist."""
    if not path.exists():
        dataset.save(path)
    return path


def trained(data: Path, folder: Path, config: RunConfig, seed: int) -> dict[str, Any]:
    """Train a model, and give its metrics on the test split and those of its best epoch."""
    start = time.perf_counter()
    run = RunSettings(seed=seed, evaluate=False)
    result = train(data, out=folder, config=config, run=run, resume=True)
    seconds = time.perf_counter() - start
    best = result.history[result.best_epoch - 1]
    report = evaluate(load_model(folder), Dataset.open(data), split="test")
    assert isinstance(report, EvaluationReport)
    values = {
        "aupr": report.macro_aupr,
        "auroc": report.macro_auroc,
        "valid_aupr": best["valid_aupr"],
        "best_epoch": result.best_epoch,
        "seconds": round(seconds),
    }
    print(f"{folder.name}:", values, flush=True)
    return values


def main() -> None:
    """Pretrain a model, train both kinds of models with every seed, and print the table."""
    parser = make_parser(__doc__, "seeds")
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    parser.add_argument("--pretraining-epochs", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--kinds", nargs="+", default=["scratch", "pretrained"])
    args = parser.parse_args()
    dataset = Dataset.open(yeast_dataset(args.out))
    known, left_out = divided_tracks(dataset.tracks)
    before = file_of(part_of(dataset, known), args.out / "48-tracks.h5")
    after = file_of(part_of(dataset, left_out, EVERY_WINDOW), args.out / "16-tracks.h5")
    first = RunConfig(model=SMALL, recipe=Recipe(epochs=args.pretraining_epochs))
    metrics = {}
    if "pretrained" in args.kinds:
        metrics["pretraining"] = trained(before, args.out / "pretraining", first, 1)
    models = {"scratch": SMALL, "pretrained": ModelSettings(pretrained=args.out / "pretraining")}
    rows = []
    for kind in args.kinds:
        config = RunConfig(model=models[kind], recipe=Recipe(epochs=args.epochs))
        runs = {s: trained(after, run_folder(args.out, kind, s), config, s) for s in args.seeds}
        metrics |= {f"{kind}, seed {seed}": values for seed, values in runs.items()}
        means = [statistics.fmean(run[name] for run in runs.values()) for name in COLUMNS]
        cells = [f"{run['aupr']:.4f}" for run in runs.values()]
        rows.append([kind, *cells, *(f"{value:.4f}" for value in means)])
    write_json(args.out / "transfer.json", metrics)
    seeds = [f"AUPR, seed {seed}" for seed in args.seeds]
    print(markdown_table(["start", *seeds, *(f"mean {name}" for name in COLUMNS)], rows))


if __name__ == "__main__":
    main()
