from __future__ import annotations

import numpy as np
import pytest
from Bio import motifs as bio

from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.information_content import (
    core,
    information,
    letter_heights,
    trimmed,
)


def test_closed_forms():
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(information(rows), [0, 2, 1])
    np.testing.assert_allclose(information(rows, (0.5, 0.25, 0.125, 0.125))[1:], [1, 0.5])


def test_biopython_says_the_same():
    counts = np.random.default_rng(0).integers(1, 50, (9, 4))
    motif = bio.Motif(alphabet="ACGT", counts=dict(zip("ACGT", counts.T.tolist(), strict=True)))
    rows = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(information(rows), motif.relative_entropy)


def test_letters_of_a_position_add_up_to_its_information():
    rows = np.random.default_rng(1).dirichlet(np.ones(4), 7)
    heights = letter_heights(rows)
    np.testing.assert_allclose(heights.sum(axis=1), information(rows))
    np.testing.assert_array_equal(heights.argmax(axis=1), rows.argmax(axis=1))


def test_the_core_keeps_weak_positions_between_strong_ones():
    even, sure = [0.25] * 4, [0, 0, 1, 0]
    motif = Motif("m", np.array([even, sure, even, sure, even, even]), 12)
    assert core(motif.probabilities) == slice(1, 4)
    short = trimmed(motif)
    assert short is not None
    np.testing.assert_array_equal(short.probabilities, [sure, even, sure])
    assert (short.name, short.nsites) == ("m", 12)
    assert trimmed(Motif("flat", np.array([even] * 5))) is None


@pytest.mark.parametrize("limit", [0.5, 2.0])
def test_the_limit_counts_as_enough(limit):
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.25] * 4])
    assert core(rows, limit) == slice(1, 2)
