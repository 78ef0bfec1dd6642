"""`danq merge`."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .show import show


@click.command(
    epilog=options.example(
        "danq variants runs/yeast all.vcf.gz --genome sacCer3.fa --out all.tsv.gz --shard 1/2",
        "danq variants runs/yeast all.vcf.gz --genome sacCer3.fa --out all.tsv.gz --shard 2/2",
        "danq merge all.tsv.gz",
        "danq predict runs/human hg38.fa --tile 100 --out hg38-tracks/ --shard 1/1",
        "danq merge hg38-tracks/",
    )
)
@click.argument("out", metavar="OUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.overwrite()
def merge(out: tuple[Path, ...], overwrite: bool) -> None:
    """Write outputs from their shards.

    OUT is the value of --out of danq variants, predict or mutate that the shards were computed with
    (--shard). danq verifies that all shards in the directories OUT.shard-I-of-N are there,
    complete, undamaged and of the same run, and writes their rows in the order of the input.
    Nothing is computed again, and neither the model nor the genome is needed. OUT is the same as
    without shards, byte for byte (HDF5: the same content). The shards are kept.
    """
    from danq.inference.merge_shards import merge as run

    for one in out:
        written = run(one, overwrite=overwrite)
        show(written.describe(), written, several=True)
