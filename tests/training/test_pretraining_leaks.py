"""Held-out windows that a pretrained model has seen."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from danq.datasets import Dataset
from danq.genome.packed_genome import PackedGenome
from danq.models.training_record import LayerOrigin, Pretraining, Splits
from danq.training.pretraining_leaks import report_leaks, windows_within
from danq.training.split_regions import MOST_REGIONS, split_regions

BINS = {"chrI": 12, "chrII": 8, "chrIII": 5}


def genome_set(splits: dict[str, str | list[int]], names=None, extra: int = 0) -> Dataset:
    """Bins of 10 bases on three contigs; a split is that of a contig, or of each of its bins."""
    numbers = {"train": 0, "valid": 1, "test": 2}
    split = [
        np.full(count, numbers[one]) if isinstance(one, str) else np.array(one)
        for (name, count) in BINS.items()
        for one in [splits[name]]
    ]
    contigs = [(name, np.zeros(10 * count + extra, np.uint8)) for name, count in BINS.items()]
    if names is not None:
        contigs = [(new, codes) for new, (_, codes) in zip(names, contigs, strict=True)]
    windows = sum(BINS.values())
    return Dataset(
        genome=PackedGenome.from_contigs(contigs),
        contig=np.repeat(np.arange(3), list(BINS.values())).astype(np.uint32),
        start=np.concatenate([10 * np.arange(count) for count in BINS.values()]),
        split=np.concatenate(split).astype(np.uint8),
        packed=np.zeros((windows, 1), np.uint8),
        tracks=("a",),
        groups=("",),
        sources=("",),
        peaks=np.zeros(1, np.int64),
        window=20,
        bin=10,
        stride=10,
        min_overlap=0.5,
    )


BEFORE = {"chrI": "train", "chrII": "valid", "chrIII": "test"}


def record(dataset: Dataset | None, model: str = "a/model.safetensors") -> Pretraining:
    splits = None if dataset is None else split_regions(dataset)
    layer = LayerOrigin(name="encoder", shape=(1, 4, 2), origin="taken")
    return Pretraining(model=model, sha256="0" * 64, splits=splits, layers=(layer,))


def messages(caplog, dataset, *records) -> list[str]:
    caplog.set_level(logging.INFO, "danq")
    caplog.clear()
    report_leaks(dataset, records, Path("m.safetensors"))
    return caplog.messages


def test_regions_are_runs_of_bins_of_one_split():
    found = split_regions(genome_set(BEFORE | {"chrI": [0] * 4 + [2] * 3 + [0] * 5}))
    assert found == Splits(
        lengths={"chrI": 120, "chrII": 80, "chrIII": 50},
        train={"chrI": ((0, 40), (70, 120))},
        valid={"chrII": ((0, 80),)},
        test={"chrI": ((40, 70),), "chrIII": ((0, 50),)},
    )


def test_regions_do_not_depend_on_the_order_of_windows():
    dataset = genome_set(BEFORE)
    order = np.random.default_rng(0).permutation(len(dataset))
    mixed = replace(
        dataset,
        contig=dataset.contig[order],
        start=dataset.start[order],
        split=dataset.split[order],
        packed=dataset.packed[order],
    )
    assert split_regions(mixed) == split_regions(dataset)


def test_many_regions_are_joined_and_then_the_longest_kept():
    windows = 3 * MOST_REGIONS
    dataset = replace(
        genome_set(BEFORE),
        genome=PackedGenome.from_contigs([("c", np.zeros(10 * windows, np.uint8))]),
        contig=np.zeros(windows, np.uint32),
        start=10 * np.arange(windows),
        split=(np.arange(windows) % 3).astype(np.uint8),
        packed=np.zeros((windows, 1), np.uint8),
    )
    found = split_regions(dataset)
    assert found is not None
    assert found.complete
    assert found.train == {"c": ((0, 10 * windows - 20),)}
    assert found.test == {"c": ((20, 10 * windows),)}
    contigs = MOST_REGIONS + 7
    sizes = [10 if number < 7 else 20 for number in range(contigs)]
    many = replace(
        dataset,
        genome=PackedGenome.from_contigs(
            [(f"c{n}", np.zeros(size, np.uint8)) for n, size in enumerate(sizes)]
        ),
        contig=np.repeat(np.arange(contigs), np.array(sizes) // 10).astype(np.uint32),
        start=np.concatenate([10 * np.arange(size // 10) for size in sizes]),
        split=np.zeros(sum(sizes) // 10, np.uint8),
        packed=np.zeros((sum(sizes) // 10, 1), np.uint8),
    )
    found = split_regions(many)
    assert found is not None
    assert not found.complete
    assert set(found.train) == {f"c{n}" for n in range(7, contigs)}


def test_standalone_sequences_have_no_regions(caplog):
    dataset = replace(genome_set(BEFORE), build={"standalone": True})
    assert split_regions(dataset) is None
    (message,) = messages(caplog, dataset, record(genome_set(BEFORE)))
    assert "the windows of the dataset are standalone sequences" in message


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEFORE, ["m.safetensors was not trained on the validation and test windows"]),
        (
            {"chrI": "test", "chrII": "valid", "chrIII": "train"},
            ["trained on 12 of 12 test windows (chrI): metrics of the test split will be too good"],
        ),
        (
            {"chrI": "train", "chrII": "test", "chrIII": "valid"},
            ["validated, and its epoch selected, on 8 of 8 test windows (chrII)"],
        ),
        (
            {"chrI": [1] * 3 + [0] * 9, "chrII": "train", "chrIII": "test"},
            ["trained on 3 of 3 validation windows (chrI): the best epoch and the temperature"],
        ),
        (
            {"chrI": [2] * 2 + [1] * 2 + [0] * 8, "chrII": [2] * 4 + [0] * 4, "chrIII": "test"},
            [
                "trained on 2 of 11 test windows (chrI)",
                "selected, on 4 of 11 test windows (chrII)",
                "trained on 2 of 2 validation windows (chrI)",
            ],
        ),
    ],
)
def test_seen_windows_are_counted(now, expected, caplog):
    found = messages(caplog, genome_set(now), record(genome_set(BEFORE)))
    assert len(found) == len(expected)
    for message, part in zip(found, expected, strict=True):
        assert part in message
        if "It held out" in message:
            assert message.endswith("It held out chrIII (test) and chrII (validation)")
    levels = {one.levelname for one in caplog.records}
    assert levels == ({"INFO"} if "was not trained" in expected[0] else {"WARNING"})


def test_overlaps_equal_those_of_each_pair_of_bins_and_regions():
    rng = np.random.default_rng(4)
    for _ in range(20):
        first, second = (
            genome_set({name: rng.integers(0, 3, count).tolist() for name, count in BINS.items()})
            for _ in range(2)
        )
        known = split_regions(first)
        assert known is not None
        rows, inside, contigs = windows_within(second, "test", known, "train")
        expected = (second.split[rows] == 2) & (first.split[rows] == 0)
        np.testing.assert_array_equal(inside, expected)
        names = np.array(second.genome.names)[second.contig[rows[expected]]]
        assert contigs == list(dict.fromkeys(names.tolist()))


def test_contigs_are_compared_by_name_and_length(caplog):
    before = record(genome_set(BEFORE))
    now = {"chrI": "test", "chrII": "valid", "chrIII": "train"}
    renamed = messages(caplog, genome_set(now, ["I", "II", "III"]), before)
    assert "trained on 12 of 12 test windows (I)" in renamed[0]
    # 4 % longer: another assembly of the genome.
    assembly = messages(caplog, genome_set(now, extra=4), before)
    assert "trained on 12 of 12 test windows (chrI)" in assembly[0]
    for other in (genome_set(now, ["x", "y", "z"]), genome_set(now, extra=40)):
        (found,) = messages(caplog, other, before)
        assert "was not trained on the validation and test windows" in found


def test_every_model_in_a_chain_is_compared(caplog):
    other = genome_set({"chrI": "test", "chrII": "train", "chrIII": "valid"})
    now = {"chrI": "train", "chrII": "test", "chrIII": "valid"}
    chain = (record(other, "b/model.safetensors"), record(genome_set(now)))
    first, second = messages(caplog, genome_set(now), *chain)
    assert "b/model.safetensors, from which m.safetensors started, was trained on 8 of 8" in first
    assert "m.safetensors was not trained on" in second


def test_a_model_without_splits_is_named(caplog):
    (found,) = messages(caplog, genome_set(BEFORE), record(None))
    assert "m.safetensors does not record the regions that it was trained on" in found
