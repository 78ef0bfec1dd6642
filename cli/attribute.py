"""`danq attribute`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .input_path import InputPath
from .options import example
from .show import show


@click.command(
    epilog=example(
        "danq attribute runs/yeast --region chrIV:1008588-1009087 --genome sacCer3.fa \\",
        "    --track Reb1 --out reb1.h5 --plot reb1.png",
        "danq attribute runs/yeast yeast.h5 --split test --track Reb1 --out reb1.npz \\",
        "    --method integrated-gradients --steps 50",
        "danq attribute runs/yeast sites.bed --genome sacCer3.fa --method gradient --out sites/",
    )
)
@click.argument(
    "paths",
    metavar="MODEL... [INPUT]",
    nargs=-1,
    required=True,
    type=InputPath(),
)
@options.out(
    help="Output; the extension selects the format: .h5, .tsv, .tsv.gz, .parquet, .npz (two files "
    "for TF-MoDISco); without an extension, a directory of bigWig files. - writes a TSV to "
    "standard output."
)
@click.option(
    "--method",
    type=click.Choice(["ism", "gradient", "input-x-gradient", "integrated-gradients"]),
    help="ism: effects of all substitutions. gradient, input-x-gradient: gradients with and "
    "without subtraction of their mean. integrated-gradients: mean gradients on paths from "
    "baselines.  [default: ism]",
)
@click.option(
    "--region",
    metavar="REGION",
    help="Explain a region of --genome, chrIV:1001-1500 (1-based, closed); omit INPUT.",
)
@options.genome(help="Genome (FASTA) of the region or BED file.")
@options.chrom_map(help="TSV with two columns: contig name in the BED file, name in the genome.")
@click.option(
    "--split",
    type=click.Choice(["train", "valid", "test"]),
    help="INPUT is a dataset: explain the windows of this split that are positive for a --track.",
)
@options.track(
    help="Track to explain (repeatable).  [default: explain all, plot the three with the largest "
    "contributions]"
)
@click.option(
    "--baseline",
    type=click.Choice(["shuffle", "uniform", "composition"]),
    help="Of integrated-gradients. shuffle: dinucleotide shuffles of the window; uniform: 0.25 of "
    "each base; composition: fractions of the bases in the genome.  [default: shuffle]",
)
@click.option(
    "--shuffles",
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Number of dinucleotide shuffles, over which contributions are averaged.  [default: 4]",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="Number of points on a path from a baseline; twice as many halve the error.  "
    "[default: 1000]",
)
@options.seed(help="Random seed of the shuffles.  [default: 0]")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Plot a sequence logo and a heat map (.png, .svg or .pdf) of one sequence or region.",
)
@options.run_options(
    batch_size={
        "help": "Batch size (points on paths; with ism, mutated windows); on GPUs the default is "
        "1024.  [default: 64; with ism, 2048]"
    }
)
@options.tolerance()
@options.overwrite()
def attribute(
    paths: tuple[Path, ...],
    region: str | None,
    genome: Path | None,
    chrom_map: Path | None,
    split: str | None,
    **given: Any,
) -> None:
    """Explain a prediction: the contribution of each base of a sequence.

    MODEL is a run directory, model file or folder of folds. With several models, danq explains
    the mean of their predictions. INPUT is a FASTA, a BED file with --genome, a dataset with
    --split, or - for a FASTA or BED file on standard input; omit it with --region. A sequence no
    longer than the window is explained in one window centred on it. A longer sequence is split
    into tiles of the bin length, and each base is explained in the window centred on its tile.
    Sequences that are N in more than half of their bases are left out.
    """
    from danq.inference.sources import source_from_options
    from danq.interpretation import DatasetSplit, Integration, write_attributions_and_plot

    models, input = (paths, None) if region is not None else (paths[:-1], paths[-1])
    if not models:
        raise click.UsageError("Give a model, then a FASTA, BED file or dataset, or --region.")
    if split is None:
        source = source_from_options(input, genome, region=region, chrom_map=chrom_map)
    else:
        names = {"--region": region, "--genome": genome, "--chrom-map": chrom_map}
        for name, value in names.items():
            if value is not None:
                raise click.UsageError(f"--split needs a dataset; omit {name}.")
        source = DatasetSplit(paths[-1], split)
    settings = options.pop(given, "baseline", "shuffles", "steps", "seed")
    integration = Integration(**settings) if settings else None
    loaded = options.load_models(models, given, input_option=None if region is None else "--region")
    written = write_attributions_and_plot(
        loaded, source, integration=integration, **options.given(given)
    )
    plot = given["plot"]
    text = written.describe() + ("" if plot is None else f"\n{plot}")
    completeness = written.completeness and written.completeness._asdict()
    result = {**written._asdict(), "completeness": completeness, "plot": plot}
    show(text, result, err=options.is_stdout(given["out"]))
