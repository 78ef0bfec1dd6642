"""Bootstrap replicates against scikit-learn's weighted metrics."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from danq.errors import InputError
from danq.evaluation.confidence_intervals import (
    Bootstrap,
    _plain_replicate,
    bootstrap,
    draw_weights,
    window_blocks,
)


def example(windows: int = 400, tracks: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    labels = (rng.random((windows, tracks)) < 0.2).astype(np.uint8)
    scores = np.round(rng.normal(size=labels.shape) + labels, 1).astype(np.float32)
    return scores, labels


@pytest.mark.parametrize("count", [13, 400])
def test_replicates_are_the_weighted_metrics(count: int):
    scores, labels = example()
    blocks = np.arange(400) * count // 400
    got = bootstrap(scores, labels, blocks, replicates=6, seed=5)
    weights = draw_weights(count, 6, 5)[blocks].astype(int)
    for r in range(6):
        for k in range(scores.shape[1]):
            column = labels[:, k], scores[:, k]
            auroc = roc_auc_score(*column, sample_weight=weights[:, r])
            aupr = average_precision_score(*column, sample_weight=weights[:, r])
            assert got.auroc[r, k] == pytest.approx(auroc, abs=1e-12)
            assert got.aupr[r, k] == pytest.approx(aupr, abs=1e-12)
            plain = _plain_replicate(scores[:, k], labels[:, k], weights[:, r])
            assert (got.auroc[r, k], got.aupr[r, k]) == pytest.approx(plain, abs=1e-12)


def test_draws_are_with_replacement_and_repeatable():
    weights = draw_weights(50, 200, 1)
    assert (weights.sum(0) == 50).all()
    assert 0.9 < weights.astype(float).var() < 1.1
    np.testing.assert_array_equal(weights, draw_weights(50, 200, 1))
    assert (weights != draw_weights(50, 200, 2)).any()


def test_intervals_are_quantiles_and_skip_undefined_replicates():
    values = np.array([[0.1, np.nan], [0.2, np.nan], [0.3, 0.5], [0.4, 0.7], [0.5, 0.9]])
    draw = Bootstrap(values, values, level=0.5)
    low, high = draw.per_track()[0]
    np.testing.assert_allclose(low, [0.2, 0.6])
    np.testing.assert_allclose(high, [0.4, 0.8])
    (low, high), _ = draw.macro("mean")
    np.testing.assert_allclose([low, high], [0.2, 0.55])
    (low, high), _ = draw.macro("median", np.array([1]))
    np.testing.assert_allclose([low, high], [0.6, 0.8])


def test_an_interval_contains_the_metric_and_narrows_with_windows():
    widths = []
    for windows in (500, 8000):
        scores, labels = example(windows, 3)
        _, (low, high) = bootstrap(scores, labels, replicates=200).per_track()
        from danq.evaluation.metrics import average_precision

        value = average_precision(scores, labels)
        assert (low < value).all()
        assert (value < high).all()
        widths.append(np.mean(high - low))
    # A 16-fold set has a quarter of the standard error.
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.3)


def test_a_track_without_positives_has_no_interval():
    scores, labels = example()
    labels[:, 2] = 0
    (auroc, aupr) = bootstrap(scores, labels, replicates=20).per_track()
    for ends in (*auroc, *aupr):
        assert np.isnan(ends[2])
        assert not np.isnan(np.delete(ends, 2)).any()


def test_blocks_are_neighbours_on_one_contig():
    rng = np.random.default_rng(0)
    contig, start = rng.integers(0, 3, 90), rng.permutation(90) * 200
    blocks = window_blocks(contig, start, 10)
    assert blocks.min() == 0
    assert 10 <= blocks.max() + 1 <= 13
    order = np.lexsort((start, contig))
    assert (np.diff(blocks[order]) >= 0).all()
    assert (np.diff(blocks[order]) <= 1).all()
    for block in range(blocks.max() + 1):
        assert len(set(contig[blocks == block])) == 1
    assert window_blocks(np.zeros(3), np.arange(3), 200).tolist() == [0, 1, 2]
    assert window_blocks(np.zeros(0), np.zeros(0)).size == 0


def test_bad_input_is_refused():
    scores, labels = example()
    with pytest.raises(InputError, match="number of bootstrap replicates is 1, the minimum is 2"):
        bootstrap(scores, labels, replicates=1)
    with pytest.raises(InputError, match=r"level of the intervals is 1\.5"):
        bootstrap(scores, labels, level=1.5)
    with pytest.raises(
        InputError, match=r"400 windows in 1 block\(s\) are too few for a bootstrap"
    ):
        bootstrap(scores, labels, np.zeros(400, int))
    with pytest.raises(InputError, match=r"blocks of shape \(3,\) are not 400 indices"):
        bootstrap(scores, labels, np.arange(3))
    with pytest.raises(InputError, match="the number of blocks is 0, the minimum is 1"):
        window_blocks(np.zeros(3), np.arange(3), 0)
    with pytest.raises(InputError, match="2 contigs but 3 starts"):
        window_blocks(np.zeros(2), np.arange(3))
    scores[0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        bootstrap(scores, labels)
