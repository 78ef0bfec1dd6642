from __future__ import annotations

import numpy as np
import pytest

from danq.datasets.identical_windows import find_identical
from danq.datasets.shared_sequence import WindowTable
from danq.genome.packed_genome import PackedGenome


def texts(contigs, window, contig, first, split):
    """Windows of a dataset as text, without those that have an unknown base."""
    found = {}
    for row, (number, start) in enumerate(zip(contig, first, strict=True)):
        codes = contigs[number][max(0, start) : start + window]
        if start >= 0 and len(codes) == window and codes.max() < 4:
            found[row] = bytes(codes), bytes(3 - codes[::-1])
    return found


@pytest.mark.parametrize("window", [40, 99, 500, 1000])
@pytest.mark.parametrize("seed", range(4))
def test_identical_windows_are_those_of_a_search_of_text(window, seed):
    rng = np.random.default_rng(seed)
    contigs = [rng.integers(0, 4, 12_001).astype(np.uint8) for _ in range(3)]
    for number in range(6):
        length = int(rng.integers(window, 3 * window))
        source = int(rng.integers(0, 12_000 - length))
        target = int(rng.integers(0, 12_000 - length))
        copy = contigs[0][source : source + length].copy()
        copy = 3 - copy[::-1] if number % 2 else copy
        if number > 3:
            copy[length // 2] = (copy[length // 2] + 1) % 4
        contigs[1 + number % 2][target : target + length] = copy
    contigs[0][5000:5003] = 4
    genome = PackedGenome.from_contigs([(f"c{n}", codes) for n, codes in enumerate(contigs)])
    starts = np.arange(-window // 2, 12_001 - window // 2, 37)
    contig = np.repeat(np.arange(3), starts.size)
    first = np.tile(starts, 3)
    split = np.minimum(contig, 2).astype(np.uint8)
    found = find_identical(WindowTable(genome, contig, first, split, window))
    whole = bytes(contigs[0])
    # Windows of the training contig overlap, so their union is the contig up to its last window.
    end = int(first[contig == 0].max()) + window
    whole = whole[: min(end, len(whole))]
    readable = texts(contigs, window, contig, first, split)
    expected = {
        row
        for row, (text, reverse) in readable.items()
        if split[row] and (text in whole or reverse in whole)
    }
    assert {row for row in np.flatnonzero(found).tolist() if row in readable} == expected
    assert expected


def test_nothing_is_found_in_random_sequence_or_without_training_windows():
    rng = np.random.default_rng(0)
    genome = PackedGenome.from_contigs([("a", rng.integers(0, 4, 50_000).astype(np.uint8))])
    first = np.arange(0, 49_000, 200)
    split = np.where(first > 40_000, 2, 0).astype(np.uint8)
    split[(first > 38_000) & (first <= 40_000)] = 1
    contig = np.zeros(first.size, np.int64)
    apart = np.abs(first - 38_000) > 2000
    kept = apart & (np.abs(first - 40_000) > 2000)
    assert not find_identical(
        WindowTable(genome, contig[kept], first[kept], split[kept], 1000)
    ).any()
    assert not find_identical(WindowTable(genome, contig, first, np.ones_like(split), 1000)).any()


def test_long_repeats_do_not_make_the_search_slow_or_wrong():
    genome = PackedGenome.from_contigs([("a", np.zeros(400_000, np.uint8))])
    first = np.arange(0, 399_000, 500)
    split = (first > 200_000).astype(np.uint8)
    contig = np.zeros(first.size, np.int64)
    found = find_identical(WindowTable(genome, contig, first, split, 1000))
    assert not found[split == 0].any()
