from __future__ import annotations

import numpy as np
import pytest
from Bio.motifs import matrix
from Bio.motifs.thresholds import ScoreDistribution

from danq.genome.motif_choice import choose_motif
from danq.genome.motif_files import Motif
from danq.genome.motif_instances import count_instances, find_instances, match_threshold
from danq.genome.nucleotide_codes import encode


def random_motif(width: int, seed: int) -> Motif:
    return Motif("m", np.random.default_rng(seed).dirichlet(np.full(4, 0.4), width))


@pytest.mark.parametrize(("width", "seed"), [(8, 0), (12, 1), (15, 2)])
def test_the_threshold_is_that_of_biopython(width: int, seed: int) -> None:
    motif = random_motif(width, seed)
    table = motif.log_odds()
    scores = matrix.PositionSpecificScoringMatrix(
        "ACGT", {base: list(table[:, code]) for code, base in enumerate("ACGT")}
    )
    flat = dict.fromkeys("ACGT", 0.25)
    theirs = ScoreDistribution(pssm=scores, background=flat, precision=200).threshold_fpr(1e-4)
    assert match_threshold(motif) == pytest.approx(theirs, abs=0.2)


def test_a_threshold_keeps_its_p_value() -> None:
    motif = random_motif(8, 3)
    table = motif.log_odds()
    every = np.array(np.meshgrid(*8 * [range(4)], indexing="ij")).reshape(8, -1).T
    scores = table[np.arange(8), every].sum(axis=1)
    for p_value in (1e-2, 1e-3, 1e-4):
        share = (scores >= match_threshold(motif, p_value)).mean()
        assert 0.8 * p_value < share <= 1.1 * p_value


def test_a_short_sequence_matches_itself_on_both_strands() -> None:
    codes = encode("TTTGATAAGTTTTTCTTATCTT")[None]
    inside = find_instances(codes, choose_motif("GATAAG"))
    assert np.flatnonzero(inside[0]).tolist() == [*range(3, 9), *range(14, 20)]
    assert count_instances(inside) == 2
    assert not find_instances(encode("TTTGATAACTTT")[None], choose_motif("GATAAG")).any()


def test_ambiguous_letters_match_their_bases_and_n_matches_none() -> None:
    codes = np.stack([encode("TTGATAAT"), encode("TTGAGAAT"), encode("TTGANAAT")])
    found = find_instances(codes, choose_motif("GAKAA")).any(axis=1)
    assert found.tolist() == [True, True, False]


def test_matches_that_overlap_are_one_instance() -> None:
    inside = find_instances(encode("CCAAAAAACC")[None], choose_motif("AAAA"))
    assert np.flatnonzero(inside[0]).tolist() == list(range(2, 8))
    assert count_instances(inside) == 1


def test_a_sequence_shorter_than_the_motif_has_no_instance() -> None:
    assert not find_instances(encode("ACG")[None], choose_motif("ACGTACGT")).any()
