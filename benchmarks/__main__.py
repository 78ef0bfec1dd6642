"""Measure danq's speed on the CPU.

    python -m benchmarks [--only NAME ...] [--quick] [--out FILE.json]

The default is DanQ with 919 tracks, 1000 bp, batches of 256 and 2 threads. ``--quick`` uses small
sizes and takes seconds; its values do not describe danq's speed.
"""

from __future__ import annotations

import importlib
import time

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.machine import machine
from benchmarks.harness.report import table, write_json
from benchmarks.harness.timing import Measurement
from danq.device import set_threads

BENCHMARKS = (
    "inference",
    "training_step",
    "convolution",
    "mutagenesis",
    "variants",
    "prediction_outputs",
    "ranking_metrics",
    "labels",
    "batch_loading",
    "data_wait",
    "verification",
)
"""Modules of `benchmarks.speed` with a function ``measure``."""


def main() -> None:
    """Run the selected benchmarks, print their tables and write the JSON file."""
    parser = make_parser(__doc__, "quick", "repeats", "threads", "out")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=BENCHMARKS,
        default=BENCHMARKS,
        metavar="NAME",
        help=f"benchmarks to run, of {', '.join(BENCHMARKS)}",
    )
    args = parser.parse_args()
    set_threads(args.threads)
    about = machine()
    print(about["processor"], f"{args.threads} threads", about["versions"], sep=", ")
    if args.quick:
        print("Small sizes: this run checks that everything works and does not measure speed.")
    measurements: list[Measurement] = []
    seconds: dict[str, float] = {}
    for name in (name for name in BENCHMARKS if name in args.only):
        start = time.perf_counter()
        measure = importlib.import_module(f"benchmarks.speed.{name}").measure
        rows = measure(quick=args.quick, repeats=args.repeats)
        for row in rows:
            row.benchmark = name
        measurements += rows
        seconds[name] = time.perf_counter() - start
        print(f"\n{table(rows)}", flush=True)
    write_json(
        args.out,
        {
            "load_average_before": about["load_average"],
            "quick": args.quick,
            "repeats": args.repeats,
            "seconds": seconds,
            "measurements": measurements,
        },
    )


if __name__ == "__main__":
    main()
