"""`danq classify-variants`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .show import show

_FILE = InputPath(dir_okay=False)


@click.command(
    name="classify-variants",
    epilog=options.example(
        "danq classify-variants gwas.h5 other.h5 --out classes.tsv",
        "danq classify-variants scored.parquet --labels labels.tsv --out classes.tsv \\",
        "    --conservation phylop.tsv --apply new.h5 new-classes.tsv",
    ),
)
@click.argument("effects", metavar="FUNCTIONAL [OTHER]", nargs=-1, required=True, type=_FILE)
@options.out(
    metavar="FILE",
    help="Output TSV: one row per variant, with its fold and the out-of-fold probability that it "
    "is functional.",
)
@click.option(
    "--labels",
    type=_FILE,
    metavar="FILE",
    help="With one input file: TSV with a column named 'label' (1 functional, 0 other), and either "
    "a column 'id' or the columns 'chrom', 'pos', 'ref' and 'alt'.",
)
@click.option(
    "--conservation",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="TSV with chrom, pos, ref, alt and further numeric columns; each further column is a "
    "feature (repeatable).",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="N",
    help="Number of cross-validation folds.  [default: 10]",
)
@click.option(
    "--groups",
    type=click.Choice(["chrom", "none"]),
    help="chrom: keep the variants of a contig in one fold. none: assign variants to folds at "
    "random, as DeepSEA and DanQ did.  [default: chrom]",
)
@options.seed()
@click.option(
    "--apply",
    type=(_FILE, click.Path(path_type=Path)),
    metavar="EFFECTS OUT",
    help="Train on all labelled variants, predict for those of EFFECTS (output of danq variants), "
    "and write the TSV OUT.",
)
@options.overwrite()
def classify_variants(
    effects: tuple[Path, ...],
    out: Path,
    apply: tuple[Path, Path] | None,
    overwrite: bool,
    **settings: Any,
) -> None:
    """Train and cross-validate a classifier of functional variants.

    FUNCTIONAL and OTHER are outputs of 'danq variants' (.h5, .parquet, .tsv) that contain the
    scores logit and diff. Give either both files, or one file with variants of both classes and
    --labels. The features are |logit| and |diff| of every track. The classifier (gradient-boosted
    trees) is not saved: --apply trains and predicts in the same run. Prints AUROC and AUPR.
    """
    from danq.interpretation import classify_variants as run
    from danq.interpretation import write_variant_classes
    from danq.output import check_target

    applied_to, applied_out = apply or (None, None)
    for path in filter(None, (out, applied_out)):
        check_target(path, overwrite)
    if applied_out is not None and applied_out.absolute() == out.absolute():
        raise click.UsageError("--out and --apply name the same output; give two names.")
    report = run(effects, apply=applied_to, **options.given(settings))
    write_variant_classes(report, out, applied=applied_out, overwrite=overwrite)
    paths = {"path": out, "applied_path": applied_out}
    show(f"{report.describe()}\nwritten to {out}", {**paths, **report.to_dict()})
