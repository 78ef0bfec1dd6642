"""`danq report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .show import show


@click.command(
    epilog=options.example(
        "danq report runs/yeast --out report.html",
        "danq report runs/yeast effects.tsv motifs/ --genome sacCer3.fa --out report.html",
        "danq report regions.h5 yeast.h5 --region chrIV:1000001-1020000 --genes genes.gff3 \\",
        "    --out chrIV.html",
    )
)
@click.argument(
    "paths",
    metavar="RUN_OR_OUTPUT...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@options.out(metavar="HTML", help="The page to write.")
@options.genome(help="Genome (FASTA); shows the mutations around the variants with large effects.")
@click.option(
    "--model",
    type=click.Path(exists=True, path_type=Path),
    metavar="MODEL",
    help="Model for these.  [default: that of a run directory among the outputs]",
)
@click.option(
    "--genes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Genes for the browser strip of predictions: GFF3, GTF or BED.",
)
@click.option(
    "--observed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Observed peaks (BED) or signal (bigWig) for the browser strip (repeatable).",
)
@click.option(
    "--region",
    metavar="REGION",
    help="Region of the browser strip, chrIV:1001-21000 (1-based, closed).  [default: that "
    "around the highest prediction]",
)
@click.option(
    "--no-windows",
    "windows",
    flag_value=False,
    type=bool,
    default=None,
    help="Leave out the windows that the model predicts best and worst, so that it does not run.",
)
@click.option(
    "--genotypes",
    is_flag=True,
    default=None,
    help="Show genotypes and names of samples, which are left out otherwise.",
)
@click.option("--title", metavar="TEXT", help="Title of the page.  [default: danq report]")
@options.overwrite()
def report(paths: tuple[Path, ...], out: Path, overwrite: bool, **given: Any) -> None:
    """Write one web page of run directories and other outputs.

    RUN_OR_OUTPUT is a run directory, a folder of folds, an evaluation, a folder of motifs or of
    bigWig files, a dataset, or a file of variant effects, mutations, predictions, comparisons or
    classes. A run directory also gives the evaluations and motifs in it. The page is one file that
    needs no network. It says what it does not show, and why.
    """
    from danq.report import ReportOptions, write_report

    written = write_report(paths, out, ReportOptions(**options.given(given)), overwrite=overwrite)
    show(written.describe(), written.to_dict())
