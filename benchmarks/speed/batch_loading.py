"""Windows per CPU second that the batch loader delivers: augmented codes and labels.

The data set is in memory: a random genome of 100 Mb, 200,000 windows of 1,000 bases and 919 sparse
tracks. The CPU seconds are those of the whole process with its threads, so the rate is per core.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.harness.synthetic_data import random_dataset
from benchmarks.harness.timing import Measurement, summarise
from danq.datasets import Batches


def measure(*, quick: bool = False, repeats: int = 3) -> list[Measurement]:
    """Windows per CPU second, without and with a thread that prepares batches in advance."""
    dataset = random_dataset(*((10**6, 2_000) if quick else (10**8, 200_000)), 919)
    rows = []
    for prefetch in (0, 2):
        batches = Batches(
            dataset,
            np.arange(len(dataset)),
            256,
            shuffle=True,
            reverse_complement=True,
            max_shift=20,
            prefetch=prefetch,
        )
        for _ in zip(range(3), batches.epoch(0), strict=False):
            pass  # compiles
        rates = [_rates(batches, 0.1 if quick else 2.0, 1000 * number) for number in range(repeats)]
        rows.append(
            summarise(
                f"windows per CPU second, {prefetch} batches prefetched",
                [per_cpu_second for per_cpu_second, _ in rates],
                "",
                details={"windows_per_second": [per_second for _, per_second in rates]},
            )
        )
    return rows


def _rates(batches: Batches, seconds: float, epoch: int) -> tuple[float, float]:
    """Windows per CPU second and per second, in whole epochs over at least some seconds."""
    cpu, start, windows = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for codes, labels in batches.epoch(epoch):
            windows += codes.shape[0]
            assert labels.shape[0] == codes.shape[0]
        epoch += 1
    return windows / (time.process_time() - cpu), windows / (time.perf_counter() - start)
