"""What filters that start as known motifs buy on yeast, beside words of the data and chance.

    python -m benchmarks.studies.initial_filters --out runs --seeds 1 2 3 [--epochs N]

Four starts of one model, danq-small's numbers throughout: "random" values; "words", the enriched
words of the training data that danq takes by itself; "motifs", a collection's motifs by
DanQ-JASPAR's rule; "factors", by the same rule the consensus sequences of yeast's factors that
benchmarks.studies.motifs asks after. The default collection is the consensus of JASPAR 2024 that
DANQ_SHARED_DATA holds: human, so that it measures the rule and not the factors. Data and splits are
those of studies.yeast; its data set in --out is used if it is there. A run folder that exists is
resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.studies.motifs import COLLECTION, YEAST, consensus_motif
from benchmarks.studies.yeast import CONFIG, ROOT, write_sheet
from danq.datasets import build_dataset
from danq.genome.motif_files import write_meme
from danq.inference.evaluation.evaluate import evaluate
from danq.models import PRESETS
from danq.training import read_config, train

SINGLE = ("Reb1", "Abf1", "Sua7")


def arms(motifs: Path, factors: Path) -> dict[str, dict[str, Any]]:
    """Name of a start, and what `danq.train` is given for it."""
    numbers = PRESETS["danq-small"].model_dump()

    def by_rule(file: Path) -> dict[str, Any]:
        return {
            "model": "danq-jaspar",
            "model_changes": numbers,
            "recipe_changes": {"seed_filters": str(file)},
        }

    return {
        "random": {"model": "danq-small", "recipe_changes": {"seed_filters": "none"}},
        "words": {"model": "danq-small", "recipe_changes": {"seed_filters": "auto"}},
        "motifs": by_rule(motifs),
        "factors": by_rule(factors),
    }


def dataset_file(yeast: Path, out: Path) -> Path:
    """The data set of benchmarks.studies.yeast, built if it is not there."""
    data, sheet = out / "yeast.h5", out / "tracks.tsv"
    if not data.exists():
        write_sheet(yeast, sheet)
        exclude = yeast / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"
        genome = yeast / "genome/sacCer3.fa.gz"
        build_dataset(data, genome, sheet, exclude=exclude, **read_config(CONFIG).data)
    return data


def run(data: Path, folder: Path, arm: dict[str, Any], seed: int, epochs: int) -> dict[str, Any]:
    """Train one start with one seed; figures on chrIV, and chrXV's epoch by epoch."""
    if epochs:
        arm = {**arm, "recipe_changes": {**arm["recipe_changes"], "epochs": epochs}}
    begun = time.perf_counter()
    train(data, out=folder, seed=seed, resume=folder.exists(), evaluate=False, **arm)
    seconds = time.perf_counter() - begun
    report = evaluate(folder, data, bootstrap=0)
    single = {row["track"]: row["aupr"] for row in report.table.iter_rows(named=True)}
    metrics = pl.read_csv(folder / "metrics.csv")
    return {
        "aupr": report.macro_aupr,
        "auroc": report.macro_auroc,
        **{name: single[name] for name in SINGLE},
        "valid_aupr": metrics["valid_aupr"].to_list(),
        "seconds": round(seconds),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    shared = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared/data"))
    parser.add_argument("--data", type=Path, default=shared)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--motifs", type=Path, help="MEME or JASPAR file")
    parser.add_argument("--starts", nargs="+", default=["random", "words", "motifs", "factors"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=0, help="0 for the recipe's own")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = dataset_file(args.data / "yeast", args.out)
    factors = args.out / "factors.meme"
    write_meme(factors, [consensus_motif(*item) for item in YEAST.items()], overwrite=True)
    chosen = arms((args.motifs or args.data / COLLECTION).resolve(), factors.resolve())
    figures: dict[str, dict[str, Any]] = {}
    for seed in args.seeds:
        for name in args.starts:
            folder = args.out / f"start-{name}-{seed}"
            figures[f"{name} {seed}"] = run(data, folder, chosen[name], seed, args.epochs)
            print(f"{name}, seed {seed}:", figures[f"{name} {seed}"], flush=True)
    for name in args.starts:
        mine = [figures[f"{name} {seed}"] for seed in args.seeds]
        means = {
            key: float(np.mean([one[key] for one in mine])) for key in ("aupr", "auroc", *SINGLE)
        }
        figures[name] = means
        print(f"{name}, mean:", {key: round(value, 4) for key, value in means.items()})
    (args.out / "start_values.json").write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
