from __future__ import annotations

import logging

import numpy as np
import pytest

from danq.datasets import bin_grid as g
from danq.datasets.negatives import (
    GC_STEPS,
    _count_gc,
    _plain_count_gc,
    gc_classes,
    thin_negatives,
)
from danq.genome.packed_genome import PackedGenome


@pytest.fixture(scope="module")
def genome() -> PackedGenome:
    """Two contigs whose GC content wanders between 20 and 80 %, with unknown bases."""
    rng = np.random.default_rng(1)
    contigs = []
    for name, size in (("one", 400_003), ("two", 150_001)):
        gc = 0.5 + 0.3 * np.sin(np.arange(size) / 4_000)
        strong = rng.random(size) < gc
        codes = np.where(strong, rng.integers(1, 3, size), 3 * rng.integers(0, 2, size))
        codes = codes.astype(np.uint8)
        codes[5_000:5_333] = 4
        contigs.append((name, codes))
    return PackedGenome.from_contigs(contigs)


def test_counting_equals_its_plain_twin(genome: PackedGenome):
    rng = np.random.default_rng(2)
    contig = rng.integers(0, 2, 500)
    start = rng.integers(-300, 150_100, 500)
    for length in (1, 3, 4, 101, 1000):
        out = np.empty(500, dtype=np.int64)
        arrays = genome.bases, genome.offsets, genome.lengths
        _count_gc(*arrays, contig, start, length, out)
        np.testing.assert_array_equal(out, _plain_count_gc(genome, contig, start, length))


@pytest.fixture
def grid(genome: PackedGenome) -> g.Grid:
    grid = g.Grid.over(genome.contigs, g.Geometry(400, 100))
    grid.fate[:] = 0
    grid.fate[grid.bins("two")] = 1
    return grid


@pytest.fixture
def positive(grid: g.Grid, genome: PackedGenome) -> np.ndarray:
    """A twentieth of bins, all GC-rich."""
    classes = gc_classes(grid, genome, np.arange(grid.fate.size))
    return (np.random.default_rng(3).random(grid.fate.size) < 0.1) & (classes > 25)


def test_keep_and_drop(grid: g.Grid, genome: PackedGenome, positive: np.ndarray):
    before = grid.fate.copy()
    thin_negatives(grid, genome, positive, "keep", 0)
    np.testing.assert_array_equal(grid.fate, before)
    thin_negatives(grid, genome, positive, "drop", 0)
    np.testing.assert_array_equal(grid.fate < 3, positive)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.5])
def test_a_ratio_matches_gc_in_training_only(grid, genome, positive, ratio: float):
    thin_negatives(grid, genome, positive, ratio, 0)
    train = np.flatnonzero(grid.fate == 0)
    has = positive[train]
    # 1. The requested number.
    assert has.sum() == positive[grid.bins("one")].sum()
    assert (~has).sum() == round(ratio * has.sum())
    # 2. The same number in every class of GC, up to rounding.
    classes = gc_classes(grid, genome, train)
    expected = ratio * np.bincount(classes[has], minlength=GC_STEPS)
    assert np.abs(np.bincount(classes[~has], minlength=GC_STEPS) - expected).max() <= 1
    # 3. Validation keeps all of its bins.
    assert np.all(grid.fate[grid.bins("two")] == 1)
    # 4. Every bin taken out counts as negative.
    assert grid.counts()["negative"] == grid.size("one") - train.size


def test_the_draw_depends_on_the_seed(grid, genome, positive):
    fates = []
    for seed in (0, 0, 1):
        again = g.Grid.over(genome.contigs, grid.geometry)
        again.fate[:] = grid.fate
        thin_negatives(again, genome, positive, 1.0, seed)
        fates.append(again.fate)
    np.testing.assert_array_equal(fates[0], fates[1])
    assert not np.array_equal(fates[0], fates[2])


def test_too_few_negatives_are_reported(grid, genome, positive, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="danq"):
        thin_negatives(grid, genome, positive, 30.0, 0)
    assert "negative bins are missing" in caplog.text
    classes = gc_classes(grid, genome, np.arange(grid.fate.size))
    assert np.all(grid.fate[(classes > 30) & (grid.fate != 1)] == 0)
