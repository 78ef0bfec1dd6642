"""The yeast data set of the benchmarks: ChIP-exo tracks in windows of a recipe."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.harness.shared_data import ROOT, YEAST
from danq.datasets import build_dataset
from danq.datasets.label_options import label_arguments
from danq.training import read_config

CONFIG = ROOT / "data/recipes/yeast/yeast.toml"
SEGMENTS = ROOT / "data/recipes/yeast/segments.toml"
TRACKS = 64
ALL_TRACKS = 257
"""Tracks with at least 100 peaks, for which there are files."""


def yeast_dataset(folder: Path, config: Path = CONFIG, tracks: int = TRACKS) -> Path:
    """Path of ``yeast.h5`` in a folder; the file is built if it does not exist.

    It holds the tracks with the most positive 200-bp bins, in decreasing order of their number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, sheet = folder / "yeast.h5", folder / "tracks.tsv"
    if not path.exists():
        table = pl.read_csv(YEAST / "peaks/tracks.tsv", separator="\t")
        names = table.sort("n_pos_200bp_bins", descending=True)["track"]
        kept = [one for one in names if (YEAST / "peaks/w200" / f"{one}.bed.gz").exists()]
        rows = [f"{name}\t{YEAST / 'peaks/w200' / name}.bed.gz\n" for name in kept[:tracks]]
        sheet.write_text("name\tpath\n" + "".join(rows))
        arguments = {
            "genome": YEAST / "genome/sacCer3.fa.gz",
            "tracks": sheet,
            "exclude": YEAST / "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz",
            **read_config(config).data.table,
        }
        build_dataset(path, **label_arguments(arguments))
    return path
