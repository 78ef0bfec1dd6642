from __future__ import annotations

import threading

import numpy as np
import pytest

from danq.datasets import Batches, Dataset
from danq.errors import InputError

AUGMENTED = {"shuffle": True, "reverse_complement": True, "max_shift": 7, "seed": 5}


def same(one, other) -> bool:
    pairs = list(zip(list(one), list(other), strict=True))
    return all(np.array_equal(a, b) for x, y in pairs for a, b in zip(x, y, strict=True))


def test_plain_batches_are_the_windows_in_order(dataset: Dataset):
    indices = dataset.indices("train")
    batches = Batches(dataset, indices, 16)
    got = list(batches.epoch(0))
    assert len(batches) == len(got) == 4
    assert [codes.shape[0] for codes, _ in got] == [16, 16, 16, 2]
    np.testing.assert_array_equal(np.concatenate([c for c, _ in got]), dataset.codes(indices))
    np.testing.assert_array_equal(np.concatenate([y for _, y in got]), dataset.labels(indices))


@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_an_epoch_depends_only_on_seed_and_epoch(dataset: Dataset, prefetch: int):
    batches = Batches(dataset, np.arange(90), 8, prefetch=prefetch, **AUGMENTED)
    reference = Batches(dataset, np.arange(90), 8, prefetch=0, **AUGMENTED)
    assert same(batches.epoch(3), reference.epoch(3))
    assert same(batches.epoch(3), batches.epoch(3))
    assert not same(batches.epoch(3), batches.epoch(4))
    other = Batches(dataset, np.arange(90), 8, **{**AUGMENTED, "seed": 6})
    assert not same(batches.epoch(3), other.epoch(3))


def test_starting_at_any_batch_gives_the_rest(dataset: Dataset):
    batches = Batches(dataset, np.arange(90), 8, **AUGMENTED)
    whole = list(batches.epoch(2))
    for start in range(len(batches) + 1):
        assert same(batches.epoch(2, start), whole[start:])


def test_every_window_occurs_once_with_its_own_labels(dataset: Dataset):
    batches = Batches(dataset, np.arange(90), 8, **AUGMENTED)
    plan = batches.plan(1)
    np.testing.assert_array_equal(np.sort(plan.order), np.arange(90))
    assert plan.reverse is not None
    assert plan.shift is not None
    assert 20 < plan.reverse.sum() < 70
    assert set(plan.shift) == set(range(-7, 8))
    labels = np.concatenate([y for _, y in batches.epoch(1)])
    np.testing.assert_array_equal(labels, dataset.labels(plan.order))
    codes = np.concatenate([c for c, _ in batches.epoch(1)])
    np.testing.assert_array_equal(codes, dataset.codes(plan.order, plan.reverse, plan.shift))


def test_one_augmentation_does_not_change_the_others(dataset: Dataset):
    both = Batches(dataset, np.arange(90), 8, **AUGMENTED).plan(0)
    still = Batches(dataset, np.arange(90), 8, **{**AUGMENTED, "max_shift": 0}).plan(0)
    np.testing.assert_array_equal(both.order, still.order)
    np.testing.assert_array_equal(both.reverse, still.reverse)


def test_closing_an_epoch_early_ends_its_thread(dataset: Dataset):
    before = threading.active_count()
    epoch = Batches(dataset, np.arange(90), 2, prefetch=2).epoch(0)
    next(epoch)
    assert threading.active_count() == before + 1
    epoch.close()
    assert threading.active_count() == before


def test_an_error_in_the_thread_reaches_the_reader(dataset: Dataset, monkeypatch):
    batches = Batches(dataset, np.arange(90), 8)
    monkeypatch.setattr(Dataset, "labels", lambda self, rows: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        list(batches.epoch(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "a batch size of 0 is below 1"),
        ({"indices": []}, "a number of windows of 0 is below 1"),
        ({"indices": [90]}, "a window index is outside 0 to 89"),
        ({"max_shift": -1}, "a largest shift of -1 is below 0"),
        ({"seed": -1}, "a seed of -1 is below 0"),
        ({"prefetch": -1}, "batches to prefetch of -1"),
    ],
)
def test_bad_numbers_are_refused(dataset: Dataset, changes, message: str):
    with pytest.raises(InputError, match=message):
        Batches(dataset, **{"indices": [0], "batch_size": 4, **changes})


def test_a_negative_epoch_is_refused(dataset: Dataset):
    with pytest.raises(InputError, match="epoch -1 or batch 0"):
        next(Batches(dataset, [0], 4).epoch(-1))


def test_batches_of_amounts_have_targets_and_weights(amounts: Dataset):
    batches = Batches(amounts, np.arange(90), 32, reverse_complement="both", shuffle=True)
    order = batches.plan(3).order
    found = list(batches.epoch(3))
    assert len(found) == len(batches) == 3
    codes, targets, weights = (np.concatenate(part) for part in zip(*found, strict=True))
    # Oriented: the forward strand of each window once.
    np.testing.assert_array_equal(codes, amounts.codes(order))
    np.testing.assert_array_equal(targets, amounts.target_values(order))
    assert targets.dtype == np.float32
    assert np.isnan(targets).any()
    np.testing.assert_array_equal(weights, amounts.weights(order))


def test_profiles_follow_the_strand_of_their_window(profiles: Dataset):
    batches = Batches(profiles, np.arange(40), 80, reverse_complement="both")
    ((_, targets),) = batches.epoch(0)
    steps = targets[:, 11:].reshape(2, 40, 2, 10)
    np.testing.assert_array_equal(steps[1], steps[0, :, :, ::-1])
    np.testing.assert_array_equal(targets[:40, :11], targets[40:, :11])
