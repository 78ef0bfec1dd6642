"""`danq classify-variants`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="classify-variants",
    epilog=options.example(
        "danq classify-variants gwas.h5 common.h5 --out judged.tsv",
        "danq classify-variants scored.parquet --labels labels.tsv --out judged.tsv \\",
        "    --conservation phylop.tsv --apply new.h5 new.tsv",
    ),
)
@click.argument("effects", metavar="FUNCTIONAL [OTHER]", nargs=-1, required=True, type=_FILE)
@options.out(metavar="FILE", help="TSV: a row a variant, with its fold and probability.")
@click.option(
    "--labels",
    type=_FILE,
    metavar="FILE",
    help="With one file of effects: TSV with the columns label (1 functional, 0 other) and chrom, "
    "pos, ref, alt, or id.",
)
@click.option(
    "--conservation",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="TSV with chrom, pos, ref, alt and columns of numbers, each a further feature; may be "
    "repeated.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    metavar="N",
    help="Parts, each of which is held out once.",
)
@click.option(
    "--groups",
    type=click.Choice(["chrom", "none"]),
    default="chrom",
    show_default=True,
    help="chrom keeps the variants of a contig in one fold; none draws each by itself, as was "
    "published.",
)
@options.seed()
@click.option(
    "--apply",
    type=(_FILE, click.Path(path_type=Path)),
    metavar="EFFECTS OUT",
    help="Further variants that danq scored, and the TSV for what a model trained on all labelled "
    "ones says of them.",
)
@options.overwrite()
def classify_variants(effects: tuple[Path, ...], **given: Any) -> None:
    """Tell functional variants from others by their predicted effects.

    FUNCTIONAL and OTHER are outputs of 'danq variants' (.h5, .parquet, .tsv) with the scores logit
    and diff; or one file of both kinds with --labels. Boosted trees learn from the size of the
    changes on every track and are judged on the variants held out. No model is kept: --apply
    trains and uses it in one go.
    """
    from danq.interpretation import classify_variants as run

    report = run(effects, **given)
    click.echo(report.describe())
    click.echo(f"written to {given['out']}")
