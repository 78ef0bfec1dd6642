from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.track_names import select_tracks, similar_names

CELLS = tuple(
    f"{cell}|{mark}|None"
    for cell in ("8988T", "HepG2", "K562", "GM12878")
    for mark in ("DNase", "CTCF", "REST")
)


def test_indices_follow_the_order_of_the_request():
    names = ["K562|CTCF|None", "8988T|DNase|None"]
    assert select_tracks(names, CELLS, owner="the model") == (7, 0)


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("reb1", ["Reb1"]),
        ("Reb", ["Reb1"]),
        ("Abf2", ["Abf1"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_similar_names(name, similar):
    assert similar_names(name, ["Reb1", "Abf1", "Mcm1"]) == similar


def test_names_that_contain_the_query_are_similar():
    found = similar_names("ctcf", CELLS)
    assert found == ["8988T|CTCF|None", "HepG2|CTCF|None", "K562|CTCF|None"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["Reb"], "the model has no track 'Reb'. Did you mean 'Reb1'? The tracks are Reb1, Abf1."),
        (["Gal4"], "the model has no track 'Gal4'. The tracks are Reb1, Abf1."),
        ([1], "the model has no track '1'. Did you mean 'Reb1' or 'Abf1'? The tracks are Reb1, "),
        (["Abf1", "Reb1", "Abf1"], "track 'Abf1' is named twice. Name each track once."),
        ([], "no track is named. Name one, or omit the tracks to use all."),
        ("Abf1", "the tracks are the string 'Abf1', not a list of names. Write tracks=['Abf1'] "),
    ],
)
def test_invalid_requests_are_refused(names, message):
    with pytest.raises(InputError) as caught:
        select_tracks(names, ["Reb1", "Abf1"], owner="the model", listing="its summary")
    assert str(caught.value).startswith(message)


def test_a_message_about_many_tracks_says_where_their_names_are():
    with pytest.raises(InputError) as caught:
        select_tracks(["K562 CTCF"], CELLS, owner="the model", listing="the model's summary")
    assert "Did you mean 'K562|CTCF|None'? " in str(caught.value)
    assert str(caught.value).endswith("All 12 names are in the model's summary.")
