"""Recovery of known motifs by filters whose sites are given."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies.motif_recovery import motif_recovery
from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.simulation.factor_catalogue import CONSENSUS, motif

MOTIF = np.eye(4)[[2, 0, 3, 0, 0, 2, 1, 3]]  # GATAAGCT


@pytest.fixture
def sites() -> FilterSites:
    """Filter 0 detects the motif between unspecific positions, filter 1 its reverse complement."""
    flank = np.full((2, 4), 0.25)
    forward = np.concatenate([flank, MOTIF, flank])
    counts = np.stack([forward, forward[::-1, ::-1], np.zeros((12, 4))]) * 100
    return FilterSites(
        counts=counts.astype(np.int64),
        sites=np.array([100, 100, 0]),
        maximum=np.array([1, 1, -1], np.float32),
        active=np.array([100, 100, 0]),
        sequences=400,
        widths=np.full(3, 12),
    )


def test_recovery_finds_the_planted_motif_and_no_other(sites):
    known = [Motif("planted", MOTIF), motif("CTCF")]
    table = motif_recovery(sites, known, background=[motif(name) for name in CONSENSUS])
    assert table["found"].to_list() == [True, False]
    assert table["filters"].to_list() == [2, 0]
    assert table["best_of"].to_list() == [2, 0]
    assert table["consensus"][0] in ("GATAAGCT", "AGCTTATC")
    with pytest.raises(InputError, match="2 motifs cannot be compared with 0"):
        motif_recovery(sites, [])
