"""Which motifs trained models have learned: those planted by the simulator, and yeast's known ones.

    python -m benchmarks.studies.motifs demo danq-demo
    python -m benchmarks.studies.motifs yeast runs/seed1 runs/yeast.h5

The first holds the filters of a demo (`danq demo`) against the simulation's truth, the second
those of a yeast model (`benchmarks.studies.yeast`) against consensus sequences of known factors.
Among the targets stand shuffled motifs and, from the folder that DANQ_SHARED_DATA names, if it is
there, human ones.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import IUPAC, LETTERS, Motif
from danq.interpretation import MotifReport, find_motifs
from danq.interpretation.motifs.filter_sites import RULES
from danq.interpretation.motifs.motif_recovery import recovery
from danq.simulation.ground_truth import read_truth

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "motifs-human/jaspar_2024_consensus.meme.gz"
YEAST = {
    "Reb1": "RTTACCCGS",
    "Abf1": "RTCRYNNNNNACG",
    "Rap1": "ACACCCRYACAYM",
    "Cbf1": "RTCACRTG",
    "TATA": "TATAWAWR",
    "Fkh1": "GTAAACAA",
    "Gcn4": "RTGASTCAY",
    "Hsf1": "TTCNNGAANNTTC",
    "Mbp1": "WACGCGTW",
    "Mcm1": "CCYNNNNRGG",
    "Msn2": "AAGGGGM",
    "Rpn4": "GGTGGCAAA",
    "Ste12": "TGAAACA",
    "Swi4": "CRCGAAAA",
    "Tbf1": "ARCCCTAA",
    "Ume6": "TAGCCGCCGA",
}
"""Consensus sequences as the literature gives them; the first four are asked after by name."""

SHARE = 0.94
"""Frequency of a position's letter, its bases together."""


def consensus_motif(name: str, text: str) -> Motif:
    """Base frequencies of a consensus sequence in IUPAC letters."""
    bases_of = {letter: bases for bases, letter in IUPAC.items()} | {"N": LETTERS}
    rows = np.empty((len(text), 4))
    for row, letter in zip(rows, text, strict=True):
        bases = bases_of[letter]
        rest = (1 - SHARE) / max(1, 4 - len(bases))
        row[:] = [SHARE / len(bases) if base in bases else rest for base in LETTERS]
    return Motif(name, rows / rows.sum(axis=1, keepdims=True))


def human_motifs() -> Sequence[Motif]:
    """The collection, or nothing where it is not at hand."""
    folder = Path(os.environ.get("DANQ_SHARED_DATA", ROOT.parent / "shared/data"))
    path = folder / COLLECTION
    return read_motifs(path) if path.is_file() else ()


def demo_table(folder: Path, report: MotifReport) -> pl.DataFrame:
    """Recovery of the demo's planted motifs, and whether a track listens to each."""
    truth = read_truth(folder / "simulation")
    heard = {name for rule in truth.model.rules for name in rule.motifs}
    table = recovery(report.sites, truth.model.motifs, background=human_motifs())
    return table.with_columns(pl.col("motif").is_in(sorted(heard)).alias("has_effect"))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = parser.add_subparsers(dest="part", required=True)
    demo = parts.add_parser("demo")
    demo.add_argument("folder", type=Path, help="what 'danq demo' made")
    yeast = parts.add_parser("yeast")
    yeast.add_argument("model", type=Path)
    yeast.add_argument("data", type=Path)
    args = parser.parse_args()
    pl.Config.set_tbl_rows(-1).set_tbl_hide_dataframe_shape().set_tbl_hide_column_data_types()
    pl.Config.set_tbl_width_chars(140).set_tbl_cols(-1)
    for rule in RULES:
        if args.part == "demo":
            run, data = args.folder / "run", args.folder / "dataset.h5"
            report = find_motifs(run, data, rule=rule)
            table = demo_table(args.folder, report)
            counted = table.filter("has_effect")
            figure = (
                f"{counted['found'].sum()} of {counted.height} motifs with an effect on a track, "
                f"{table['found'].sum()} of all {table.height} planted"
            )
        else:
            report = find_motifs(args.model, args.data, rule=rule)
            known = [consensus_motif(*item) for item in YEAST.items()]
            table = recovery(report.sites, known, background=human_motifs())
            figure = f"{table['found'].sum()} of {table.height} known motifs"
        shown = table.drop("p").with_columns(
            pl.col("e", "q").map_elements("{:.1e}".format, pl.String)
        )
        print(f"\n{rule}: {figure} at q <= 0.01", shown, sep="\n")


if __name__ == "__main__":
    main()
