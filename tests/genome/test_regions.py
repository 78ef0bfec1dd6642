from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.genome.regions import parse_region


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("chrIV", ("chrIV", 0, None)),
        (" chrIV:1-1 ", ("chrIV", 0, 1)),
        ("chrIV:1,001-2,000", ("chrIV", 1000, 2000)),
        ("HLA*01:02:5-9", ("HLA*01:02", 4, 9)),
    ],
)
def test_regions_become_zero_based_and_half_open(text, expected):
    assert parse_region(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no contig name"),
        (":1-5", "has no contig name"),
        ("chr 1:1-5", "has no contig name"),
        ("chr1:0-5", "starts at 0, below 1"),
        ("chr1:6-5", "ends at 5, below its start, 6"),
        ("chr1:5", "has '5' after the colon, not start-end"),
        ("chr1:a-b", "has 'a-b' after the colon"),
        ("chr1:-5-9", "has '-5-9' after the colon"),
    ],
)
def test_wrong_regions_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_region(text)
