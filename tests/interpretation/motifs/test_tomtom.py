"""Comparison of motifs by memelite's Tomtom."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from scipy.stats import false_discovery_control, pearsonr

from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.known_matches import MIN_CORRELATION, correlation
from danq.interpretation.motifs.tomtom import false_discovery_rates, tomtom
from danq.simulation.factor_catalogue import CONSENSUS, motif

NAMES = tuple(CONSENSUS)


@pytest.fixture(scope="module")
def targets() -> list[Motif]:
    """The simulator's motifs and shuffled versions of them."""
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
    np.testing.assert_array_equal(found.p_value.argmin(axis=1), own)
    assert (found.q_value[own, own] < 1e-3).all()
    np.testing.assert_array_equal(found.offset[own, own], 0)
    np.testing.assert_array_equal(found.overlap[own, own], [one.width for one in targets[:13]])
    np.testing.assert_allclose(found.e_value, found.p_value * len(targets))


def test_strand_and_offset_describe_the_alignment(targets):
    rest = targets[NAMES.index("REST")]
    part = Motif("part", rest.probabilities[4:18])
    flanked = Motif("flanked", np.vstack([np.full((3, 4), 0.25), rest.probabilities]))
    found = tomtom([part, part.reverse_complement(), flanked], targets)
    k = NAMES.index("REST")
    np.testing.assert_array_equal(found.p_value.argmin(axis=1), k)
    np.testing.assert_array_equal(found.reverse[:, k], [False, True, False])
    assert (found.offset[0, k], found.offset[2, k]) == (4, -3)
    # On the strand that matches, 21 positions are reversed, 3 follow the part.
    assert found.offset[1, k] == 21 - 18
    np.testing.assert_array_equal(found.overlap[:, k], [14, 14, 21])


def test_random_motifs_rarely_match(targets):
    rng = np.random.default_rng(1)
    rows = rng.dirichlet(np.full(4, 0.3), (40, 10))
    found = tomtom([Motif(f"chance_{k}", one) for k, one in enumerate(rows)], targets)
    assert (found.q_value.min(axis=1) < 0.01).mean() <= 0.05
    assert 0.3 < np.median(found.p_value) < 0.8


def test_short_overlaps_are_ignored(targets):
    found = tomtom(targets[:3], targets, min_overlap=100)
    widths = np.array([one.width for one in targets])
    whole = found.overlap == np.minimum(widths[:3, None], widths)
    assert (found.p_value[~whole] == 1).all()
    assert (found.p_value[whole] < 1).any()


def test_few_targets_give_a_warning(targets, caplog):
    with caplog.at_level(logging.WARNING, logger="danq"):
        tomtom(targets[:1], targets[:13])
    assert "a comparison with only 13 motifs" in caplog.text


@pytest.mark.parametrize("shape", [(30,), (4, 17), (1, 1)])
def test_q_values_equal_those_of_scipy(shape):
    p = np.random.default_rng(2).beta(0.4, 2, shape)
    np.testing.assert_allclose(false_discovery_rates(p), false_discovery_control(p, axis=-1))


@pytest.mark.parametrize("reverse", [False, True])
def test_correlation_equals_that_of_scipy_over_the_overlap(targets, reverse):
    rest = targets[NAMES.index("REST")]
    query = Motif("part", np.vstack([np.full((3, 4), 0.25), rest.probabilities[:9]]))
    if reverse:
        query = query.reverse_complement()
    found = tomtom([query], targets)
    for number, target in enumerate(targets):
        offset, overlap = int(found.offset[0, number]), int(found.overlap[0, number])
        flipped = bool(found.reverse[0, number])
        known = target.reverse_complement() if flipped else target
        pairs = [
            (query.probabilities[k], known.probabilities[k + offset])
            for k in range(query.width)
            if 0 <= k + offset < target.width
        ]
        assert len(pairs) == overlap
        ours, theirs = (np.concatenate(one) for one in zip(*pairs, strict=True))
        found_here = correlation(query, target, offset, overlap, flipped)
        assert found_here == pytest.approx(pearsonr(ours, theirs)[0], abs=1e-12)
    even = Motif("even", np.full((6, 4), 0.25))
    assert correlation(even, rest, 0, 6, False) == 0


def test_motifs_of_low_information_match_by_chance_with_low_correlation(targets):
    rng = np.random.default_rng(3)
    low_information = Motif("low_information", rng.dirichlet([4, 1.2, 1.6, 3], 20))
    queries = [Motif(f"q{k}", rng.dirichlet([5, 2.5, 2.5, 4], 22)) for k in range(60)]
    real = [targets[NAMES.index(name)] for name in ("REST", "CTCF", "NRF1")]
    found = tomtom([*queries, *real], [*targets, low_information])
    by_chance = np.flatnonzero(found.q_value[: len(queries), -1] <= 0.01)
    assert len(by_chance) > len(queries) / 4
    for row, target, one in [
        *((k, len(targets), low_information) for k in by_chance),
        *((len(queries) + k, targets.index(one), one) for k, one in enumerate(real)),
    ]:
        query = [*queries, *real][row]
        alignment = (
            found.offset[row, target],
            found.overlap[row, target],
            found.reverse[row, target],
        )
        correlated = correlation(query, one, *alignment)
        assert (correlated >= MIN_CORRELATION) == (row >= len(queries))


def test_an_empty_comparison_is_refused(targets):
    with pytest.raises(InputError, match="0 motifs cannot be compared with 78"):
        tomtom([], targets)
