"""Share of the training time on yeast that is spent waiting for data.

danq-small trains with the default recipe on a subset of the yeast data set for one epoch.
DANQ_SHARED_DATA gives the folder of the data; without it this benchmark is skipped.
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.shared_data import YEAST
from benchmarks.harness.timing import Measurement, summarise
from benchmarks.harness.yeast_data import CONFIG, yeast_dataset
from danq.datasets import Dataset
from danq.training import Recipe, RunSettings, train

METRIC = "training on yeast, time spent waiting for data"


def measure(*, quick: bool = False, repeats: int = 1) -> list[Measurement]:
    """Percentage of the time of one training run, validation excluded."""
    if not YEAST.is_dir():
        return [
            Measurement(METRIC, note="skipped: DANQ_SHARED_DATA names no folder with yeast data")
        ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = subset(Dataset.open(yeast_dataset(folder)), 1_024 if quick else 51_200)
        result = train(
            dataset,
            out=folder / "run",
            config=CONFIG,
            recipe=Recipe(epochs=1, initial_motifs="none" if quick else "auto"),
            run=RunSettings(device="cpu", evaluate=False),
        )
    percent = 100 * result.wait_fraction
    details = {"windows": len(dataset.indices("train")), "seconds": result.seconds}
    return [summarise(METRIC, [percent], "%", target=3.0, at_most=True, details=details)]


def subset(dataset: Dataset, windows: int) -> Dataset:
    """Random training windows, and an eighth as many validation windows."""
    rng = np.random.default_rng(0)
    counts = {"train": windows, "valid": windows // 8}
    parts = [rng.permutation(dataset.indices(split))[:count] for split, count in counts.items()]
    rows = np.sort(np.concatenate(parts))
    return dataclasses.replace(
        dataset,
        contig=dataset.contig[rows],
        start=dataset.start[rows],
        split=dataset.split[rows],
        packed=np.ascontiguousarray(dataset.packed[rows]),
    )
