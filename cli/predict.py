"""`danq predict`."""

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
        "danq predict runs/yeast promoters.fa --out promoters.tsv",
        "danq predict runs/yeast regions.bed --genome sacCer3.fa --out regions.parquet",
        "danq predict runs/yeast sacCer3.fa --tile 50 --region chrIV --out chrIV-tracks/",
        "danq predict runs/a runs/b promoters.fa --out both.tsv.gz",
        "danq predict runs/deepsea test.mat --out pred.h5 --format deepsea",
        "danq predict runs/human hg38.fa --tile 100 --out hg38-tracks/ --shard 2/8",
    )
)
@options.models()
@click.argument("input", metavar="INPUT", type=InputPath(dir_okay=False))
@options.out(
    type=str,
    help="Output; the extension selects the format: .tsv, .tsv.gz, .h5 or .parquet. A name "
    "without extension, or one that ends with a slash, is a directory with one bigWig per track "
    "(for BED files and --tile). - writes a TSV to standard output.",
)
@options.genome(help="Genome (FASTA) of a BED file.")
@click.option(
    "--tile",
    type=options.Size(),
    metavar="BASES",
    help="Treat INPUT as a genome: divide it into tiles of this size in bp, and predict each tile "
    "in the window centred on it.",
)
@click.option(
    "--region",
    metavar="REGION",
    help="With --tile, predict on one region: chrIV or chrIV:1-500000 (1-based, closed).",
)
@options.chrom_map(help="TSV with two columns: contig name in the BED file, name in the genome.")
@options.track()
@options.channels()
@measured()
@click.option(
    "--format",
    type=click.Choice(["tsv", "hdf5", "parquet", "bigwig", "deepsea"]),
    help="Output format; overrides the extension. deepsea writes HDF5 with an array pred "
    "(sequences, tracks), as DeepSEA's and DanQ's scripts do.",
)
@click.option(
    "--compress",
    type=click.Choice(["none", "gzip"]),
    help="Compression of HDF5; gzip writes a smaller file at a tenth of the speed.  "
    "[default: none]",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float16"]),
    help="Number type of HDF5; float16 halves the file and rounds probabilities by at most "
    "0.00025; amounts need float32.  [default: float32]",
)
@options.run_options()
@options.shard()
@options.resume()
@options.overwrite(help="Replace an existing output, or with --shard what the shard has stored.")
def predict(
    models: tuple[Path, ...],
    input: Path,
    out: str,
    genome: Path | None,
    tile: int | None,
    region: str | None,
    chrom_map: Path | None,
    channels: str | None,
    **given: Any,
) -> None:
    """Predict the probability of a peak, or the amount, for every track.

    MODEL is a run directory, model file or folder of folds. With several models, danq reports
    the mean and the sample standard deviation of their predictions.

    \b
    INPUT is one of:
      FASTA         one row per record; records longer than the window: one row per bin
      BED           one window per region, centred on it (needs --genome)
      genome FASTA  with --tile
      .mat .h5 .npz one-hot arrays, such as DeepSEA's testxdata
      -             one of these on standard input, copied to a temporary file first
    """
    from danq.inference.prediction.predict import write_predictions
    from danq.inference.sources import source_from_options
    from danq.inference.writers.hdf5_storage import Hdf5Storage

    source = source_from_options(
        input, genome, tile=tile, region=region, chrom_map=chrom_map, channels=channels
    )
    storage = Hdf5Storage(**options.pop(given, "compress", "dtype"))
    loaded = options.load_models(models, given)
    written = write_predictions(loaded, source, out, storage=storage, **given)
    show(written.describe(), written, err=options.is_stdout(out))
