"""Every figure of speed on the CPU, side by side, in one run.

    python -m benchmarks [--out FILE.json] [--only PART ...] [--quick]

Default sizes: DanQ with 919 tracks, 1000 bp, batch 256, 2 threads. ``--quick`` takes small sizes
and seconds; its figures mean nothing.
"""

from __future__ import annotations

import importlib
import time

from benchmarks.harness.command import options
from benchmarks.harness.timing import machine, show, write
from danq.device import set_threads

PARTS = (
    "inference",
    "training_step",
    "convolution",
    "mutagenesis",
    "variants",
    "ranking_metrics",
    "labels",
    "batch_loading",
    "data_wait",
)
"""Modules with a ``measure``; ``data_wait`` trains, so it comes last."""

ONCE = {"data_wait"}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART")
    chosen = parser.parse_args()
    set_threads(chosen.threads)
    about = machine()
    print(about["processor"], f"{chosen.threads} threads", about["versions"], sep=", ")
    if chosen.quick:
        print("Small sizes: the figures say that everything runs, not how fast.")
    rows, seconds = [], {}
    for name in PARTS:
        if name in chosen.only:
            begun = time.perf_counter()
            measure = importlib.import_module(f"benchmarks.speed.{name}").measure
            rounds = 1 if name in ONCE else chosen.rounds
            part = measure(quick=chosen.quick, rounds=rounds)
            rows += part
            seconds[name] = time.perf_counter() - begun
            print(f"\n{show(part)}", flush=True)
    if chosen.out:
        write(
            chosen.out,
            rows,
            machine=about,
            load_average_after=machine()["load_average"],
            quick=chosen.quick,
            rounds=chosen.rounds,
            seconds=seconds,
        )


if __name__ == "__main__":
    main()
