"""`danq variants`."""

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
        "danq variants runs/yeast strains.vcf.gz --genome sacCer3.fa --out effects.tsv",
        "danq variants runs/yeast strains.vcf.gz --genome sacCer3.fa --out annotated.vcf.gz \\",
        "    --track Reb1 --track Abf1 --scores logit",
        "danq variants runs/yeast chr*.vcf.gz --genome genome.fa --out all.tsv",
        "danq variants runs/yeast --background common.vcf.gz --genome sacCer3.fa --out common.h5",
        "danq variants runs/yeast hits.vcf --genome sacCer3.fa --calibrate common.h5 --out hits.h5",
        "danq variants runs/yeast all.bcf --genome sacCer3.fa --out all.parquet --shard 2/8",
    )
)
@click.argument(
    "paths",
    metavar="MODEL... [VARIANTS...]",
    nargs=-1,
    required=True,
    type=InputPath(allow_dash=True),
)
@options.genome(required=True, help="Reference genome, plain or compressed FASTA.")
@options.out(
    help="Output; the extension selects the format: .tsv, .tsv.gz, .h5, .parquet, or .vcf.gz (the "
    "input VCF with the scores as INFO fields). - writes a TSV to standard output. "
    "PATH.rejected.tsv lists the alleles without scores."
)
@click.option(
    "--format",
    type=click.Choice(["tsv", "hdf5", "parquet", "vcf", "deepsea"]),
    help="Output format; overrides the extension. deepsea writes DeepSEA's CSV files PATH.ref, "
    "PATH.alt, PATH.diff, PATH.logfoldchange and, with --calibrate, PATH.evalue.",
)
@click.option(
    "--scores",
    type=options.Names(),
    metavar="LIST",
    help="Comma-separated scores: logit (log2 odds ratio of alt to ref), diff (alt - ref), product "
    "(|diff * logit|), ref, alt (probabilities). Of amounts: log2fc (log2 fold change) instead of "
    "logit, and amounts instead of probabilities.  [default: all]",
)
@options.track()
@measured()
@click.option(
    "--ref-mismatch",
    type=click.Choice(["skip", "swap", "error"]),
    help="What to do if REF does not match the genome. skip: reject the allele; swap: exchange REF "
    "and ALT if ALT matches; error: stop.  [default: skip]",
)
@click.option(
    "--indel-anchor",
    type=click.Choice(["left", "both"]),
    help="For indels. left: align the REF and the ALT window at the base before the indel; both: "
    "also align them at the base after the indel, and average the scores of both alignments.  "
    "[default: left]",
)
@click.option(
    "--center",
    type=click.IntRange(min=1),
    metavar="INDEX",
    help="0-based position of the variant in the window. The minimum is 1, because the base before "
    "an indel must also be in the window.  [default: window/2 - 1]",
)
@click.option(
    "--haplotypes",
    metavar="SAMPLE",
    help="Put the other variants that SAMPLE has on the same haplotype into the REF and the ALT "
    "window (needs phased genotypes).",
)
@click.option(
    "--region",
    "within",
    multiple=True,
    metavar="REGION",
    help="Score only the records in a region of the genome: chrIV or chrIV:1-500000 (1-based, "
    "closed). May be repeated. A VCF or BCF with a tabix or CSI index is read only there.",
)
@options.chrom_map(help="TSV with two columns: contig name in the VCF, name in the genome.")
@click.option(
    "--no-assembly-check",
    "check_assembly",
    flag_value=False,
    default=None,
    is_flag=True,
    help="Score the variants although contig lengths or REF alleles show another assembly.",
)
@click.option(
    "--background",
    type=InputPath(dir_okay=False),
    metavar="VCF",
    help="Score these variants (usually common ones) instead of VARIANTS, and write a background "
    "file to --out (.h5).",
)
@click.option(
    "--regions",
    type=InputPath(dir_okay=False),
    metavar="BED",
    help="With --background: classes of regions, such as promoter, in column 4. p-values compare "
    "variants of the same class. Where classes overlap, the one that the file names first applies.",
)
@click.option(
    "--calibrate",
    type=InputPath(dir_okay=False),
    metavar="FILE",
    help="Background file: add p-values against background variants of the same kind and region, "
    "their q-values (Benjamini-Hochberg), DeepSEA's E-values and functional significance, and "
    "quantiles.",
)
@options.run_options(
    batch_size={
        "help": "Batch size (reference and alternate windows); on GPUs the default is 4096.  "
        "[default: 8192]"
    }
)
@options.tolerance()
@options.shard()
@click.option("--resume", is_flag=True, help="Resume an interrupted run or shard.")
@options.overwrite(help="Replace an existing output and discard an unfinished run.")
def variants(
    paths: tuple[Path, ...], background: Path | None, within: tuple[str, ...], **given: Any
) -> None:
    """Predict the effect of variants on every track.

    MODEL is a run directory, model file or folder of folds. With several models, danq reports
    the mean and the sample standard deviation of each score. VARIANTS is a VCF, a BCF or a
    table, plain or compressed, or - for standard input; several files are read one after the
    other, as one input. A table has the header chrom, pos
    (1-based), ref, alt and optionally id, or names that GWAS tables use, such as CHR, BP, A1
    and A2. danq scores each ALT allele, or lists it as rejected with a reason. Tracks of peaks
    have changes in probability and in log2 odds; tracks of amounts have differences and log2 fold
    changes, and the header of the output has their units. Models of oriented sequences score the
    forward strand of the genome. Completed chunks are stored in the directory PATH.unfinished,
    where PATH is the value of --out, so that --resume can continue an interrupted run.
    """
    from danq.inference.variants.score import write_variant_scores
    from danq.inference.variants.variant_source import Variants
    from danq.inference.variants.write_background import write_background

    if given["resume"] and given["overwrite"]:
        raise click.UsageError("--resume continues a run, --overwrite discards it; choose one.")
    models, files = options.split_models(paths, "variants")
    if background is not None:
        models, files = list(paths), [background]
    elif not models:
        raise click.UsageError("Give a model, then the variants or --background.")
    elif not files:
        raise click.UsageError(
            f"Give the variants after the models, or --background: {paths[-1]} is a "
            f"{'directory' if paths[-1].is_dir() else 'model'}."
        )
    if background is not None:
        for name in ("format", "scores", "haplotypes", "calibrate", "shard"):
            if given.pop(name) is not None:
                raise click.UsageError(f"--{name} does not apply to --background.")
    elif given["regions"] is not None:
        raise click.UsageError("--regions applies to --background; its output stores the regions.")
    given["within"] = within or None
    names = (
        "chrom_map",
        "within",
        "ref_mismatch",
        "haplotypes",
        "indel_anchor",
        "center",
        "check_assembly",
    )
    settings = options.pop(given, *names, "regions")
    write = write_variant_scores if background is None else write_background
    loaded = options.load_models(
        models, given, input_option=None if background is None else "--background"
    )
    source = str(files[0]) if len(files) == 1 else list(map(str, files))
    written = write(loaded, Variants(source, **settings), **given)
    show(written.describe(), written, err=options.is_stdout(given["out"]))
