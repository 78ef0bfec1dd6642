"""`danq mutate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .options import example
from .progress import progress


@click.command(
    epilog=example(
        "danq mutate runs/yeast --region chrIV:1008588-1009087 --genome sacCer3.fa "
        "--out reb1.h5 --plot reb1.png --track Reb1",
        "danq mutate runs/yeast promoters.fa --out promoters.tsv.gz --track Reb1 --track Abf1",
        "danq mutate runs/yeast sites.bed --genome sacCer3.fa --out sites.h5 --effect probability",
    )
)
@click.argument(
    "paths",
    metavar="MODEL... [INPUT]",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
)
@options.out(help="What to write: .h5, .tsv, .tsv.gz or .parquet.")
@click.option(
    "--region",
    metavar="REGION",
    help="In place of INPUT, a region of --genome: chrIV:1001-1500 (1-based, closed).",
)
@options.genome(help="Genome (FASTA) of the region or BED file.")
@options.chrom_map()
@click.option(
    "--effect",
    type=click.Choice(["logit", "probability"]),
    default="logit",
    show_default=True,
    help="What is compared: log2 odds (bits) or probabilities, altered minus unaltered.",
)
@click.option(
    "--pairs",
    metavar="START-END",
    help="Change every two bases of this part at once, too: 1-based, closed, counted along the "
    "contig or record; NAME:START-END where there are several sequences.",
)
@options.track(
    help="Track to write and draw; may be repeated.  [default: all are written, and the three "
    "with the largest effects drawn]"
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw logo and heat map of one sequence: .png, .svg or .pdf.",
)
@options.device()
@options.precision()
@options.batch_size(default=2048, help="Altered windows handled at once.")
@options.tolerance()
@options.threads()
@options.strand(help="both averages the effects on a window and on its reverse complement.")
@options.overwrite()
def mutate(paths: tuple[Path, ...], region: str | None, **given: Any) -> None:
    """Find what every single-base change of a sequence does to every track.

    MODEL is a run folder or model file; of several, effects are averaged, and their spread is
    given. INPUT is a FASTA, whose records are changed whole, or a BED file with --genome; with
    --region there is none. A sequence that fits into the model's window is judged in one window
    centred on it; each base of a longer one in the window around the tile that holds it.
    """
    from danq.interpretation.mutagenesis_plot import mutate_and_plot

    models, input = (paths, None) if region is not None else (paths[:-1], paths[-1])
    if not models:
        raise click.UsageError("Give a model, and then a FASTA or BED file or --region.")
    with progress("mutating") as show:
        done = mutate_and_plot(models, input=input, region=region, progress=show, **given)
    sequences = f"{done.sequences:,} sequence{'' if done.sequences == 1 else 's'}"
    click.echo(f"{done.path}: {done.changes:,} changes of {sequences}")
    if given["plot"] is not None:
        click.echo(f"{given['plot']}")
