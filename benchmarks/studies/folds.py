"""Train in folds on yeast, without a break and killed several times, and check the predictions.

    python -m benchmarks.studies.folds --out folds

The data are the 8 ChIP-exo tracks with the most positive 200-bp bins, in 500-bp windows; the 16
chromosomes are in 5 groups. The model is small and trains for one epoch on every third bin: the
study checks the procedure, not the model. All bins are predicted. The environment variable
DANQ_SHARED_DATA gives the folder of the data.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import danq
from benchmarks.harness.report import write_json
from benchmarks.harness.shared_data import ROOT, YEAST
from danq.datasets import Dataset
from danq.datasets.build import label_undivided
from danq.datasets.label_options import LabelOptions
from danq.provenance import sha256_of

FOLDS, TRACKS = 5, 8
KILLS = (0.2, 0.5, 0.8)
"""Times of the kills as shares of the time of the uninterrupted training."""

CONFIG = f"""\
[folds]
number = {FOLDS}
[model]
preset = "danq-small"
filters = 64
hidden = 16
dense = [64]
[recipe]
epochs = 1
[run]
device = "cpu"
threads = 1
checkpoint_steps = 20
"""


def build(folder: Path) -> Path:
    """Dataset of the tracks with the most positive bins, all windows undivided."""
    path = folder / "yeast.h5"
    if not path.exists():
        table = pl.read_csv(YEAST / "peaks/tracks.tsv", separator="\t")
        names = table.sort("n_pos_200bp_bins", descending=True)["track"].head(TRACKS)
        files = [YEAST / f"peaks/w200/{name}.bed.gz" for name in names]
        exclude = YEAST / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"
        names_of_contigs = ROOT / "data/recipes/yeast/chrom_map.tsv"
        options = LabelOptions(
            stride=600, exclude=exclude, skip_contigs="chrM", chrom_map=names_of_contigs
        )
        genome = YEAST / "genome/sacCer3.fa.gz"
        label_undivided(genome, files, window=500, options=options).save(path)
    return path


def start(data: Path, out: Path, config: Path) -> subprocess.Popen:
    """Start a training in folds, or resume it."""
    arguments = [str(data), "--config", str(config), "--out", str(out), "--resume"]
    command = [sys.executable, "-c", "from danq_cli.main import main; main()", "train"]
    return subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL)


def outputs(run: Path) -> dict[str, str]:
    """Checksums of the files that do not contain times or the name of the folder."""
    files = [run / "out_of_fold.parquet", run / "ensemble.json", run / "groups.tsv"]
    files += [*run.glob("fold*/model.safetensors"), *run.glob("evaluation/*")]
    return {str(file.relative_to(run)): sha256_of(file) for file in sorted(files)}


def check(run: Path, dataset: Dataset) -> dict[str, Any]:
    """Check that each window is predicted once, by the model that never saw it."""
    table = pl.read_parquet(run / "out_of_fold.parquet")
    keys = table.select("chrom", "start")
    expected = [dataset.genome.names[one] for one in dataset.contig]
    assert keys["chrom"].to_list() == expected
    assert np.array_equal(keys["start"], dataset.start)
    assert keys.is_unique().all()
    units = pl.read_csv(run / "groups.tsv", separator="\t", comment_prefix="#")
    group_of = {name: int(group) for name, group in units.select("chrom", "group").iter_rows()}
    predicted = table.select(dataset.tracks).to_numpy()
    for number, model in enumerate(danq.load_ensemble(run, device="cpu", threads=1), start=1):
        rows = np.flatnonzero([group_of[name] == number for name in expected])
        splits = model.spec.training["splits"]
        seen = {*splits["train"], *splits["valid"]}
        own = {name for name, group in group_of.items() if group == number}
        assert not seen & own
        assert seen | own == set(group_of)
        found = danq.predict(model, dataset.codes(rows[::50])).values
        np.testing.assert_allclose(predicted[rows[::50]], found, atol=2e-3)
    sizes = units.group_by("group").agg(pl.col("windows").sum()).sort("group")
    metrics = pl.read_csv(run / "evaluation/metrics.tsv", separator="\t", comment_prefix="#")
    return {
        "windows": table.height,
        "windows_of_groups": sizes["windows"].to_list(),
        "mean_aupr": metrics["aupr"].mean(),
        "mean_auroc": metrics["auroc"].mean(),
    }


def main() -> None:
    """Train twice, check both, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for data and models")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    data, config = build(folder), folder / "folds.toml"
    config.write_text(CONFIG)
    began = time.monotonic()
    assert start(data, folder / "whole", config).wait() == 0
    seconds = time.monotonic() - began
    killed = 0
    for before, share in zip((0.0, *KILLS), KILLS, strict=False):
        process = start(data, folder / "killed", config)
        try:
            process.wait((share - before) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
    assert start(data, folder / "killed", config).wait() == 0
    whole, again = outputs(folder / "whole"), outputs(folder / "killed")
    results = check(folder / "whole", Dataset.open(data))
    results |= {"seconds": round(seconds), "kills": killed, "files": len(whole)}
    results["same_bytes"] = whole == again
    print(results)
    write_json(folder / "folds.json", results)
    assert whole == again


if __name__ == "__main__":
    main()
