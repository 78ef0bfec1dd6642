"""`danq simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .options import example
from .show import show


@click.command(
    epilog=example(
        "danq simulate small/", "danq simulate small/ --size 1M --track CTCF --track REST"
    )
)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--size",
    "genome_size",
    type=options.Size(),
    metavar="BASES",
    help="Total genome size in bp.  [default: 4000000]",
)
@click.option(
    "--contigs",
    type=click.IntRange(min=3),
    metavar="N",
    help="Number of chromosomes. The last one is for testing, the one before it for validation.  "
    "[default: 6]",
)
@options.track(help="Track to simulate (repeatable).  [default: all built-in tracks]")
@click.option(
    "--variants",
    type=options.Size(minimum=0),
    metavar="N",
    help="Number of variants with a known effect; the maximum is one per 50 bp.  [default: 400]",
)
@options.seed(help="Random seed.  [default: 1]")
@options.overwrite()
def simulate(out: Path, **given: Any) -> None:
    """Simulate a genome, peaks and variants with ground truth, into the directory OUT.

    OUT contains genome.fa, tracks/NAME.bed, variants.vcf and truth.json.
    """
    from danq.simulation.simulator import simulate as run

    truth = run(out, **options.given(given))
    files = {
        "genome": out / "genome.fa",
        "tracks": out / "tracks",
        "variants": out / "variants.vcf",
        "truth": out / "truth.json",
    }
    lines = {**files, "tracks": f"{files['tracks']} ({', '.join(truth.tracks)})"}
    text = "\n".join(f"{name:9} {value}" for name, value in lines.items())
    text += f"\nhold out  --valid {','.join(truth.valid)} --test {','.join(truth.test)}"
    show(text, {"path": out, "files": files, **truth.counts()})
