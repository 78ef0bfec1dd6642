"""Levels of tracks of peaks and of amounts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.amounts import AmountUnit
from danq.inference.odds import odds
from danq.inference.track_levels import TrackLevels
from danq.models import TargetGroup
from danq.models.targets import track_scores, track_values

READS = AmountUnit(unit="reads", transform="log1p", scale=0.5)
NUMBERS = np.random.default_rng(0).normal(0, 3, (4, 5)).astype(np.float32)


def test_tracks_of_peaks_have_odds():
    found = TrackLevels.of_peaks(5)(NUMBERS)
    for ours, expected in zip(found, odds(NUMBERS), strict=True):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("measured", [False, True])
def test_each_track_has_the_level_of_its_unit(measured):
    units = (READS, None, AmountUnit(unit="log2 ratio"), READS, None)
    levels = TrackLevels(units, measured)
    assert levels.kinds == ("amounts", "peaks", "amounts", "amounts", "peaks")
    found = levels(NUMBERS)
    for track, unit in enumerate(units):
        own = NUMBERS[:, track].astype(np.float64)
        if unit is None:
            value, bits = odds(NUMBERS[:, track])
        else:
            value, bits = (unit.measured(own) if measured else own), unit.bits(own)
        np.testing.assert_allclose(found.value[:, track], value, rtol=1e-12)
        np.testing.assert_allclose(found.bits[:, track], bits, rtol=1e-12)
    some = levels.select([2, 1])(NUMBERS[:, [2, 1]])
    np.testing.assert_array_equal(some.value, found.value[:, [2, 1]])
    np.testing.assert_array_equal(some.bits, found.bits[:, [2, 1]])


def test_the_name_of_a_track_may_be_that_of_a_logarithm():
    names = ("log2_ratio", "log10RPKM", "ln-229", "log2_bins", "logit", "log2_reads")
    plain, reads = AmountUnit(), AmountUnit(unit="reads")
    stored = (plain, plain, plain, reads, reads, READS)
    found = TrackLevels.of(names, stored).units
    assert [one.unit for one in found] == ["log2", "log10", "", "log2", "reads", "reads"]
    assert TrackLevels.of(("log2",), (None,)).units == (None,)


def test_infinite_amounts_have_no_infinite_levels():
    found = TrackLevels((AmountUnit(), READS))(np.array([[np.inf, 1e30]], np.float32))
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.bits).all()


def test_scores_are_values_except_for_logits_of_peaks():
    groups = (
        TargetGroup(loss="binary", tracks=2),
        TargetGroup(loss="poisson", tracks=1),
        TargetGroup(loss="soft-bins", tracks=2, bins=3),
        TargetGroup(loss="profile", tracks=1, steps=4, step_bases=2),
    )
    outputs = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 14)).astype(np.float32))
    scores, values = track_scores(outputs, groups), track_values(outputs, groups)
    assert torch.equal(scores[:, :2], outputs[:, :2])
    assert torch.equal(scores[:, :2].sigmoid(), values[:, :2])
    assert torch.equal(scores[:, 2:], values[:, 2:])
    assert torch.equal(track_scores(outputs, ()), outputs)
