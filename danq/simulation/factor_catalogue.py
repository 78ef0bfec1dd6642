"""The factors of the simulator: their motifs and binding rules."""

from __future__ import annotations

import numpy as np

from danq.genome.motif_matrix import IUPAC, LETTERS, Motif
from danq.simulation.binding_rules import Rule

UPPER, LOWER = 0.95, 0.7
"""Total frequency of the bases of a letter in upper case and in lower case."""

# Textbook consensus sequences; lower case at less specific positions.
CONSENSUS = {
    "ABF1": "RTCAYtnnnnACGa",
    "AP1": "rTGAGTCAy",
    "CREB": "rTGACGTCAy",
    "CTCF": "yrrCCASyAGRKGGCrsy",
    "ETS": "rCCGGAAGTr",
    "FOXA": "wTGTTTACwy",
    "GATA": "sWGATAAGr",
    "HNF4A": "rGGbCAAAGkyCA",
    "MAX": "rCCACGTGGy",
    "NRF1": "yGCGCAtGCGCr",
    "REST": "TTCAGCACCayGGACAGcGCC",
    "SP1": "rGGGGCGGGGy",
    "TAL1": "raCAGMTGk",
}
RULES = (
    Rule("ABF1", anchor="ABF1"),
    Rule("CTCF", anchor="CTCF"),
    Rule("ETS1", anchor="ETS", partner="AP1", gap=(1, 3), side="downstream"),
    Rule("GATA1", anchor="GATA", partner="TAL1", gap=(5, 12)),
    Rule("HNF4A", anchor="HNF4A", partner="FOXA", gap=(0, 50)),
    Rule("NRF1", anchor="NRF1"),
    Rule("REST", anchor="REST"),
    Rule("SP1", anchor="SP1", blocker="REST", reach=50),
)
"""One rule per track, sorted by name: four factors that bind alone, a pair with a fixed order and
spacing, a pair with a range of spacings, a pair within a distance, and a factor with a blocker."""

LOOKALIKES = ("CREB", "MAX")
"""Motifs that are planted but that no rule needs."""


def motif(name: str) -> Motif:
    """A motif of the catalogue as base frequencies.

    Parameters
    ----------
    name
        Key of ``CONSENSUS``.
    """
    bases_of = {letter: bases for bases, letter in IUPAC.items()} | {"N": "ACGT"}
    table = []
    for letter in CONSENSUS[name]:
        bases = bases_of[letter.upper()]
        share = UPPER if letter.isupper() else LOWER
        rest = (1 - share) / max(1, 4 - len(bases))
        row = [share / len(bases) if base in bases else rest for base in LETTERS]
        table.append(np.array(row) / sum(row))
    return Motif(name, np.array(table))
