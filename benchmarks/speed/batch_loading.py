"""How many windows a second and core the loader delivers: codes and labels, augmented.

    python -m benchmarks.speed.batch_loading [--quick] [--human] [--dataset FILE.h5]

Without a file it makes a set in memory: random bases and random sparse labels, 1,000-base
windows and 919 tracks, 100 Mb of genome and 200,000 windows; ``--human`` takes 3 Gb and
2.2 million. The figure is windows divided by the CPU seconds of the whole process, threads
included, so it holds for one core; windows by the clock stand beside it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import Row, show
from danq.datasets import Batches, Dataset

PART = "loader"


def measure(
    *, quick: bool = False, rounds: int = 3, dataset: Dataset | None = None, batch_size: int = 256
) -> list[Row]:
    """Windows a CPU second, with and without a thread that works ahead."""
    if dataset is None:
        dataset = random_dataset(*((10**6, 2_000) if quick else (10**8, 200_000)), 919)
    rows = []
    for prefetch in (0, 2):
        batches = Batches(
            dataset,
            np.arange(len(dataset)),
            batch_size,
            shuffle=True,
            reverse_complement=True,
            max_shift=20,
            prefetch=prefetch,
        )
        for _ in zip(range(3), batches.epoch(0), strict=False):
            pass  # compiles the kernels, or reads them from their cache
        figures = [_stretch(batches, 0.1 if quick else 2.0, number) for number in range(rounds)]
        rates = sorted(windows / cpu for windows, cpu, _ in figures)
        row = Row(
            PART,
            f"windows a CPU second, {prefetch} batches ahead",
            rates[len(rates) // 2],
            "",
            low=rates[0],
            high=rates[-1],
        )
        row.details = {"windows_per_second": [windows / wall for windows, _, wall in figures]}
        rows.append(row)
    return rows


def _stretch(batches: Batches, seconds: float, first: int) -> tuple[int, float, float]:
    """Windows, CPU seconds and seconds by the clock of whole epochs over a stretch of time."""
    cpu, wall, windows = time.process_time(), time.perf_counter(), 0
    epoch = 1000 * first
    while time.perf_counter() - wall < seconds:
        for codes, labels in batches.epoch(epoch):
            windows += codes.shape[0]
            assert labels.shape[0] == codes.shape[0]
        epoch += 1
    return windows, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small set, parts of a second")
    parser.add_argument("--human", action="store_true", help="3 Gb and 2.2 million windows")
    parser.add_argument("--dataset", type=Path, help="measure this file instead")
    parser.add_argument("--batch-size", type=int, default=256)
    options = parser.parse_args()
    dataset = None
    if options.dataset:
        dataset = Dataset.open(options.dataset)
    elif options.human:
        dataset = random_dataset(3 * 10**9, 2_200_000, 919)
    print(show(measure(quick=options.quick, dataset=dataset, batch_size=options.batch_size)))


if __name__ == "__main__":
    main()
