from __future__ import annotations

import dataclasses
import json

import pytest

from danq.provenance import Inputs, Provenance, settings_of

TRACKS = [f"K562|TF{number:03}|None" for number in range(40)]
MODEL_A = Provenance(inputs={"model": Inputs(("a.st",), ("12ab",))})
TWO_MODELS = Provenance(inputs={"model": Inputs(("a.st", "b.st"), ("12ab", "34cd"))})
NO_MODEL = Provenance(inputs={"model": Inputs((), ())})
CHROM_MAP = Provenance(inputs={"chromosome map": Inputs(("names.tsv",), ("12ab",))})


def difference(before: Provenance, now: Provenance) -> str | None:
    """Difference from an identity that went through JSON, as a journal stores it."""
    return now.difference(json.loads(json.dumps(before.identity())))


def test_equal_runs_have_no_difference_whatever_their_order_and_file_names():
    before = Provenance(settings={"a": "1", "b": ("x", "y")}) | MODEL_A
    moved = Provenance(inputs={"model": Inputs(("moved.st",), ("12ab",))})
    now = moved | Provenance(settings={"b": ["x", "y"], "a": "1"})
    assert difference(before, now) is None
    assert before.checksum() == now.checksum()


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ({"lr": "0.1"}, {"lr": "0.2"}, "the run began with lr: 0.1; now it is 0.2"),
        ({"lr": "0.1"}, {}, "the run began with lr: 0.1; now it is not set"),
        ({}, {"lr": "0.1"}, "the run began without lr; now it is 0.1"),
        ({"dense": ["1", "2"]}, {"dense": ["3"]}, "the run began with dense: 1, 2; now it is 3"),
    ],
)
def test_settings_are_described_by_their_values(before, now, message):
    assert difference(Provenance(settings=before), Provenance(settings=now)) == message


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (
            Provenance(inputs={"variant file": Inputs(("old.vcf",), ("12ab",))}),
            Provenance(inputs={"variant file": Inputs(("in.vcf",), ("34cd",))}),
            "in.vcf is not the variant file that the run began with",
        ),
        (
            Provenance(inputs={"model": Inputs(("a.st", "b.st"), ("12ab", "56ef"))}),
            TWO_MODELS,
            "b.st is not the model that the run began with",
        ),
        (MODEL_A, TWO_MODELS, "the run began with 1 model; now there are 2"),
        (TWO_MODELS, MODEL_A, "the run began with 2 models; now there is 1"),
        (CHROM_MAP, Provenance(), "the run began with a chromosome map; now there is none"),
        (MODEL_A, NO_MODEL, "the run began with a model; now there is none"),
        (
            Provenance(),
            CHROM_MAP,
            "the run began without a chromosome map; now there is names.tsv",
        ),
    ],
)
def test_inputs_are_described_by_name_and_never_by_checksum(before, now, message):
    assert difference(before, now) == message


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (TRACKS[1:], "without K562|TF000|None"),
        ([*TRACKS, "A", "B", "C", "D", "E"], "with A, B, C and 2 more"),
        ([*TRACKS[1:], "A, B"], "without K562|TF000|None and with A, B"),
        (TRACKS[::-1], "in another order"),
    ],
)
def test_long_lists_are_described_by_the_entries_that_differ(now, message):
    before, after = Provenance(settings={"tracks": TRACKS}), Provenance(settings={"tracks": now})
    assert difference(before, after) == f"the run began with other tracks; now they are {message}"


def test_the_earlier_run_can_have_another_name():
    message = TWO_MODELS.difference(MODEL_A.identity(), began="the background was made")
    assert message == "the background was made with 1 model; now there are 2"


def test_joining_keeps_the_order_and_replaces_entries_of_the_same_name():
    joined = Provenance.shown({"danq": "1", "strand": "both"}) | Provenance(
        header={"note": "pos is 1-based"}, settings={"strand": "forward"}
    )
    assert list(joined.header.items()) == [
        ("danq", "1"),
        ("strand", "both"),
        ("note", "pos is 1-based"),
    ]
    assert joined.identity() == {"settings": {"danq": "1", "strand": "forward"}, "inputs": {}}


def test_inputs_describe_name_and_checksum_of_each_file():
    assert Inputs(("a.st", "b.st"), ("12", "34")).describe() == "a.st sha256:12, b.st sha256:34"


def test_settings_of_tables_are_text_and_lists_of_text():
    assert settings_of(model={"width": 26, "dense": (925, 64)}, run={"seed": 0}) == {
        "model width": "26",
        "model dense": ["925", "64"],
        "run seed": "0",
    }


def test_a_provenance_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODEL_A.header = {}  # type: ignore[misc]
