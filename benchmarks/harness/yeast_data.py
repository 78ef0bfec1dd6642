"""The yeast data set of the benchmarks: 64 ChIP-exo tracks in 500-bp windows."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.harness.shared_data import ROOT, YEAST
from danq.datasets import build_dataset
from danq.datasets.label_options import label_arguments
from danq.training import read_config

CONFIG = ROOT / "data/recipes/yeast/yeast.toml"
TRACKS = 64


def yeast_dataset(folder: Path, config: Path = CONFIG) -> Path:
    """Path of ``yeast.h5`` in a folder; the file is built if it does not exist.

    It holds the tracks with the most positive 200-bp bins.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, sheet = folder / "yeast.h5", folder / "tracks.tsv"
    if not path.exists():
        table = pl.read_csv(YEAST / "peaks/tracks.tsv", separator="\t")
        names = table.sort("n_pos_200bp_bins", descending=True)["track"].head(TRACKS)
        rows = [f"{name}\t{YEAST / 'peaks/w200' / name}.bed.gz\n" for name in names]
        sheet.write_text("name\tpath\n" + "".join(rows))
        arguments = {
            "genome": YEAST / "genome/sacCer3.fa.gz",
            "tracks": sheet,
            "exclude": YEAST / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz",
            **read_config(config).data.table,
        }
        build_dataset(path, **label_arguments(arguments))
    return path
