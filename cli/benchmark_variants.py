"""`danq benchmark-variants`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .show import show

_NAMES = ("effect", "label", "strata", "group", "match", "chrom_map", "ref_mismatch")


@click.command(
    name="benchmark-variants",
    epilog=options.example(
        "danq benchmark-variants runs/yeast mpra.tsv --genome sacCer3.fa --out benchmark.tsv",
        "danq benchmark-variants runs/yeast mpra.tsv --genome sacCer3.fa --out benchmark.tsv \\",
        "    --effect log_fc --label 'p_adjusted < 0.05' --stratum gene \\",
        "    --match distance_to_gene --baseline yeast.h5 --baseline JASPAR_fungi.meme",
    ),
)
@click.argument(
    "paths",
    metavar="MODEL... TABLE",
    nargs=-1,
    required=True,
    type=InputPath(allow_dash=True),
)
@options.genome(required=True, help="Reference genome, plain or compressed FASTA.")
@options.out(
    metavar="FILE",
    help="Output TSV: one row per summary, baseline and track, best first. FILE.rejected.tsv lists "
    "the rows of TABLE that were left out.",
)
@click.option(
    "--effect",
    metavar="COLUMN",
    help="Column of measured signed effects, ALT over REF.  [default: the column named effect, "
    "log_fc, value, beta, ...]",
)
@click.option(
    "--label",
    metavar="COLUMN",
    help="Column that is 1 for variants with an effect and 0 for others, or a cut such as "
    "'p_adjusted < 0.05'.  [default: the column named label or significant, or adjusted p-values "
    "below 0.05]",
)
@click.option(
    "--stratum",
    "strata",
    multiple=True,
    metavar="COLUMN",
    help="Column such as a gene or an experiment: metrics within strata compare only variants with "
    "the same value (repeatable).  [default: the columns named gene, element, experiment, ...]",
)
@click.option(
    "--group",
    metavar="COLUMN",
    help="Column of matched groups of variants with an effect and their controls.  [default: the "
    "column named match_group]",
)
@click.option(
    "--match",
    multiple=True,
    metavar="COLUMN",
    help="Without --group: match controls by kind of variant and this column, such as a distance "
    "or an allele frequency (repeatable).",
)
@click.option(
    "--baseline",
    "baselines",
    multiple=True,
    type=InputPath(dir_okay=False),
    metavar="FILE",
    help="Add a baseline: a dataset (k-mer model) or a file of motifs (repeatable).",
)
@options.track()
@click.option(
    "--ref-mismatch",
    type=click.Choice(["error", "skip", "swap"]),
    help="What to do if REF does not match the genome. error: stop; skip: leave the row out; swap: "
    "exchange REF and ALT and reverse the effect if ALT matches.  [default: error]",
)
@options.chrom_map(help="TSV with two columns: contig name in TABLE, name in the genome.")
@click.option(
    "--bootstrap",
    type=click.IntRange(min=0),
    metavar="N",
    help="Bootstrap replicates for 95 % confidence intervals; 0 for none.  [default: 1000]",
)
@options.seed()
@options.run_options(
    batch_size={"help": "Batch size (reference and alternate windows).  [default: 8192]"}
)
@options.overwrite()
def benchmark_variants(paths: tuple[Path, ...], out: Path, overwrite: bool, **given: Any) -> None:
    """Compare predicted with measured effects of variants.

    MODEL is a run directory, model file or folder of folds; of several, the mean is compared, and
    the spread of their metrics is reported.
    TABLE holds variants (chrom, pos, ref, alt, one ALT per row) with measured effects (reporter
    assays, eQTL, allelic imbalance), labels, or both: TSV, CSV or Parquet. Prints AUROC,
    average precision, Spearman and Pearson correlations and agreement of signs, over all
    variants, within strata, and against matched controls. Tracks of amounts are compared by
    their log2 fold change and difference.
    """
    from danq.inference.variant_benchmark.benchmark_variants import benchmark_variants as run
    from danq.inference.variant_benchmark.benchmark_variants import (
        check_benchmark,
        write_variant_benchmark,
    )
    from danq.inference.variant_benchmark.measurements import Measurements

    if len(paths) < 2:
        raise click.UsageError("Give a model, then the table of measured variants.")
    *models, table = paths
    if table.is_dir():
        raise click.UsageError(f"Give the table after the models: {table} is a directory.")
    check_benchmark(out, overwrite)
    names = options.pop(given, *_NAMES)
    settings = {name: value for name, value in names.items() if value != ()}
    loaded = options.load_models(models, given)
    report = run(loaded, Measurements(str(table), **settings), **options.given(given))
    write_variant_benchmark(report, out, overwrite=overwrite)
    show(f"{report.describe()}\nwritten to {out}", {"path": out, **report.to_dict()})
