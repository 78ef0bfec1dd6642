"""The command line that every benchmark shares."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.timing import Row, machine, show, write
from danq.device import set_threads


def options(about: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark takes."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds, no figures")
    parser.add_argument("--rounds", type=int, default=5, help="times that each call is timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file to write")
    return parser


def main(measure: Callable[..., list[Row]], about: str | None) -> None:
    """Run one benchmark as a command."""
    chosen = options(about).parse_args()
    set_threads(chosen.threads)
    rows = measure(quick=chosen.quick, rounds=chosen.rounds)
    print(show(rows))
    if chosen.out:
        write(chosen.out, rows, machine=machine(), quick=chosen.quick)
