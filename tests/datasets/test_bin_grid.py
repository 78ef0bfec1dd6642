from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.datasets import bin_grid as g
from danq.datasets.splits import HeldOutRegion
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome

CONTIGS = {"one": 2_050, "tiny": 90, "two": 1_000}


def test_whole_bins_tile_each_contig():
    grid = g.Grid.over(CONTIGS, g.Geometry(300, 100))
    assert [grid.size(name) for name in CONTIGS] == [20, 0, 10]
    contig, start = grid.positions(np.array([0, 19, 20, 29]))
    assert contig.tolist() == [0, 0, 2, 2]
    assert start.tolist() == [0, 1900, 0, 900]
    assert [g.bins_of(size, g.Geometry(300, 100, 25)) for size in (99, 100, 125)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((100, 200), "a window of 100 bases is smaller than the bin of 200"),
        ((0, 0), "a window of 0 bases is below 1"),
        ((500, 200, 0), "a stride of 0 bases is below 1"),
        ((500, 200, 150), "a stride of 150 bases neither divides the bin of 200"),
        ((500, 200, 300), "a stride of 300 bases neither divides the bin of 200"),
    ],
)
def test_bad_sizes_are_refused(sizes, message: str):
    with pytest.raises(InputError, match=message):
        g.Geometry(*sizes)


def test_too_many_bins_are_refused():
    with pytest.raises(InputError, match="5,000,000,000 bins are more than 4,294,967,295"):
        g.Grid.over({"one": 5 * 10**9}, g.Geometry(1, 1))


@given(
    st.lists(st.tuples(st.integers(0, 1_990), st.integers(1, 300)), max_size=5),
    st.sampled_from([10, 50, 100, 300]),
)
def test_a_bin_that_shares_a_base_with_a_region_is_excluded(regions, stride: int):
    geometry = g.Geometry(300, 100, stride)
    grid = g.Grid.over({"one": 2_050}, geometry)
    start = np.array([low for low, _ in regions], dtype=np.int64)
    end = start + np.array([size for _, size in regions], dtype=np.int64)
    g.drop_overlapping(grid, "one", start, end)
    masked = np.zeros(5_000, dtype=bool)
    for low, high in zip(start, end, strict=True):
        masked[low:high] = True
    expected = [
        masked[i * geometry.step : i * geometry.step + 100].any() for i in range(grid.size("one"))
    ]
    np.testing.assert_array_equal(grid.fate == g.EXCLUDED, expected)


region = st.tuples(st.integers(0, 19), st.integers(1, 6), st.integers(0, 99))


@settings(max_examples=200)
@given(
    region,
    region,
    st.sampled_from([(300, 100, 100), (300, 100, 50), (301, 100, 20), (250, 99, 198), (99, 99, 9)]),
)
def test_no_window_of_one_split_touches_one_of_another(valid, test, sizes):
    geometry = g.Geometry(*sizes)
    grid = g.Grid.over({"one": 3_050}, geometry)
    pieces = []
    for split, (low, size, odd) in (("valid", valid), ("test", test)):
        start = low * 100 + odd
        pieces.append(HeldOutRegion("one", start, min(3_050, start + size * 100), split))
    if pieces[0].start < pieces[1].end and pieces[1].start < pieces[0].end:
        return
    g.assign_splits(grid, pieces)
    starts = np.arange(grid.fate.size) * geometry.step
    covered = []
    for number in range(3):
        bases = np.zeros(4_000, dtype=bool)
        for start in starts[grid.fate == number]:
            # 1. A held-out bin is completely inside a region of its split.
            if number:
                piece = pieces[number - 1]
                assert piece.start <= start <= piece.end - geometry.bin
            first = start - geometry.before + 400
            bases[first : first + geometry.window] = True
        covered.append(bases)
    # 2. Windows of different splits share no base.
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not (covered[one] & covered[other]).any()
    # 3. Held-out bins abut at most, training bins keep their stride.
    assert np.all(starts[(grid.fate == 1) | (grid.fate == 2)] % geometry.bin == 0)
    assert np.all(starts[grid.fate == 0] % geometry.spacing == 0)
    # 4. Every bin has a fate, and every bin inside a test region is of the test split.
    assert not np.any(grid.fate == g.UNSET)
    inside = (starts >= pieces[1].start) & (starts + geometry.bin <= pieces[1].end)
    assert np.all(grid.fate[inside & (starts % geometry.bin == 0)] == 2)


def test_training_windows_next_to_a_held_out_region_are_counted():
    grid = g.Grid.over({"one": 3_000}, g.Geometry(300, 100))
    g.assign_splits(grid, [HeldOutRegion("one", 1_000, 1_500, "test")])
    # Test windows cover 900-1600, so training windows end by 900 or begin from 1600.
    assert np.flatnonzero(grid.fate == g.NEAR).tolist() == [8, 9, 15, 16]
    assert grid.counts()["near a held-out split"] == 4
    assert np.flatnonzero(grid.fate == 2).tolist() == [10, 11, 12, 13, 14]


def test_a_held_out_contig_drops_no_training_windows():
    grid = g.Grid.over(CONTIGS, g.Geometry(300, 100))
    g.assign_splits(grid, [HeldOutRegion("two", 0, 1_000, "valid")])
    assert np.bincount(grid.fate, minlength=3).tolist() == [20, 10, 0]


def test_edges_and_unknown_bases():
    codes = np.zeros(1_000, dtype=np.uint8)
    codes[400:550] = 4
    genome = PackedGenome.from_contigs([("one", codes)])

    def fates(edge: str, max_n: float) -> dict[str, list[int]]:
        grid = g.Grid.over({"one": 1_000}, g.Geometry(300, 100))
        g.drop_poor_windows(grid, genome, edge, max_n)
        return {
            "edge": np.flatnonzero(grid.fate == g.EDGE).tolist(),
            "unknown": np.flatnonzero(grid.fate == g.UNKNOWN).tolist(),
        }

    assert fates("drop", 1.0) == {"edge": [0, 9], "unknown": []}
    # Unknown bases of windows 3, 4, 5, 6: 100, 150, 150, 50; of 0 and 9 by padding: 100.
    assert fates("pad", 0.49) == {"edge": [], "unknown": [4, 5]}
    assert fates("pad", 0.5) == {"edge": [], "unknown": []}
    assert fates("pad", 0.2) == {"edge": [], "unknown": [0, 3, 4, 5, 9]}
    assert fates("drop", 0.0) == {"edge": [0, 9], "unknown": [3, 4, 5, 6]}
