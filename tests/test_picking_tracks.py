from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.track_names import near_names, pick_tracks

CELLS = tuple(
    f"{cell}|{mark}|None"
    for cell in ("8988T", "HepG2", "K562", "GM12878")
    for mark in ("DNase", "CTCF", "REST")
)


def test_numbers_are_in_the_order_wanted():
    assert pick_tracks(["K562|CTCF|None", "8988T|DNase|None"], CELLS, whose="the model") == (7, 0)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("reb1", ["Reb1"]),
        ("Reb", ["Reb1"]),
        ("Abf2", ["Abf1"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_near_names(name, near):
    assert near_names(name, ["Reb1", "Abf1", "Mcm1"]) == near


def test_names_that_hold_the_word_are_near():
    assert near_names("ctcf", CELLS) == ["8988T|CTCF|None", "HepG2|CTCF|None", "K562|CTCF|None"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["Reb"], "the model has no track 'Reb'. Did you mean 'Reb1'? There are Reb1, Abf1."),
        (["Gal4"], "the model has no track 'Gal4'. There are Reb1, Abf1."),
        ([1], "the model has no track '1'. Did you mean 'Reb1' or 'Abf1'? There are Reb1, Abf1."),
        (["Abf1", "Reb1", "Abf1"], "track 'Abf1' is named twice. Name each track once."),
        ([], "no track is named. Name one, or leave the choice out for all."),
        ("Abf1", "the tracks are the text 'Abf1', not a list of names. Write tracks=['Abf1'] "),
    ],
)
def test_what_is_refused(wanted, told):
    with pytest.raises(InputError) as caught:
        pick_tracks(wanted, ["Reb1", "Abf1"], whose="the model", listing="'danq summary M --all'")
    assert str(caught.value).startswith(told)


def test_of_many_names_it_says_where_they_are():
    with pytest.raises(InputError) as caught:
        pick_tracks(["K562 CTCF"], CELLS, whose="the model", listing="'danq summary M --all'")
    assert "Did you mean 'K562|CTCF|None'? " in str(caught.value)
    assert str(caught.value).endswith("'danq summary M --all' lists all 12.")
