"""Shuffled sequences with the same dinucleotides."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.genome.dinucleotide_shuffle import dinucleotide_shuffles
from danq.genome.nucleotide_codes import N


def _parts(codes):
    """Runs of known bases: start, and the bases."""
    known = np.flatnonzero(codes != N)
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    return [(int(run[0]), codes[run].tolist()) for run in runs if len(run)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 0, 1]), max_size=60), st.integers(0, 2**64 - 1))
def test_dinucleotides_of_each_part_stay(letters, seed):
    codes = np.array(letters, np.uint8)
    for one in dinucleotide_shuffles(codes, 5, seed):
        assert len(one) == len(codes)
        for (start, part), (shuffled_start, shuffled) in zip(
            _parts(codes), _parts(one), strict=True
        ):
            assert start == shuffled_start
            assert (part[0], part[-1]) == (shuffled[0], shuffled[-1])
            assert Counter(pairwise(part)) == Counter(pairwise(shuffled))


def _all_orders(codes):
    """Every sequence with the dinucleotides and the first base of a sequence."""
    counts = Counter(pairwise(codes))
    first, *others = codes
    orders = {(first, *order) for order in permutations(others)}
    return {order for order in orders if Counter(pairwise(order)) == counts}


@pytest.mark.parametrize("text", ["0102010", "00110011", "012012021", "01320321"])
def test_all_possible_sequences_are_equally_likely(text):
    codes = [int(letter) for letter in text]
    possible = _all_orders(codes)
    assert len(possible) > 1
    count = 4000 * len(possible)
    drawn = Counter(map(tuple, dinucleotide_shuffles(np.array(codes, np.uint8), count, 3).tolist()))
    assert set(drawn) == possible
    expected = count / len(possible)
    squares = sum((seen - expected) ** 2 / expected for seen in drawn.values())
    # Chi-square with k - 1 degrees of freedom: mean k - 1, variance 2 (k - 1).
    free = len(possible) - 1
    assert squares < free + 4.5 * (2 * free) ** 0.5


def test_a_shuffle_depends_on_its_number_and_the_seed_only():
    codes = np.random.default_rng(0).integers(0, 4, 500).astype(np.uint8)
    few, many = dinucleotide_shuffles(codes, 3, 7), dinucleotide_shuffles(codes, 10, 7)
    assert (few == many[:3]).all()
    assert (dinucleotide_shuffles(codes, 3, 8) != few).any()
    assert len({row.tobytes() for row in many}) == 10
    assert (few != codes).mean() > 0.5


def test_short_and_empty_sequences():
    assert dinucleotide_shuffles(np.empty(0, np.uint8), 2).shape == (2, 0)
    assert dinucleotide_shuffles(np.array([4, 1, 4], np.uint8), 2).tolist() == [[4, 1, 4]] * 2
    assert dinucleotide_shuffles(np.array([0, 1], np.uint8), 0).shape == (0, 2)
    with pytest.raises(ValueError, match="count is -1"):
        dinucleotide_shuffles(np.zeros(4, np.uint8), -1)
