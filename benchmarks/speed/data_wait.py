"""The share of its time that a training on yeast spends waiting for data.

    python -m benchmarks.speed.data_wait [--quick]

danq-small by the default recipe on a part of the real yeast set, one epoch. The data folder is
named by DANQ_SHARED_DATA; without it there is nothing to measure.
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.timing import Row, skipped
from benchmarks.studies.yeast import CONFIG, ROOT, write_sheet
from danq.datasets import Dataset, build_dataset
from danq.training import read_config, train

PART, NAME = "training on yeast", "time spent waiting for data"


def measure(*, quick: bool = False, rounds: int = 1) -> list[Row]:
    """Per cent of the training's time, validation left out, of ``rounds`` trainings."""
    folder = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared/data"))
    if not (folder / "yeast").is_dir():
        return [skipped(PART, NAME, "DANQ_SHARED_DATA names no folder with yeast data")]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        dataset = _dataset(folder / "yeast", work, 1_024 if quick else 51_200)
        changes = {"epochs": 1, **({"seed_filters": "none"} if quick else {})}
        results = [
            train(
                dataset,
                out=work / f"run{number}",
                config=CONFIG,
                recipe_changes=changes,
                seed=number,
                device="cpu",
                evaluate=False,
            )
            for number in range(rounds)
        ]
    shares = sorted(100 * result.waited for result in results)
    row = Row(
        PART,
        NAME,
        shares[len(shares) // 2],
        "%",
        low=shares[0],
        high=shares[-1],
        target=3.0,
        at_most=True,
    )
    row.details = {
        "windows": len(dataset.indices("train")),
        "seconds": [result.seconds for result in results],
    }
    return [row]


def _dataset(yeast: Path, work: Path, windows: int) -> Dataset:
    """The benchmark's yeast set with ``windows`` training windows and an eighth for validation."""
    write_sheet(yeast, work / "tracks.tsv")
    build_dataset(
        work / "yeast.h5",
        yeast / "genome/sacCer3.fa.gz",
        work / "tracks.tsv",
        **read_config(CONFIG).data,
    )
    whole = Dataset.open(work / "yeast.h5")
    rng = np.random.default_rng(0)
    counts = {"train": windows, "valid": windows // 8}
    parts = [
        rng.permutation(whole.indices(split))[:count] for split, count in sorted(counts.items())
    ]
    rows = np.sort(np.concatenate(parts))
    return dataclasses.replace(
        whole,
        contig=whole.contig[rows],
        start=whole.start[rows],
        split=whole.split[rows],
        packed=np.ascontiguousarray(whole.packed[rows]),
    )


if __name__ == "__main__":
    from benchmarks.harness.command import main

    main(measure, __doc__)
