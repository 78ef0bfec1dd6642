"""Motifs in the windows with the highest amounts, and of filters of several widths."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from Bio import motifs as bio

from danq.amounts import AmountUnit
from danq.datasets.track_amounts import Amounts
from danq.errors import InputError
from danq.interpretation import find_motifs, write_motifs
from danq.interpretation.motifs.filter_sites import motif_windows
from danq.models import Architecture, TargetGroup, first_layers, untrained
from tests.interpretation.conftest import MOTIF

UNITS = (AmountUnit(unit="reads"), AmountUnit(unit="reads"))


@pytest.fixture
def amounts_set(planted_set):
    """The windows of ``planted_set``: high amounts where the bin contains GATAAGCT."""
    rng = np.random.default_rng(4)
    planted = planted_set.labels(np.arange(len(planted_set)))[:, 0]
    values = rng.random((len(planted_set), 2)).astype(np.float32)
    values[:, 0] += 5 * planted
    values[::11, 0] = np.nan
    return replace(
        planted_set,
        packed=np.zeros((len(planted_set), 0), np.uint8),
        peaks=np.zeros(0, np.int64),
        measured=Amounts(values, UNITS),
    )


def made(dataset, *losses: TargetGroup, widths=(12,)):
    small = Architecture(
        filters=2 * len(widths),
        width=widths[0],
        further_widths=widths[1:],
        pool=5,
        hidden=3,
        dense=(4,),
    )
    model = untrained("test", small, dataset.tracks, 100, 60, losses, dataset.units)
    with torch.no_grad():
        for layer in first_layers(model.module):
            layer.weight.zero_()
            for index, sequence in enumerate((MOTIF, 3 - MOTIF[::-1])):
                bases = torch.from_numpy(sequence.copy()).long()
                layer.weight[index, bases, torch.arange(len(MOTIF))] = 1.0
            layer.bias.fill_(-7.0)
    return model.with_options(device="cpu", threads=1)


GAUSSIAN = TargetGroup(loss="gaussian", tracks=2)


def test_windows_are_those_with_the_highest_amounts(amounts_set):
    rows = amounts_set.indices("test")
    table = pd.DataFrame(amounts_set.amounts(rows), columns=amounts_set.tracks)
    right = {}
    for track in table:
        known = table[track].dropna()
        right[track] = set(known.nlargest(round(len(known) / 10)).index)
        found = motif_windows(amounts_set, "test", [track])
        assert set(found) == {int(rows[index]) for index in right[track]}
    both = motif_windows(amounts_set, "test")
    assert set(both) == {int(rows[one]) for one in right["planted"] | right["noise"]}


def test_amounts_beside_peaks(planted_set):
    rows = planted_set.indices("test")
    values = np.random.default_rng(1).random((len(planted_set), 1)).astype(np.float32)
    mixed = replace(
        planted_set,
        tracks=(*planted_set.tracks, "amount"),
        groups=("",) * 3,
        sources=("",) * 3,
        measured=Amounts(values, UNITS[:1]),
    )
    high = set(rows[np.argsort(-values[rows, 0])[: round(len(rows) / 10)]])
    positive = set(rows[planted_set.labels(rows)[:, 0] > 0])
    assert set(motif_windows(mixed, "test", ["amount"])) == high
    assert set(motif_windows(mixed, "test", ["amount", "planted"])) == high | positive


def test_totals_of_profiles_and_equal_amounts(amounts_set):
    rows = amounts_set.indices("test")
    steps = np.zeros((len(amounts_set), 2, 3), np.float32)
    steps[rows[:9], 0] = [[1, 2, 3]] * 8 + [[0, 0, 9]]
    steps[rows[40], 0, 1] = np.nan
    profiles = replace(amounts_set, measured=Amounts(steps, UNITS, 20))
    # A tenth of 200 windows are 20, but only nine are above the lowest total.
    assert set(motif_windows(profiles, "test", ["planted"])) == set(rows[:9])
    with pytest.raises(
        InputError, match="no window of the test split has a higher amount .* noise"
    ):
        motif_windows(profiles, "test", ["noise"])
    steps[:] = np.nan
    with pytest.raises(InputError, match="has a higher amount than others for any track"):
        motif_windows(profiles, "test")
    with pytest.raises(InputError, match="no track 'signal'"):
        motif_windows(profiles, "test", ["signal"])


@pytest.mark.parametrize("rule", ["argmax", "half-max"])
def test_filters_of_several_widths_have_motifs_of_their_widths(amounts_set, rule, tmp_path):
    model = made(amounts_set, GAUSSIAN, widths=(9, 12))
    report = find_motifs(model, amounts_set, tracks=["planted"], rule=rule)
    assert report.provenance["windows"] == len(motif_windows(amounts_set, "test", ["planted"]))
    assert report.provenance["highest_share_of_amounts"] == 0.1
    write_motifs(report, tmp_path / "out")
    with (tmp_path / "out/filters.meme").open() as handle:
        read = list(bio.parse(handle, "minimal"))
    assert [one.length for one in read] == [9, 9, 12, 12]
    consensus = ["GATAAGCT", "AGCTTATC"] * 2
    assert [str(one.consensus)[:8] for one in read] == consensus
    alone = made(amounts_set, GAUSSIAN, widths=(12,))
    single = find_motifs(alone, amounts_set, tracks=["planted"], rule=rule)
    np.testing.assert_array_equal(report.sites.counts[2:], single.sites.counts)
    np.testing.assert_array_equal(report.sites.maximum[2:], single.sites.maximum)
    assert report.sites.sequences == single.sites.sequences
    assert json.loads((tmp_path / "out/summary.json").read_text())["filters"] == 4


def test_oriented_sequences_are_read_on_their_strand(amounts_set):
    oriented = replace(amounts_set, oriented=True)
    model = made(oriented, GAUSSIAN)
    spec = model.spec.model_copy(update={"oriented": True})
    forward = replace(model, spec=spec).with_options(strand="forward")
    report = find_motifs(forward, oriented, tracks=["planted"])
    assert report.sites.sequences == report.provenance["windows"]
