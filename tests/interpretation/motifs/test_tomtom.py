"""memelite's Tomtom, as danq hands motifs to it and reads its answer."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from danq.errors import InputError
from danq.genome.motif import Motif
from danq.genome.simulation.catalogue import CONSENSUS, motif
from danq.interpretation.motifs.tomtom import false_discovery_rates, tomtom

NAMES = tuple(CONSENSUS)


@pytest.fixture(scope="module")
def targets() -> list[Motif]:
    """The catalogue's motifs, and shuffled ones to make them many."""
    rng = np.random.default_rng(0)
    real = [motif(name) for name in NAMES]
    return real + [
        Motif(f"{one.name}_{number}", rng.permutation(one.probabilities))
        for one in real
        for number in range(5)
    ]


def test_a_motif_matches_itself_best(targets):
    found = tomtom(targets[: len(NAMES)], targets)
    own = np.arange(len(NAMES))
    np.testing.assert_array_equal(found.p.argmin(axis=1), own)
    assert (found.q[own, own] < 1e-3).all()
    np.testing.assert_array_equal(found.offset[own, own], 0)
    np.testing.assert_array_equal(found.overlap[own, own], [one.width for one in targets[:13]])
    np.testing.assert_allclose(found.e, found.p * len(targets))


def test_strand_and_offset_say_how_a_match_lies(targets):
    rest = targets[NAMES.index("REST")]
    part = Motif("part", rest.probabilities[4:18])
    flanked = Motif("flanked", np.vstack([np.full((3, 4), 0.25), rest.probabilities]))
    found = tomtom([part, part.reverse_complement(), flanked], targets)
    k = NAMES.index("REST")
    np.testing.assert_array_equal(found.p.argmin(axis=1), k)
    np.testing.assert_array_equal(found.reverse[:, k], [False, True, False])
    assert (found.offset[0, k], found.offset[2, k]) == (4, -3)
    # On the strand that matches, the target is reversed: 21 positions, 3 after the part.
    assert found.offset[1, k] == 21 - 18
    np.testing.assert_array_equal(found.overlap[:, k], [14, 14, 21])


def test_motifs_drawn_by_chance_match_little(targets):
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.full(4, 0.3), (40, 10))
    found = tomtom([Motif(f"chance_{k}", one) for k, one in enumerate(rows)], targets)
    assert (found.q.min(axis=1) < 0.01).mean() <= 0.05
    assert 0.3 < np.median(found.p) < 0.8


def test_short_overlaps_count_as_none(targets):
    found = tomtom(targets[:3], targets, min_overlap=100)
    widths = np.array([one.width for one in targets])
    whole = found.overlap == np.minimum(widths[:3, None], widths)
    assert (found.p[~whole] == 1).all()
    assert (found.p[whole] < 1).any()


def test_few_targets_are_warned_of(targets, caplog):
    with caplog.at_level(logging.WARNING, logger="danq"):
        tomtom(targets[:1], targets[:13])
    assert "13 motifs are few to compare with" in caplog.text


@pytest.mark.parametrize("shape", [(30,), (4, 17), (1, 1)])
def test_q_values_are_scipys(shape):
    p = np.random.default_rng(2).beta(0.4, 2, shape)
    np.testing.assert_allclose(false_discovery_rates(p), false_discovery_control(p, axis=-1))


def test_nothing_to_compare_is_refused(targets):
    with pytest.raises(InputError, match="0 motifs cannot be compared with 78"):
        tomtom([], targets)
