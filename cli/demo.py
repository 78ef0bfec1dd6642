"""`danq demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .load_models import RUN_NAMES
from .show import show


@click.command(
    epilog=options.example("danq demo", "danq demo demo-seed7 --seed 7", "danq demo --overwrite")
)
@click.argument("out", type=click.Path(path_type=Path), default=Path("danq-demo"))
@options.seed(help="Random seed.  [default: 1]")
@options.device()
@options.precision()
@options.threads()
@options.overwrite()
def demo(out: Path, overwrite: bool, **given: Any) -> None:
    """Run the full pipeline on a small simulated genome.

    Simulates a genome with planted motifs, builds a dataset, trains danq-small, evaluates it on a
    test contig, compares its AUPR with the best possible AUPR (known from the simulation), predicts
    along that contig, and scores variants with known effects. Writes the directory OUT (default:
    danq-demo). Takes about two minutes on 2 cores.
    """
    from danq.demo import run_demo
    from danq.models.run_options import RunOptions

    running = RunOptions(**options.pop(given, *RUN_NAMES))
    report = run_demo(out, options=running, overwrite=overwrite, **options.given(given))
    show(report.describe(), {"path": report.directory, **report.to_dict()})
