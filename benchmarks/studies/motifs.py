"""Compare the filters of trained models with known motifs.

    python -m benchmarks.studies.motifs demo danq-demo
    python -m benchmarks.studies.motifs yeast runs/seed1 runs/yeast.h5

The first command compares the filters of a demo (`danq demo`) with the planted motifs, the second
those of a yeast model (`benchmarks.studies.yeast`) with consensus sequences of known factors. The
targets include shuffled motifs and, if DANQ_SHARED_DATA holds them, human motifs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness.arguments import make_parser
from benchmarks.harness.shared_data import SHARED_DATA
from benchmarks.studies.motif_recovery import motif_recovery
from danq.genome.motif_files import read_motifs
from danq.genome.motif_matrix import IUPAC, LETTERS, Motif
from danq.interpretation import MotifReport, find_motifs
from danq.interpretation.motifs.filter_sites import RULES
from danq.models import load_model
from danq.simulation.ground_truth import read_truth

COLLECTION = SHARED_DATA / "motifs-human/jaspar_2024_consensus.meme.gz"
YEAST_FACTORS = {
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
"""Consensus sequences from the literature."""


def consensus_motif(name: str, text: str, consensus: float = 0.94) -> Motif:
    """Motif of a consensus sequence in IUPAC letters.

    The bases of a letter share the frequency ``consensus``; the other bases share the rest.
    """
    bases_of = {letter: bases for bases, letter in IUPAC.items()} | {"N": LETTERS}
    rows = np.empty((len(text), 4))
    for row, letter in zip(rows, text, strict=True):
        bases = bases_of[letter]
        rest = (1 - consensus) / max(1, 4 - len(bases))
        row[:] = [consensus / len(bases) if base in bases else rest for base in LETTERS]
    return Motif(name, rows / rows.sum(axis=1, keepdims=True))


def human_motifs() -> Sequence[Motif]:
    """The collection, or nothing if the file does not exist."""
    return read_motifs(COLLECTION) if COLLECTION.is_file() else ()


def demo_table(folder: Path, report: MotifReport) -> pl.DataFrame:
    """Recovery of the demo's planted motifs, and whether each has an effect on a track."""
    truth = read_truth(folder / "simulation")
    effective = {name for rule in truth.model.rules for name in rule.motifs}
    table = motif_recovery(report.sites, truth.model.motifs, background=human_motifs())
    return table.with_columns(pl.col("motif").is_in(sorted(effective)).alias("has_effect"))


def main() -> None:
    """Print the table of recovered motifs for every rule."""
    parser = make_parser(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo")
    demo.add_argument("folder", type=Path, help="output of 'danq demo'")
    yeast = commands.add_parser("yeast")
    yeast.add_argument("model", type=Path)
    yeast.add_argument("data", type=Path)
    args = parser.parse_args()
    pl.Config.set_tbl_rows(-1).set_tbl_hide_dataframe_shape().set_tbl_hide_column_data_types()
    pl.Config.set_tbl_width_chars(140).set_tbl_cols(-1)
    for rule in RULES:
        if args.command == "demo":
            report = find_motifs(
                load_model(args.folder / "run"), args.folder / "dataset.h5", rule=rule
            )
            table = demo_table(args.folder, report)
            effective = table.filter("has_effect")
            summary = (
                f"{effective['found'].sum()} of {effective.height} motifs with an effect on a "
                f"track, {table['found'].sum()} of all {table.height} planted motifs"
            )
        else:
            report = find_motifs(load_model(args.model), args.data, rule=rule)
            known = [consensus_motif(*item) for item in YEAST_FACTORS.items()]
            table = motif_recovery(report.sites, known, background=human_motifs())
            summary = f"{table['found'].sum()} of {table.height} known motifs"
        shown = table.drop("p_value").with_columns(
            pl.col("e_value", "q_value").map_elements("{:.1e}".format, pl.String)
        )
        print(f"\n{rule}: {summary} at q <= 0.01", shown, sep="\n")


if __name__ == "__main__":
    main()
