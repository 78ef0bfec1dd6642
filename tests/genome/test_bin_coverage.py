from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.bin_coverage import (
    _plain_positive_indices,
    least_cover,
    positive_indices,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("stride", [200, 50])
@pytest.mark.parametrize("min_overlap", [0.005, 0.25, 0.5, 0.505, 1.0])
def test_positive_bins_equal_those_of_bedtools_coverage(stride: int, min_overlap: float):
    columns = ["contig", "start", "end"]
    peaks = pl.read_csv(
        GOLDEN / "labels_peaks.bed", separator="\t", has_header=False, new_columns=columns
    )
    golden = pl.read_csv(GOLDEN / "labels_coverage.tsv", separator="\t")
    met = 0
    for (contig,), rows in golden.filter(pl.col("stride") == stride).group_by("contig"):
        rows = rows.sort("start")
        mine = peaks.filter(pl.col("contig") == contig)
        found = positive_indices(
            mine["start"].to_numpy(), mine["end"].to_numpy(), rows.height, 200, min_overlap, stride
        )
        positive = rows["covered"].to_numpy() >= min_overlap * 200
        np.testing.assert_array_equal(found, np.flatnonzero(positive))
        met += len(found)
    assert met > 5


peaks = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 90)).map(lambda p: (p[0], p[0] + p[1])),
    max_size=12,
)


@given(peaks, st.integers(1, 60), st.integers(1, 70), st.integers(0, 40), st.floats(0.01, 1))
def test_kernel_equals_its_plain_twin(peaks, bin_size, stride, offset, min_overlap):
    start = np.array([peak[0] for peak in peaks], dtype=np.int64)
    end = np.array([peak[1] for peak in peaks], dtype=np.int64)
    n_bins = 20
    indices = positive_indices(start, end, n_bins, bin_size, min_overlap, stride, offset)
    need = least_cover(bin_size, min_overlap)
    plain = _plain_positive_indices(start, end, n_bins, bin_size, need, stride, offset)
    # 1. The same bins as counting base by base, in increasing order.
    assert indices.dtype == np.uint32
    np.testing.assert_array_equal(indices, plain)
    # 2. The order of peaks does not matter, nor does a duplicate peak.
    np.testing.assert_array_equal(
        positive_indices(
            np.tile(start[::-1], 2), np.tile(end[::-1], 2), n_bins, bin_size, min_overlap, stride,
            offset,
        ),
        indices,
    )  # fmt: skip


def test_half_a_bin_is_positive_and_one_base_less_is_not():
    assert positive_indices([100], [200], 2, 200, 0.5).tolist() == [0]
    assert positive_indices([101], [200], 2, 200, 0.5).tolist() == []
    assert positive_indices([0, 50], [50, 100], 1, 200, 0.5).tolist() == [0]
    assert positive_indices([0, 0], [99, 99], 1, 200, 0.5).tolist() == []


def test_without_peaks_there_are_no_positives():
    assert positive_indices([], [], 3, 200, 0.5).tolist() == []
    assert positive_indices([0], [100], 0, 200, 0.5).tolist() == []


@pytest.mark.parametrize(
    ("bin_size", "min_overlap", "bases"),
    [(200, 0.5, 100), (200, 1.0, 200), (10, 0.3, 3), (10, 0.31, 4), (3, 0.5, 2), (200, 1e-6, 1)],
)
def test_least_cover_rounds_up(bin_size: int, min_overlap: float, bases: int):
    assert least_cover(bin_size, min_overlap) == bases


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([10], [5], 3, 200, 0.5), "10-5 ends before it starts"),
        (([1, 2], [5], 3, 200, 0.5), "starts have shape"),
        (([1], [5], 3, 0, 0.5), "a bin of 0 bases is below 1"),
        (([1], [5], 3, 200, 0.0), "min_overlap is 0, not above 0"),
        (([1], [5], 3, 200, 1.5), "min_overlap is 1.5"),
        (([1], [5], 3, 200, 0.5, 0), "a stride of 0 bases is below 1"),
    ],
)
def test_bad_numbers_are_refused(arguments, message: str):
    with pytest.raises(InputError, match=message):
        positive_indices(*arguments)
