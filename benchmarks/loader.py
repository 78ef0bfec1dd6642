"""How many windows a second and core the loader delivers: codes and labels, augmented.

    python benchmarks/loader.py [--human] [--dataset FILE.h5] [--batch-size N]

Without a file it makes a set in memory: random bases and random sparse labels, 1,000-base
windows and 919 tracks, 100 Mb of genome and 200,000 windows; ``--human`` takes 3 Gb and
2.2 million. The figure is windows divided by the CPU seconds of the whole process, threads
included, so it holds for one core; seconds by the clock stand beside it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from danq.datasets import Batches, Dataset
from danq.genome.packed import PackedGenome


def random_dataset(bases: int, windows: int, tracks: int, seed: int = 0) -> Dataset:
    """Random genome of ten contigs, random windows, about 2 % of labels positive."""
    rng = np.random.default_rng(seed)
    contigs = 10
    length = bases // contigs // 4 * 4
    genome = PackedGenome(
        names=tuple(f"chr{number + 1}" for number in range(contigs)),
        lengths=np.full(contigs, length),
        bases=rng.integers(0, 256, contigs * length // 4, dtype=np.uint8),
        offsets=np.arange(contigs) * (length // 4),
        n_start=np.arange(contigs) * length + 1000,
        n_end=np.arange(contigs) * length + 11_000,
    )
    size = (tracks + 7) // 8
    packed = np.zeros((windows, size), dtype=np.uint8)
    for row in range(0, windows, 1 << 16):
        part = packed[row : row + (1 << 16)]
        hit = rng.random(part.shape, dtype=np.float32) < 0.15
        part[hit] = 1 << rng.integers(0, 8, int(hit.sum()), dtype=np.uint8)
    packed[:, -1] &= (1 << (tracks - 8 * (size - 1))) - 1
    return Dataset(
        genome=genome,
        contig=rng.integers(0, contigs, windows, dtype=np.uint32),
        start=rng.integers(0, length // 200, windows) * 200,
        split=np.zeros(windows, dtype=np.uint8),
        packed=packed,
        tracks=tuple(f"track{number}" for number in range(tracks)),
        groups=("",) * tracks,
        sources=("",) * tracks,
        peaks=np.zeros(tracks, dtype=np.int64),
        window=1000,
        bin=200,
        stride=200,
        min_overlap=0.5,
    )


def measure(dataset: Dataset, batch_size: int, prefetch: int) -> tuple[int, float, float]:
    """Windows, CPU seconds and seconds by the clock of about three seconds of an epoch."""
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
    cpu, wall, windows = time.process_time(), time.perf_counter(), 0
    for epoch in range(100):
        for codes, labels in batches.epoch(epoch):
            windows += codes.shape[0]
            assert labels.shape[0] == codes.shape[0]
        if time.perf_counter() - wall > 3:
            break
    return windows, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--human", action="store_true", help="3 Gb and 2.2 million windows")
    parser.add_argument("--dataset", type=Path, help="measure this file instead")
    parser.add_argument("--batch-size", type=int, default=256)
    options = parser.parse_args()
    if options.dataset:
        dataset = Dataset.open(options.dataset)
    else:
        dataset = random_dataset(
            *((3 * 10**9, 2_200_000) if options.human else (10**8, 200_000)), 919
        )
    print(dataset)
    for prefetch in (0, 2):
        windows, cpu, wall = measure(dataset, options.batch_size, prefetch)
        print(
            f"prefetch {prefetch}: {windows / cpu:,.0f} windows per CPU second, "
            f"{windows / wall:,.0f} per second by the clock ({windows:,} windows)"
        )


if __name__ == "__main__":
    main()
