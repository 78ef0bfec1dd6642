"""`danq variants`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .options import example
from .progress import progress


@click.command(
    epilog=example(
        "danq variants runs/yeast strains.vcf.gz --genome sacCer3.fa --out effects.tsv",
        "danq variants runs/yeast strains.vcf.gz --genome sacCer3.fa --out annotated.vcf.gz \\",
        "    --track Reb1 --track Abf1 --scores logit",
        "danq variants runs/yeast --background common.vcf.gz --genome sacCer3.fa --out common.h5",
        "danq variants runs/yeast hits.vcf --genome sacCer3.fa --calibrate common.h5 --out hits.h5",
    )
)
@click.argument(
    "paths",
    metavar="MODEL... [VARIANTS]",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
)
@options.genome(required=True, help="Reference genome, plain or compressed FASTA.")
@options.out(
    help="What to write: .tsv, .tsv.gz, .h5 or .parquet; .vcf.gz for the input with INFO fields. "
    "PATH.rejected.tsv lists what was not scored, and why."
)
@click.option(
    "--format",
    type=click.Choice(["tsv", "hdf5", "parquet", "vcf", "deepsea"]),
    help="Kind of output whatever the ending; deepsea writes DeepSEA's CSV files PATH.ref, "
    "PATH.alt and so on.",
)
@click.option(
    "--scores",
    type=options.Names(),
    metavar="LIST",
    help="Scores to write, of ref, alt (probabilities), diff (alt - ref), logit (change in log2 "
    "odds), product (|diff * logit|).  [default: all]",
)
@options.track()
@click.option(
    "--ref-mismatch",
    type=click.Choice(["skip", "swap", "error"]),
    default="skip",
    show_default=True,
    help="Where REF is not what the genome has: reject it, exchange REF and ALT if the genome has "
    "ALT, or stop.",
)
@click.option(
    "--indel-anchor",
    type=click.Choice(["left", "both"]),
    default="left",
    show_default=True,
    help="Windows of insertions and deletions keep the base before them in its place; both "
    "averages with windows that keep the base after them.",
)
@click.option(
    "--center",
    type=click.IntRange(min=1),
    metavar="INDEX",
    help="Where a window holds its variant, counted from 0.  [default: half the window, less 1]",
)
@click.option(
    "--haplotypes",
    metavar="SAMPLE",
    help="Put into the windows what else this sample of the VCF has on the variant's haplotype.",
)
@options.chrom_map(
    help="Two tab-separated columns: contig name of the variants, name in the genome."
)
@click.option(
    "--background",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="VCF",
    help="In place of VARIANTS: write a background file (.h5) of these, most often common ones.",
)
@click.option(
    "--calibrate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Background file: adds E-values, quantiles and DeepSEA's functional significance.",
)
@options.tolerance()
@options.device()
@options.precision()
@options.batch_size(default=8192, help="Windows, of references and alternates, handled at once.")
@options.threads()
@options.strand(help="both averages the scores on a window and on its reverse complement.")
@click.option("--resume", is_flag=True, help="Go on with a run that was killed.")
@options.overwrite(help="Replace the output, and an unfinished run for it.")
def variants(paths: tuple[Path, ...], background: Path | None, **given: Any) -> None:
    """Score what variants do to every track.

    MODEL is a run folder or model file; of several, scores are averaged, and their spread is
    given. VARIANTS is a VCF, a BCF or a tab-separated table (chrom, pos, ref, alt, id), plain or
    compressed, or - for standard input. Every ALT is a row or a reject with its reason. Finished
    blocks lie in PATH.unfinished until all is done, so that --resume can go on.
    """
    if given["resume"] and given["overwrite"]:
        raise click.UsageError("--resume goes on with a run, --overwrite throws it away.")
    models, source = (paths, background) if background is not None else (paths[:-1], paths[-1])
    if not models:
        raise click.UsageError("Give a model, and then the variants or --background.")
    if source.is_dir():
        raise click.UsageError(
            f"Give the variants after the models, or --background: {source} is a folder."
        )
    with progress("scoring", unit="variants") as show:
        if background is None:
            from danq.inference.variants.score import score_variants

            done = score_variants(models, str(source), progress=show, **given)
        else:
            from danq.inference.variants.write_background import make_background

            for name in ("format", "scores", "haplotypes", "calibrate"):
                if given.pop(name) is not None:
                    raise click.UsageError(f"--{name} does not go with --background.")
            done = make_background(models, str(source), progress=show, **given)
    click.echo(done.describe())
