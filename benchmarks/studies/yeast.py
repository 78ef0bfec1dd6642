"""Train danq-small by its default recipe on yeast, and judge it on a chromosome held out.

    python -m benchmarks.studies.yeast --out /tmp/yeast --seeds 1 2 3

The 64 ChIP-exo tracks with the most positive 200-bp bins; chrXV chooses, chrIV judges. The data
folder is named by DANQ_SHARED_DATA. A seed whose run folder exists is resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch

import danq
from danq.datasets import Dataset, build_dataset
from danq.evaluation.metrics import average_precision
from danq.genome.motif_files import Motif, scan
from danq.inference.evaluation.evaluate import evaluate
from danq.models import load_model
from danq.training import read_config, train

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "data/recipes/yeast/yeast.toml"
TRACKS = 64
# IUPAC consensus of the two general regulatory factors, both well known.
CONSENSUS = {"Reb1": "RTTACCCGS", "Abf1": "RTCRYNNNNNACG"}
IUPAC = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "N": "ACGT"}


def write_sheet(yeast: Path, path: Path) -> None:
    """Track sheet of the 64 tracks with the most positive bins."""
    table = pl.read_csv(yeast / "peaks/tracks.tsv", separator="\t")
    names = table.sort("n_pos_200bp_bins", descending=True)["track"].head(TRACKS)
    rows = [f"{name}\t{yeast / 'peaks/w200' / name}.bed.gz\n" for name in names]
    path.write_text("name\tpath\n" + "".join(rows))


def motif_scan(dataset: Dataset, track: str) -> float:
    """Average precision of the best match of a known motif within 100 bp of the centre."""
    text = CONSENSUS[track]
    rows = [[(b in IUPAC[letter]) / len(IUPAC[letter]) for b in "ACGT"] for letter in text]
    log_odds = Motif(track, np.array(rows)).log_odds()
    test = dataset.indices("test")
    middle = slice(dataset.window // 2 - 100, dataset.window // 2 + 100)
    best = scan(dataset.codes(test)[:, middle].copy(), log_odds.astype(np.float32)).max(axis=1)
    labels = dataset.labels(test)[:, dataset.tracks.index(track)]
    return float(average_precision(best[:, None], labels[:, None])[0])


def run(args: argparse.Namespace) -> dict[str, object]:
    """Build, train every seed, judge; figures by seed."""
    yeast = args.data / "yeast"
    args.out.mkdir(parents=True, exist_ok=True)
    sheet, data = args.out / "tracks.tsv", args.out / "yeast.h5"
    config = read_config(args.config)
    exclude = yeast / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"
    if not data.exists():
        write_sheet(yeast, sheet)
        begun = time.perf_counter()
        genome = yeast / "genome/sacCer3.fa.gz"
        build_dataset(data, genome, sheet, exclude=exclude, **config.data)
        print(f"built in {time.perf_counter() - begun:.1f} s")
    dataset = Dataset.open(data)
    figures: dict[str, object] = {name: motif_scan(dataset, name) for name in CONSENSUS}
    print("known motif alone, AUPR:", figures)
    for seed in args.seeds:
        folder = args.out / f"seed{seed}"
        begun = time.perf_counter()
        train(data, out=folder, config=config, seed=seed, resume=True, evaluate=False)
        seconds = time.perf_counter() - begun
        report = evaluate(
            load_model(folder),
            dataset,
            split="test",
            out=folder / "evaluation",
            baseline=True,
            overwrite=True,
        )
        figures[f"seed {seed}"] = judge(report.table) | {"seconds": round(seconds)}
        print(f"seed {seed}:", figures[f"seed {seed}"], flush=True)
    return figures


def judge(table: pl.DataFrame) -> dict[str, float]:
    """Macro means, single tracks, and tracks lost to the linear baseline."""
    by_name = {row["track"]: row for row in table.iter_rows(named=True)}
    single = {name: by_name[name]["aupr"] for name in (*CONSENSUS, "Sua7")}
    lost = table.filter(pl.col("aupr") < pl.col("baseline_aupr"))["track"].to_list()
    return {
        "aupr": table["aupr"].mean(),  # type: ignore[dict-item]
        "auroc": table["auroc"].mean(),
        "baseline_aupr": table["baseline_aupr"].mean(),
        **single,
        "lost": lost,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    figures = run(args)
    figures["versions"] = {
        "danq": danq.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }
    (args.out / "yeast.json").write_text(json.dumps(figures, indent=1))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
