"""Batches of segments: adjacent windows that overlap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from danq.datasets import Dataset
from danq.datasets.segment_batches import SegmentBatches
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome

WINDOW, BIN, STRIDE = 60, 20, 5


def overlapping(sizes: tuple[int, ...] = (2_000, 900, 200), missing: float = 0.1) -> Dataset:
    """Windows of 60 bases around bins of 20, each 5 bases, on contigs; some bins are left out.

    The last of three contigs is for validation.
    """
    rng = np.random.default_rng(0)
    names = [(f"chr{number}", rng.integers(0, 5, size)) for number, size in enumerate(sizes)]
    starts = [np.arange(0, size - BIN + 1, STRIDE) for size in sizes]
    contig = np.repeat(np.arange(len(sizes)), [part.size for part in starts]).astype(np.uint32)
    start = np.concatenate(starts)
    kept = np.flatnonzero(rng.random(start.size) > missing)
    labels = rng.integers(0, 2, (kept.size, 11)).astype(np.uint8)
    return Dataset(
        genome=PackedGenome.from_contigs([(name, codes.astype(np.uint8)) for name, codes in names]),
        contig=contig[kept],
        start=start[kept],
        split=(contig[kept] == 2).astype(np.uint8),
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=tuple(f"track{number}" for number in range(11)),
        groups=("",) * 11,
        sources=("",) * 11,
        peaks=labels.sum(axis=0).astype(np.int64),
        window=WINDOW,
        bin=BIN,
        stride=STRIDE,
        min_overlap=0.5,
    )


def segments(dataset: Dataset, size: int = 3, **changes) -> SegmentBatches:
    settings = {"bins": 6, "spacing": 10, "seed": 1} | changes
    return SegmentBatches(dataset, dataset.indices("train"), size, **settings)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_every_bin_has_the_codes_and_labels_of_its_window(prefetch):
    dataset = overlapping()
    batches = segments(dataset, prefetch=prefetch)
    plan = batches.plan(3)
    assert 0.2 < plan.reverse.mean() < 0.8
    train, seen = set(dataset.indices("train")), 0
    for number, (codes, labels, known) in enumerate(batches.epoch(3)):
        part = slice(3 * number, 3 * number + 3)
        for one in range(len(codes)):
            reverse, rows = plan.reverse[part][one], plan.rows[part][one]
            rows = rows[::-1] if reverse else rows
            assert (known[one] == (rows >= 0)).all()
            for place in np.flatnonzero(known[one]):
                row = rows[[place]]
                assert row[0] in train
                window = codes[one, 10 * place : 10 * place + WINDOW]
                assert (window == dataset.codes(row, [reverse])[0]).all()
                assert (labels[one, place] == dataset.labels(row)[0]).all()
                seen += 1
    assert seen == (plan.rows >= 0).sum() > 0
    assert number + 1 == len(batches)


def test_unknown_bins_are_those_without_a_training_window():
    dataset = overlapping()
    train = dataset.indices("train")
    row_of = {(dataset.contig[row], dataset.start[row]): row for row in train}
    plan = segments(dataset).plan(0)
    for contig, start, rows in zip(plan.contig, plan.start, plan.rows, strict=True):
        expected = [row_of.get((contig, start + 10 * number), -1) for number in range(6)]
        assert rows.tolist() == expected
        assert max(expected) >= 0


def test_an_epoch_has_the_windows_of_one_phase_and_all_epochs_have_all_windows():
    dataset = overlapping()
    batches = segments(dataset)
    train = dataset.indices("train")
    assert batches.segments == -(-train.size // 2 // 6)
    seen: set[int] = set()
    for epoch in range(40):
        rows = batches.plan(epoch).rows
        known = rows[rows >= 0]
        assert np.unique(known).size == known.size
        seen.update(known.tolist())
    assert seen == set(train.tolist())


def test_the_same_seed_and_epoch_give_the_same_batches():
    dataset = overlapping()
    first = [*segments(dataset).epoch(2)]
    again = [*segments(dataset).epoch(2, start_batch=2)]
    assert len(again) == len(first) - 2
    for one, other in zip(first[2:], again, strict=True):
        assert all((a == b).all() for a, b in zip(one, other, strict=True))
    other_epoch = next(segments(dataset).epoch(1))
    assert (first[0][0] != other_epoch[0]).any()
    assert not segments(dataset, reverse_complement=False).plan(0).reverse.any()
    assert not segments(replace(dataset, oriented=True)).plan(0).reverse.any()


def test_bases_of_held_out_windows_are_unknown():
    dataset = overlapping((3_000,), 0)
    middle = dataset.start + BIN // 2
    held_out = (middle > 1_000) & (middle < 1_200) | (middle > 2_000) & (middle < 2_300)
    near = ~held_out & [any(abs(middle[held_out] - one) < WINDOW) for one in middle]
    split = np.where(held_out, np.where(middle < 1_500, 1, 2), 0)
    kept = np.flatnonzero(~near)
    dataset = replace(
        dataset,
        **{name: getattr(dataset, name)[kept] for name in ("contig", "start", "packed")},
        split=split[kept].astype(np.uint8),
    )
    hidden = np.zeros(3_000, np.bool_)
    for row in np.flatnonzero(dataset.split):
        first = dataset.start[row] + BIN // 2 - WINDOW // 2
        hidden[first : first + WINDOW] = True
    genome = dataset.genome.windows(np.zeros(1, np.int64), np.zeros(1, np.int64), 3_000)[0]
    genome = np.where(hidden, 4, genome)
    batches = segments(dataset, bins=40)
    checked = 0
    for epoch in range(4):
        plan = batches.plan(epoch)
        for number, (codes, _, _) in enumerate(batches.epoch(epoch)):
            for one, found in enumerate(codes):
                start = plan.start[3 * number + one] + BIN // 2 - WINDOW // 2
                place = np.arange(start, start + batches.length)
                expected = np.where((place >= 0) & (place < 3_000), genome[place.clip(0, 2_999)], 4)
                if plan.reverse[3 * number + one]:
                    expected = np.where(expected < 4, 3 - expected, 4)[::-1]
                assert (found == expected).all()
                checked += 1
    assert checked == 4 * batches.segments


def test_few_scattered_windows_are_repeated_to_fill_an_epoch():
    dataset = overlapping()
    rows = dataset.indices("train")[:30]
    plan = SegmentBatches(dataset, rows, 4, bins=1, spacing=100, seed=0).plan(0)
    assert len(plan.rows) == 2
    assert np.isin(plan.rows, rows).all()


def test_sizes_and_windows_that_do_not_fit_are_refused():
    dataset = overlapping()
    with pytest.raises(InputError, match="segment_spacing is 12, no multiple of .* stride, 5"):
        segments(dataset, spacing=12)
    with pytest.raises(InputError, match="number of windows of 0"):
        SegmentBatches(dataset, [], 4, bins=2, spacing=5)
    with pytest.raises(InputError, match="these are standalone sequences"):
        segments(replace(dataset, build={"standalone": True}))
