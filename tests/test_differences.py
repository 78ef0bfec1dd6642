from __future__ import annotations

import pytest

from danq.provenance import difference

FILES = {"models": ("a.st", "b.st"), "variants": ("in.vcf",), "chrom map": (), "background": ()}
LISTS = [f"K562|TF{number:03}|None" for number in range(40)]


def told(before, now, files=FILES):
    return difference(before, now, files, begun="the run began")


def test_what_agrees_needs_no_words():
    assert told({"a": "1", "models": "x, y"}, {"models": "x, y", "a": "1"}) is None


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ({"lr": "0.1"}, {"lr": "0.2"}, "the run began with lr: 0.1; now it is 0.2"),
        ({"lr": "0.1"}, {}, "the run began with lr: 0.1; now it is nothing"),
        ({}, {"lr": "0.1"}, "the run began with lr: nothing; now it is 0.1"),
        (
            {"variants": "12ab"},
            {"variants": "34cd"},
            "in.vcf is not the set of variants that the run began with",
        ),
        (
            {"models": "12ab, 56ef"},
            {"models": "12ab, 34cd"},
            "b.st is not the model that the run began with",
        ),
        (
            {"models": "12ab"},
            {"models": "12ab, 34cd"},
            "the run began with 1 model; now there are 2",
        ),
        ({"chrom map": "12ab"}, {}, "the run began with a chrom map; now there is none"),
    ],
)
def test_settings_are_told_with_their_values_and_files_by_name(before, now, words):
    assert told(before, now) == words


def test_a_file_that_was_not_there():
    files = {"chrom map": ("names.tsv",)}
    assert told({}, {"chrom map": "12ab"}, files) == (
        "the run began without a chrom map; now there is names.tsv"
    )


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (LISTS[1:], "without K562|TF000|None"),
        ([*LISTS, "A", "B", "C", "D", "E"], "with A, B, C and 2 more"),
        ([*LISTS[1:], "A"], "without K562|TF000|None and with A"),
        (LISTS[::-1], "in another order"),
    ],
)
def test_long_lists_are_told_by_what_differs(now, words):
    assert told({"tracks": ", ".join(LISTS)}, {"tracks": ", ".join(now)}) == (
        f"the run began with other tracks; now they are {words}"
    )
