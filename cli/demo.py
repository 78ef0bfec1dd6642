"""`danq demo`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .options import example


@click.command(epilog=example("danq demo", "danq demo /tmp/demo --seed 7 --overwrite"))
@click.argument("out", type=click.Path(path_type=Path), default=Path("danq-demo"))
@options.seed(default=1)
@options.device()
@options.precision()
@options.threads()
@options.overwrite()
def demo(
    out: Path, seed: int, device: str, precision: str, threads: int | None, overwrite: bool
) -> None:
    """Run the whole chain on a small simulated genome, into the folder OUT (danq-demo).

    Simulates a genome with planted motif grammar, builds a data set, trains danq-small,
    evaluates it on a held-out contig beside the simulator's own ceiling, predicts along that
    contig, and scores variants whose effect is known. Takes some two minutes on 2 cores.
    """
    from danq.demo import demo as run

    report = run(
        out, seed=seed, device=device, precision=precision, threads=threads, overwrite=overwrite
    )
    click.echo(report.describe())
