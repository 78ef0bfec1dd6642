"""`danq mutate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .amount_options import measured
from .input_path import InputPath
from .options import example
from .show import show


@click.command(
    epilog=example(
        "danq mutate runs/yeast --region chrIV:1008588-1009087 --genome sacCer3.fa "
        "--out reb1.h5 --plot reb1.png --track Reb1",
        "danq mutate runs/yeast promoters.fa --out promoters.tsv.gz --track Reb1 --track Abf1",
        "danq mutate runs/yeast sites.bed --genome sacCer3.fa --out sites.h5 --effect probability",
        "danq mutate runs/yeast --tile --genome sacCer3.fa --out map.tsv.gz --track Reb1",
        "danq mutate runs/yeast --tile --genome sacCer3.fa --out map.tsv.gz --shard 1/4",
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
    help="Output file; the extension selects the format: .h5, .tsv, .tsv.gz, .parquet. "
    "- writes a TSV to standard output."
)
@click.option(
    "--region",
    metavar="REGION",
    help="Mutate a region of --genome, chrIV:1001-1500 (1-based, closed); omit INPUT.",
)
@options.genome(help="Genome (FASTA) of the region or BED file, or to tile.")
@click.option(
    "--tile",
    type=options.Size(),
    is_flag=False,
    flag_value=0,
    metavar="[BASES]",
    help="Mutate every base of --genome, or of its --region; omit INPUT. Each base is scored in "
    "the window centred on its tile of this size in bp, by default the model's bin. A .tsv.gz gets "
    "a tabix index.",
)
@options.chrom_map(help="TSV with two columns: contig name in the BED file, name in the genome.")
@click.option(
    "--effect",
    type=click.Choice(["logit", "probability", "log2fc", "difference"]),
    help="Of peaks: logit (log2 odds ratio of mutant to reference) or probability (mutant minus "
    "reference). Of amounts: log2fc (log2 fold change) or difference (mutant minus reference).  "
    "[default: logit; with tracks of amounts, difference]",
)
@click.option(
    "--pairs",
    metavar="START-END|all",
    help="Also mutate all pairs of positions in this interval of the contig or record (1-based, "
    "closed), or in the whole sequence. With several sequences, use NAME:START-END, where NAME is "
    "the contig or record. HDF5 files and --plot have the dependency map.",
)
@options.track(
    help="Track to write and plot (repeatable).  [default: write all, plot the three with the "
    "largest effects]"
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Plot a sequence logo and a heat map (.png, .svg or .pdf) of one sequence or region.",
)
@options.run_options(
    batch_size={
        "help": "Batch size (mutated windows); on GPUs the default is 4096.  [default: 2048]"
    }
)
@options.tolerance()
@measured()
@options.shard()
@options.resume(help="Continue a run with --tile, or a shard, that was interrupted.")
@options.overwrite(
    help="Replace an existing output, or with --shard or --tile what the run has stored."
)
def mutate(
    paths: tuple[Path, ...],
    region: str | None,
    genome: Path | None,
    tile: int | None,
    chrom_map: Path | None,
    **given: Any,
) -> None:
    """Predict the effect of every single-base substitution (in silico mutagenesis).

    MODEL is a run directory, model file or folder of folds. With several models, danq reports
    the mean effect and the sample standard deviation. INPUT is a FASTA (every base of each
    record is mutated) or a BED file with --genome, or - for one of them on standard input, which
    is copied to a temporary file first; omit it with --region. A sequence no longer than the
    window is scored in one window centred on it. A longer sequence is split into tiles of the bin
    length, and each base is scored in the window centred on its tile. With --tile, the run on a
    whole genome can be resumed.
    """
    from danq.inference.sources import source_from_options
    from danq.interpretation.mutate_and_plot import write_mutations_and_plot

    option = "--tile" if tile is not None else None if region is None else "--region"
    models, input = (paths[:-1], paths[-1]) if option is None else (paths, None)
    if not models:
        raise click.UsageError("Give a model, then a FASTA or BED file, --region or --tile.")
    if tile is not None:
        if genome is None:
            raise click.UsageError("--tile needs the genome to mutate: add --genome FASTA.")
        input, genome = genome, None
    source = source_from_options(input, genome, tile=tile, region=region, chrom_map=chrom_map)
    loaded = options.load_models(models, given, input_option=option)
    written = write_mutations_and_plot(loaded, source, **options.given(given))
    plot = given["plot"]
    text = written.describe() + ("" if plot is None else f"\n{plot}")
    show(text, {**written._asdict(), "plot": plot}, err=options.is_stdout(given["out"]))
