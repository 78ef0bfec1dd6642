from __future__ import annotations

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.shuffle import _plain_shuffle, dinucleotide_shuffle


@settings(deadline=None, max_examples=100)
@given(st.text(alphabet="ACGTN", max_size=80), st.integers(0, 2**32))
def test_dinucleotides_and_both_ends_are_kept(text, seed):
    shuffled = decode(dinucleotide_shuffle(encode(text), seed))
    assert Counter(pairwise(shuffled)) == Counter(pairwise(text))
    assert (shuffled[:1], shuffled[-1:]) == (text[:1], text[-1:])


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="ACGTN", min_size=4, max_size=80), st.integers(0, 2**32))
def test_kernel_equals_its_plain_twin(text, seed):
    codes = encode(text)
    plain = _plain_shuffle(codes, np.random.default_rng(seed))
    assert np.array_equal(dinucleotide_shuffle(codes, seed), plain)


def test_the_result_depends_on_the_seed():
    codes = np.random.default_rng(0).integers(0, 4, 1000, dtype=np.uint8)
    before = codes.copy()
    one = dinucleotide_shuffle(codes, 1)
    assert np.array_equal(one, dinucleotide_shuffle(codes, 1))
    assert not np.array_equal(one, dinucleotide_shuffle(codes, 2))
    assert (one != codes).mean() > 0.5
    assert np.array_equal(codes, before)
    assert np.array_equal(one, dinucleotide_shuffle(codes, np.random.default_rng(1)))


@pytest.mark.parametrize("text", ["ACAGATCA", "AACCAGACC", "ACNCTNACG"])
def test_every_possible_shuffle_is_equally_frequent(text):
    pairs = Counter(pairwise(text))
    possible = {
        text[0] + "".join(middle) + text[-1]
        for middle in permutations(text[1:-1])
        if Counter(pairwise(text[0] + "".join(middle) + text[-1])) == pairs
    }
    assert len(possible) >= 4
    codes = encode(text)
    draws = 400 * len(possible)
    generator = np.random.default_rng(7)
    found = Counter(decode(dinucleotide_shuffle(codes, generator)) for _ in range(draws))
    assert set(found) == possible
    assert chisquare(list(found.values())).pvalue > 0.001


def test_wrong_arguments_are_refused():
    with pytest.raises(InputError, match=r"codes are int64 of shape \(2,\)"):
        dinucleotide_shuffle(np.array([0, 1]), 1)
    with pytest.raises(InputError, match="codes are uint8 of shape"):
        dinucleotide_shuffle(np.zeros((2, 2), dtype=np.uint8), 1)
    with pytest.raises(InputError, match="a code of 9 is above 4"):
        dinucleotide_shuffle(np.array([0, 9], dtype=np.uint8), 1)
    with pytest.raises(InputError, match="the seed is -1, below 0"):
        dinucleotide_shuffle(encode("ACGT"), -1)
