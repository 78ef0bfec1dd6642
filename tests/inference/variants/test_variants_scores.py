"""Scores from logits, and the distinct windows of a block."""

from __future__ import annotations

import math

import numpy as np
import pytest

from danq.errors import InputError
from danq.inference.track_levels import TrackLevels
from danq.inference.variants.allele_scores import (
    SCORES,
    View,
    check_scores,
    effects,
    specific,
    summarise,
)
from danq.inference.variants.scorer import Scorer, batches, distinct
from danq.inference.writers.variant_layout import VariantLayout


def deepsea(ref: np.ndarray, alt: np.ndarray) -> dict[str, np.ndarray]:
    """DeepSEA's formulas for probabilities, as in its script."""
    change = np.log2(alt / (1 - alt + 1e-12)) - np.log2(ref / (1 - ref + 1e-12))
    return {"ref": ref, "alt": alt, "diff": alt - ref, "logit": change}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def test_scores_equal_those_of_deepsea_averaged_over_strands():
    rng = np.random.default_rng(0)
    views = [
        View(*(rng.normal(0, 4, (5, 3)).astype(np.float32) for _ in range(2))) for _ in range(2)
    ]
    result = effects(views, TrackLevels.of_peaks(3))
    each = [deepsea(sigmoid(view.reference), sigmoid(view.alternate)) for view in views]
    for name in ("ref", "alt", "diff", "logit"):
        expected = (each[0][name] + each[1][name]) / 2
        np.testing.assert_allclose(result.score(name), expected, rtol=1e-9, atol=1e-12)
    product = np.abs(result.score("diff") * result.score("logit"))
    np.testing.assert_array_equal(result.score("product"), product)


def test_summaries_are_the_largest_change_and_the_norm():
    score = np.array([[1, -3, 2], [0, 0, 0], [4, 4, -1]], dtype=np.float32)
    largest, norm = summarise(score)
    assert largest.tolist() == [-3, 0, 4]
    np.testing.assert_allclose(norm, np.linalg.norm(score.astype(float), axis=1), rtol=1e-6)


def test_a_product_counts_by_the_square_of_its_fraction_of_the_largest_one():
    product = np.array([[8, 2, 0], [0.5, 0.5, 1], [0, 0, 0], [np.nan, 4, 1]])
    expected = [[8, 0.125, 0], [0.125, 0.125, 1], [0, 0, 0], [np.nan, 4, 0.0625]]
    np.testing.assert_array_equal(specific(product), expected)
    assert specific(np.zeros((0, 3))).shape == (0, 3)


def test_the_change_in_log2_odds_is_the_first_score_and_summary():
    layout = VariantLayout(tracks=("A",), groups=("",), scores=check_scores(None))
    assert layout.columns[:2] == ("A_logit", "A_diff")
    assert layout.summaries[:3] == ("logit_max", "logit_l2", "diff_max")


def test_names_of_scores_are_checked():
    assert check_scores(None) == SCORES
    assert check_scores(["ref", "logit"]) == ("logit", "ref")
    assert check_scores("diff") == ("diff",)
    with pytest.raises(InputError, match=r"unknown score 'lfc'. Choose from logit, diff, product"):
        check_scores(["lfc"])
    with pytest.raises(InputError, match="no score is selected"):
        check_scores([])


def test_each_distinct_window_occurs_once():
    rng = np.random.default_rng(1)
    pool = rng.integers(0, 4, (4, 6)).astype(np.uint8)
    reference = pool[rng.integers(0, 2, 50)]
    alternate = pool[rng.integers(0, 4, 50)]
    result = distinct(reference, alternate)
    assert len(np.unique(result.reference, axis=0)) == len(result.reference) == 2
    np.testing.assert_array_equal(result.alternate[result.rows], alternate)
    np.testing.assert_array_equal(result.reference[result.owner][result.rows], reference)
    assert (np.diff(result.owner) >= 0).all()
    pairs = np.concatenate([result.reference[result.owner], result.alternate], axis=1)
    assert len(np.unique(pairs, axis=0)) == len(pairs)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_batches_contain_each_window_once(size):
    owner = np.array([0, 1, 1, 1, 2, 3, 3, 4])
    seen_refs, seen_alts = [], []
    for refs, alts in batches(owner, 5, size):
        inside = owner[alts]
        assert set(inside) == set(range(refs.start, refs.stop))
        windows = (refs.stop - refs.start) + (alts.stop - alts.start)
        assert windows <= size or refs.stop - refs.start == 1
        seen_refs += range(refs.start, refs.stop)
        seen_alts += range(alts.start, alts.stop)
    assert seen_refs == list(range(5))
    assert seen_alts == list(range(8))


