"""The factors that the simulator knows: what they bind, and by which rules."""

from __future__ import annotations

import numpy as np

from danq.genome.motif_matrix import IUPAC, LETTERS, Motif
from danq.simulation.binding_rules import Rule

FIRM, LOOSE = 0.95, 0.7
"""Share of a position's letter (its bases together), written in upper and in lower case."""

# Consensus sequences as textbooks give them; lower case where factors are less choosy.
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
"""One rule a track, by name: four factors that bind alone, a pair with a fixed order and spacing,
a pair with a range of spacings, a pair that need only be near, and one driven off by another."""

LOOKALIKES = ("CREB", "MAX")
"""Motifs that are planted but that no track listens to."""


def motif(name: str) -> Motif:
    """One motif of the catalogue as base frequencies.

    Parameters
    ----------
    name
        Key of ``CONSENSUS``.
    """
    bases_of = {letter: bases for bases, letter in IUPAC.items()} | {"N": "ACGT"}
    table = []
    for letter in CONSENSUS[name]:
        bases = bases_of[letter.upper()]
        share = FIRM if letter.isupper() else LOOSE
        rest = (1 - share) / max(1, 4 - len(bases))
        row = [share / len(bases) if base in bases else rest for base in LETTERS]
        table.append(np.array(row) / sum(row))
    return Motif(name, np.array(table))
