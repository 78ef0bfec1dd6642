from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.genome.gapped_kmers import _plain_count_gapped_kmers, count_gapped_kmers, kmer_bases
from danq.genome.nucleotide_codes import decode, encode


@settings(max_examples=15)
@given(
    rows=st.integers(0, 12),
    length=st.integers(1, 40),
    gaps=st.lists(st.integers(0, 6), min_size=1, max_size=3, unique=True),
    seed=st.integers(0, 2**31),
)
def test_kernel_equals_its_plain_twin(rows, length, gaps, seed):
    rng = np.random.default_rng(seed)
    codes = rng.choice(5, (rows, length), p=[0.3, 0.3, 0.2, 0.15, 0.05]).astype(np.uint8)
    labels = (rng.random((rows, 3)) < 0.4).astype(np.uint8)
    got = count_gapped_kmers(codes, labels, gaps)
    expected = _plain_count_gapped_kmers(codes, labels, gaps)
    np.testing.assert_array_equal(got[0], expected[0])
    np.testing.assert_array_equal(got[1], expected[1])


def test_counts_equal_those_of_a_regular_expression():
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 4, (60, 80)).astype(np.uint8)
    codes[::3, 30:41] = encode("TCACAAGACGA")  # TCAC nnn ACGA
    labels = np.zeros((60, 1), np.uint8)
    labels[::6] = 1
    counts, totals = count_gapped_kmers(codes, labels, [3])
    pattern = re.compile("(?=TCAC[ACGT]{3}ACGA|TCGT[ACGT]{3}GTGA)")
    has = np.array([bool(pattern.search(decode(row))) for row in codes])
    word = next(w for w in np.flatnonzero(totals[0] == has.sum()) if named(w) == "TCACNNNACGA")
    assert totals[0, word] >= 20
    assert counts[0, 0, word] == (has & (labels[:, 0] == 1)).sum()


def named(word: int) -> str:
    return decode(kmer_bases(int(word), 3))


def test_a_kmer_counts_once_per_window_on_either_strand():
    twice = encode("ACGGTTCA" + "ACGGTTCA")[None]
    other = encode("TGAACCGT" * 2)[None]
    for codes in (twice, other):
        counts, totals = count_gapped_kmers(codes, np.ones((1, 1), np.uint8), [0])
        assert totals.max() == 1
        assert counts.sum() == totals.sum()
    assert np.array_equal(
        count_gapped_kmers(twice, np.ones((1, 1), np.uint8), [0])[1],
        count_gapped_kmers(other, np.ones((1, 1), np.uint8), [0])[1],
    )
