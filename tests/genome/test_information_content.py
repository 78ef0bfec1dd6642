from __future__ import annotations

import numpy as np
import pytest
from Bio import motifs as bio

from danq.genome.information_content import (
    core,
    information_content,
    letter_heights,
    trim,
)
from danq.genome.motif_matrix import Motif


def test_known_values():
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(information_content(rows), [0, 2, 1])


def test_values_equal_those_of_biopython():
    counts = np.random.default_rng(0).integers(1, 50, (9, 4))
    motif = bio.Motif(alphabet="ACGT", counts=dict(zip("ACGT", counts.T.tolist(), strict=True)))
    rows = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(information_content(rows), motif.relative_entropy)


def test_letter_heights_of_a_position_sum_to_its_information_content():
    rows = np.random.default_rng(1).dirichlet(np.ones(4), 7)
    heights = letter_heights(rows)
    np.testing.assert_allclose(heights.sum(axis=1), information_content(rows))
    np.testing.assert_array_equal(heights.argmax(axis=1), rows.argmax(axis=1))


def test_the_core_keeps_uninformative_positions_between_informative_ones():
    uniform, certain = [0.25] * 4, [0, 0, 1, 0]
    motif = Motif("m", np.array([uniform, certain, uniform, certain, uniform, uniform]), 12)
    assert core(motif.probabilities) == slice(1, 4)
    short = trim(motif)
    assert short is not None
    np.testing.assert_array_equal(short.probabilities, [certain, uniform, certain])
    assert (short.name, short.nsites) == ("m", 12)
    assert trim(Motif("flat", np.array([uniform] * 5))) is None


@pytest.mark.parametrize("limit", [0.5, 2.0])
def test_a_position_with_exactly_the_minimum_is_in_the_core(limit):
    rows = np.array([[0.25] * 4, [1, 0, 0, 0], [0.25] * 4])
    assert core(rows, limit) == slice(1, 2)
