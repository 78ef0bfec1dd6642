"""`danq predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .options import example
from .progress import progress


@click.command(
    epilog=example(
        "danq predict runs/yeast promoters.fa --out promoters.tsv",
        "danq predict runs/yeast regions.bed --genome sacCer3.fa --out regions.parquet",
        "danq predict runs/yeast sacCer3.fa --tile 50 --region chrIV --out chrIV-tracks/",
        "danq predict runs/a runs/b promoters.fa --out both.tsv.gz",
        "danq predict runs/deepsea test.mat --out pred.h5 --format deepsea",
    )
)
@click.argument(
    "models",
    metavar="MODEL...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@click.argument(
    "input", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@options.out(
    type=str,
    help="What to write: .tsv, .tsv.gz, .h5 or .parquet; a name without an ending, or with a "
    "slash at its end, is a folder with a bigWig for each track.",
)
@options.genome(help="Genome (FASTA) that a BED file speaks of.")
@click.option(
    "--tile",
    type=options.Size(),
    metavar="BASES",
    help="INPUT is a genome: predict for every tile of so many bases.",
)
@click.option(
    "--region",
    metavar="REGION",
    help="With --tile, a part of the genome: chrIV or chrIV:1-500000 (1-based, closed).",
)
@options.chrom_map()
@options.track()
@options.channels()
@click.option(
    "--format",
    type=click.Choice(["danq", "deepsea"]),
    default="danq",
    show_default=True,
    help="deepsea writes HDF5 with pred (n, K), as DeepSEA's and DanQ's scripts do.",
)
@options.model_options()
@options.overwrite()
def predict(models: tuple[Path, ...], input: Path, out: str, **given: Any) -> None:
    """Predict the probability of every track on sequences, regions or a genome.

    MODEL is a run folder or model file; several are averaged, and their spread is given. INPUT
    is a FASTA (records longer than the window are tiled, shorter ones padded), a BED file with
    --genome, one-hot arrays (DeepSEA's .mat or HDF5 with testxdata; npz), or with --tile a
    genome.
    """
    from danq.inference.prediction.predict import predict as run

    with progress("predicting") as show:
        done = run(models, input, out, progress=show, **given)
    click.echo(done.describe())
