from __future__ import annotations

import logging

import pytest

from danq.datasets.splits import HeldOutRegion, held_out
from danq.errors import InputError

CONTIGS = {"chr1": 10_000, "chr2": 8_000, "chr3": 2_000, "HLA:01": 500}


def test_contigs_and_regions():
    assert held_out("chr2", ("chr1:1-500", "chr1:9,001-10,000", "HLA:01"), CONTIGS) == [
        HeldOutRegion("chr2", 0, 8_000, "valid"),
        HeldOutRegion("chr1", 0, 500, "test"),
        HeldOutRegion("chr1", 9_000, 10_000, "test"),
        HeldOutRegion("HLA:01", 0, 500, "test"),
    ]
    assert held_out("chr2, chr3", "chr1", CONTIGS)[1] == HeldOutRegion("chr3", 0, 2_000, "valid")


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ("chr1:1,001-2,000,chr3", [("chr1", 1_000, 2_000), ("chr3", 0, 2_000)]),
        ("HLA:01", [("HLA:01", 0, 500)]),
        ("HLA:01:1-50,{HLA:01}:101-200", [("HLA:01", 0, 50), ("HLA:01", 100, 200)]),
        (["chr1:9,001-"], [("chr1", 9_000, 10_000)]),
        ("chr1:-500", [("chr1", 0, 500)]),
        ("1:1-500,CHR3", [("chr1", 0, 500), ("chr3", 0, 2_000)]),
    ],
)
def test_splits_are_read_as_all_regions(valid, expected):
    regions = held_out(valid, "chr2", CONTIGS)
    assert [(one.contig, one.start, one.end) for one in regions[:-1]] == expected


@pytest.mark.parametrize(
    ("valid", "test", "message"),
    [
        ("chr2", "chr2", r"chr2:1-8,000 \(valid\) and chr2:1-8,000 \(test\) overlap"),
        ("chr1:1-600", "chr1:600-900", r"chr1:1-600 \(valid\) and chr1:600-900 \(test\) overlap"),
        ("chr1:1-600,chr1:10-20", "chr2", "overlap"),
        ("chr9", "chr2", "has the contig 'chr9'.*The 4 contigs are chr1, chr2, chr3"),
        ("chr1", "chr2:100-8001", "chr2:100-8001 is not inside chr2, which has 8,000 bases"),
        ("chr1", (), "the test split is empty"),
        ("", "chr1", "the valid split is empty"),
        ("chr1:5", "chr2", "the valid split: the region 'chr1:5' has a start and no end"),
        ("chr1,,chr3", "chr2", "the valid split: the list 'chr1,,chr3' has an empty entry"),
    ],
)
def test_bad_splits_are_refused(valid, test, message: str):
    with pytest.raises(InputError, match=message):
        held_out(valid, test, CONTIGS)


def test_adjacent_regions_do_not_overlap():
    assert len(held_out("chr1:1-600", "chr1:601-900", CONTIGS)) == 2


YEAST = {"I": 230, "II": 813, "IV": 1532, "VII": 1091, "XII": 1078, "XIII": 924, "XV": 1092,
         "X": 746, "XI": 667, "XIV": 784, "XVI": 948, "V": 577, "VIII": 563, "IX": 440, "VI": 270,
         "III": 317}  # fmt: skip


def test_without_regions_a_tenth_is_chosen_and_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="danq"):
        valid, test = held_out(None, None, YEAST)
    assert (valid.contig, test.contig) == ("VII", "XV")
    assert "no test regions given: using XV" in caplog.text
    assert held_out("XV", None, YEAST)[1].contig == "VII"


def test_with_one_long_contig_its_end_is_chosen():
    assert held_out(None, None, {"chr1": 10_000}) == [
        HeldOutRegion("chr1", 8_000, 9_000, "valid"),
        HeldOutRegion("chr1", 9_000, 10_000, "test"),
    ]


def test_many_scaffolds_are_chosen_to_make_a_tenth():
    regions = held_out(None, None, {f"s{number}": 100 for number in range(200)})
    for split in ("valid", "test"):
        assert sum(piece.end for piece in regions if piece.split == split) == 2_000


def test_too_few_bases_to_choose_from_are_an_error():
    with pytest.raises(InputError, match="chr1 has no bases left for the valid split"):
        held_out(None, "chr1", {"chr1": 10_000})