class Counted:
    """An engine whose logits are counts of letters; it counts the windows it receives."""

    def __init__(self) -> None:
        self.windows = 0

    def logits(self, reference, alternates, reference_of):
        assert reference_of.min() == 0
        assert reference_of.max() == len(reference) - 1
        self.windows += len(reference) + len(alternates)
        return tuple(
            np.stack([(codes == letter).sum(1) for letter in (0, 1)], 1).astype(np.float32)
            for codes in (reference, alternates)
        )


@pytest.mark.parametrize("both", [False, True])
def test_every_distinct_window_is_evaluated_once(both):
    rng = np.random.default_rng(2)
    reference = np.repeat(rng.integers(0, 4, (5, 8)).astype(np.uint8), 4, axis=0)
    alternate = reference.copy()
    alternate[np.arange(20), 3] = np.tile([0, 1, 2, 2], 5)
    engine = Counted()
    layout = VariantLayout(tracks=("A", "C"), groups=("", ""), scores=("diff", "logit"))
    values = Scorer([engine], (0, 1), both, 6, layout).values(reference, [alternate])
    distinct_alternates = len({row.tobytes() for row in alternate})
    assert engine.windows == (5 + distinct_alternates) * (2 if both else 1)
    np.testing.assert_array_equal(values[2::4], values[3::4])
    counts = [np.stack([(x == n).sum(1) for n in (0, 1)], 1) for x in (reference, alternate)]
    if not both:
        expected = (counts[1] - counts[0]) / math.log(2)
        np.testing.assert_allclose(layout.part(values, "logit"), expected, atol=1e-5)


def test_two_anchors_are_averaged_for_selected_tracks():
    rng = np.random.default_rng(3)
    reference, left, right = rng.integers(0, 4, (3, 7, 9)).astype(np.uint8)
    layout = VariantLayout(tracks=("C",), groups=("",), scores=SCORES)
    scorer = Scorer([Counted()], (1,), False, 4, layout)
    one, other = (scorer.values(reference, [alternate]) for alternate in (left, right))
    both = scorer.values(reference, [left, right])
    for name in ("ref", "alt", "diff", "logit"):
        expected = (layout.part(one, name) + layout.part(other, name)) / 2
        np.testing.assert_allclose(layout.part(both, name), expected, atol=1e-6)


def test_an_ensemble_has_mean_and_standard_deviation_of_each_score():
    class Half(Counted):
        def logits(self, reference, alternates, reference_of):
            return tuple(part / 2 for part in super().logits(reference, alternates, reference_of))

    reference, alternate = np.random.default_rng(4).integers(0, 4, (2, 6, 9)).astype(np.uint8)
    single = VariantLayout(tracks=("A", "C"), groups=("", ""), scores=SCORES)
    layout = VariantLayout(tracks=("A", "C"), groups=("", ""), scores=SCORES, spread=True)
    engines = [Counted(), Half()]
    each = [Scorer([e], (0, 1), True, 9, single).values(reference, [alternate]) for e in engines]
    values = Scorer(engines, (0, 1), True, 9, layout).values(reference, [alternate])
    for name in SCORES:
        parts = np.stack([single.part(one, name) for one in each]).astype(np.float64)
        np.testing.assert_allclose(layout.part(values, name), parts.mean(0), atol=1e-6)
        spread = layout.part(values, f"{name}_sd")
        np.testing.assert_allclose(spread, parts.std(0, ddof=1), atol=1e-6)
    largest, norm = summarise(layout.part(values, "logit"))
    column = layout.columns.index("logit_max")
    np.testing.assert_array_equal(values[:, column : column + 2], np.stack([largest, norm], 1))
