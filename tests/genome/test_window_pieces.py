"""Windows as pieces: selection, joining, keys and bases that are given."""

from __future__ import annotations

import numpy as np
import pytest

from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import from_table, longest_allele
from danq.genome.variants.allele_windows import anchored_pieces
from danq.genome.variants.variant_block import VariantBlock
from danq.genome.variants.window_pieces import OUTSIDE, WindowPieces

WINDOW = 40
LETTERS = "ACGT"


def genome(seed: int = 0) -> PackedGenome:
    rng = np.random.default_rng(seed)
    contigs = []
    for name, size in (("a", 203), ("b", 61), ("c", 402)):
        codes = rng.integers(0, 4, size, dtype=np.uint8)
        codes[30:33] = 4
        codes[-9] = 4
        contigs.append((name, codes))
    return PackedGenome.from_contigs(contigs)


def block(stored: PackedGenome, count: int = 120, seed: int = 1) -> VariantBlock:
    """Substitutions, insertions and deletions everywhere, also at the ends of contigs."""
    rng = np.random.default_rng(seed)
    rows = []
    while len(rows) < count:
        name = stored.names[rng.integers(3)]
        size = int(rng.choice([1, 1, 2, 5]))
        start = int(rng.integers(0, stored.contigs[name] - size + 1))
        codes = stored.codes(name, start, start + size)
        if (codes == 4).any():
            continue
        ref = "".join(LETTERS[code] for code in codes)
        alt = "".join(rng.choice(list(LETTERS), int(rng.choice([1, 1, 3, 6]))))
        if alt != ref:
            rows.append((name, start + 1, ref, alt))
    with from_table(rows, stored, longest=longest_allele(WINDOW), block=len(rows)) as reader:
        return next(iter(reader))


def both(stored: PackedGenome) -> WindowPieces:
    made = anchored_pieces(stored, block(stored), WINDOW)
    return WindowPieces.concatenated([made.reference, made.alternate])


def test_references_are_pieces_of_the_contig():
    made = anchored_pieces(genome(), block(genome()), WINDOW)
    counts = np.diff(made.reference.first)
    assert (counts[~made.padded] == 1).all()
    assert (counts[made.padded] <= 2).all()
    assert counts.max() == 2
    assert (made.reference.source >= OUTSIDE).all()
    assert (np.diff(made.alternate.first) >= 2).any()


@pytest.mark.parametrize("rows", [slice(3, 50), np.array([5, 5, 0, 239, 17]), np.arange(0)])
def test_selected_windows_have_the_same_codes(rows):
    pieces, stored = both(genome()), genome()
    np.testing.assert_array_equal(pieces[rows].written(stored), pieces.written(stored)[rows])
    np.testing.assert_array_equal(pieces[rows].keys, pieces.keys[rows])


def test_joined_windows_have_the_same_codes():
    stored = genome()
    made = anchored_pieces(stored, block(stored), WINDOW)
    parts = [made.alternate, made.reference[2:9], made.alternate[:0], made.alternate[5:]]
    joined = WindowPieces.concatenated(parts)
    expected = np.concatenate([part.written(stored) for part in parts])
    np.testing.assert_array_equal(joined.written(stored), expected)
    np.testing.assert_array_equal(joined.keys, np.concatenate([part.keys for part in parts]))


def test_keys_are_equal_for_equal_windows_only():
    stored = genome()
    pieces = both(stored)
    codes = pieces.written(stored)
    by_key: dict[bytes, int] = {}
    for row, key in enumerate(pieces.keys):
        np.testing.assert_array_equal(codes[by_key.setdefault(key.tobytes(), row)], codes[row])
    repeated = both(stored)
    np.testing.assert_array_equal(repeated.keys, pieces.keys)
    # Windows at different positions and different alleles have different keys.
    assert len(by_key) >= len(np.unique(codes, axis=0))
    assert len(by_key) > 150


def test_bases_that_are_given_are_those_not_read_from_a_contig():
    stored = genome()
    pieces = both(stored)
    index, given = pieces.given()
    codes = pieces.written(stored).ravel()
    np.testing.assert_array_equal(codes[index], given)
    assert (np.diff(np.sort(index)) > 0).all()
    other = PackedGenome.from_contigs(
        [(name, (stored.codes(name) + 1) % 4) for name in stored.names]
    )
    changed = np.flatnonzero(pieces.written(other).ravel() != codes)
    assert np.intersect1d(changed, index).size == 0


def test_windows_over_runs_of_n_are_found():
    stored = genome()
    pieces = both(stored)
    # Bases outside a contig and in alleles are not in runs; alleles have no N here.
    codes = pieces.written(stored).ravel()
    codes[pieces.given()[0]] = 0
    expected = (codes.reshape(len(pieces), WINDOW) == 4).any(axis=1)
    np.testing.assert_array_equal(pieces.unknown(stored), expected)
    assert 0 < expected.sum() < len(expected)
    bare = PackedGenome.from_contigs([("a", np.zeros(90, np.uint8))])
    assert not both_of_one(bare).unknown(bare).any()


def both_of_one(stored: PackedGenome) -> WindowPieces:
    with from_table([("a", 50, "A", "C")], stored, longest=9, block=1) as reader:
        return anchored_pieces(stored, next(iter(reader)), WINDOW).alternate
