from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from danq.datasets import Dataset
from danq.datasets.balanced_groups import balanced_groups
from danq.datasets.fold_groups import HELD_OUT, FoldGroups, group_windows
from danq.datasets.fold_splits import fold_dataset
from danq.datasets.track_amounts import WindowValues
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from tests.amount_dataset import amount_dataset
from tests.several_contigs import several_contigs


def standalone(sequences: list[str], *, oriented: bool = True) -> Dataset:
    """A dataset of standalone sequences of one length."""
    codes = np.array([["ACGT".index(base) for base in one] for one in sequences], np.uint8)
    rows, length = codes.shape
    assert length % 4 == 0
    measured = amount_dataset().measured
    assert measured is not None
    return replace(
        amount_dataset(),
        genome=PackedGenome.from_contigs([("sequences", codes.reshape(-1))]),
        contig=np.zeros(rows, np.uint32),
        start=length * np.arange(rows),
        split=np.zeros(rows, np.uint8),
        packed=np.zeros((rows, 0), np.uint8),
        window=length,
        bin=length,
        stride=length,
        build={"standalone": True},
        measured=replace(measured, values=np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)),
        oriented=oriented,
    )


def random_sequences(count: int, length: int = 40) -> list[str]:
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(list("ACGT"), length)) for _ in range(count)]


def in_folds(names: str) -> Dataset:
    """Standalone sequences whose folds have the letters of a text as names."""
    dataset = standalone(random_sequences(len(names)))
    unique = sorted(set(names))
    folds = np.array([unique.index(name) for name in names], np.int32)
    return replace(dataset, values=WindowValues(folds=folds, fold_names=tuple(unique)))


def spans(dataset: Dataset) -> dict[str, set[tuple[int, int]]]:
    """Contig and position of all bases of the windows of each split."""
    found = {}
    for split in ("train", "valid", "test"):
        contig, first = dataset.positions(dataset.indices(split))
        found[split] = {
            (one, base)
            for one, low in zip(contig.tolist(), first.tolist(), strict=True)
            for base in range(low, low + dataset.window)
        }
    return found


def check_folds(groups: FoldGroups) -> None:
    """Postconditions of every division into folds."""
    dataset, tested = groups.dataset, []
    key = dataset.contig.astype(np.int64) << 32 | dataset.start
    held = set(key[groups.held].tolist())
    for fold in range(groups.number):
        own = fold_dataset(groups, fold)
        keys = own.contig.astype(np.int64) << 32 | own.start
        # 1. No held-out window is in a fold.
        assert not held & set(keys.tolist())
        # 2. The labels and amounts of a window are those of the dataset.
        rows = np.searchsorted(key, keys)
        assert (key[rows] == keys).all()
        assert np.array_equal(own.labels(np.arange(len(own))), dataset.labels(rows))
        assert np.array_equal(
            own.amounts(np.arange(len(own))), dataset.amounts(rows), equal_nan=True
        )
        assert np.array_equal(own.codes(np.arange(len(own))), dataset.codes(rows))
        # 3. Group i tests, group i + 1 validates, and all windows of group i test.
        test = rows[own.indices("test")]
        assert np.array_equal(test, groups.rows(fold)[groups.separate[groups.rows(fold)]])
        assert (groups.group[rows[own.indices("valid")]] == (fold + 1) % groups.number).all()
        # 4. Windows of different splits share no base, also not with held-out windows.
        found = spans(own)
        assert not found["train"] & found["valid"]
        assert not found["test"] & (found["train"] | found["valid"])
        tested.append(test)
    # 5. Every window that is not held out is tested in exactly one fold.
    every = np.sort(np.concatenate(tested))
    assert np.array_equal(every, np.flatnonzero((groups.group != HELD_OUT) & groups.separate))


@pytest.mark.parametrize(("contigs", "number"), [(7, 3), (7, 7), (12, 5)])
def test_contigs_stay_whole_in_groups_of_about_equal_size(contigs, number):
    dataset = several_contigs(contigs)
    groups = group_windows(dataset, number)
    check_folds(groups)
    assert groups.kind == "contigs"
    for contig in range(contigs):
        assert np.unique(groups.group[dataset.contig == contig]).size == 1
    # As of any greedy division: the largest group has at most one unit more than the smallest.
    assert max(groups.windows) - min(groups.windows) <= np.bincount(dataset.contig).max()
    assert groups.group[0] == 0


def test_every_fold_has_all_windows_of_whole_contigs():
    dataset = several_contigs()
    groups = group_windows(dataset, 3)
    own = fold_dataset(groups, 1)
    assert own.packed is dataset.packed
    assert len(own) == len(dataset)


@pytest.mark.parametrize("hold_out", ["chr4", "4,chr2", ["chr2", "chr4"]])
def test_held_out_contigs_are_in_no_fold(hold_out):
    dataset = several_contigs()
    groups = group_windows(dataset, 3, hold_out)
    check_folds(groups)
    expected = {"chr4"} if hold_out == "chr4" else {"chr2", "chr4"}
    assert set(groups.hold_out) == expected
    held = {dataset.genome.names[one] for one in dataset.contig[groups.held]}
    assert held == expected
    units = dict(groups.units.select("chrom", "group").iter_rows())
    assert {name for name, group in units.items() if group == "held out"} == expected


@pytest.mark.parametrize("contigs", [1, 2])
@pytest.mark.parametrize("window", [40, 80, 200])
def test_one_or_two_contigs_are_cut_into_blocks(contigs, window):
    groups = group_windows(several_contigs(contigs, window=window), 5)
    check_folds(groups)
    assert groups.kind == "blocks"
    assert max(groups.windows) - min(groups.windows) <= 1
    first = groups.units.row(0, named=True)
    assert (first["chrom"], first["start"], first["group"]) == ("chr1", 0, "1")
    assert first["end"] == 40 * first["windows"]


def test_a_held_out_contig_leaves_blocks_of_the_others():
    groups = group_windows(several_contigs(3), 4, "chr2")
    check_folds(groups)
    assert groups.kind == "blocks"
    assert "held out of all folds: 65 windows: chr2" in groups.describe()


@pytest.mark.parametrize("stride", [20, 80])
def test_a_stride_applies_to_training_windows_alone(stride):
    dataset = several_contigs(4)
    step = min(stride, 40)
    sizes = [(int(size) - 40) // step + 1 for size in dataset.genome.lengths]
    rows = sum(sizes)
    dataset = replace(
        dataset,
        contig=np.repeat(np.arange(4), sizes).astype(np.uint32),
        start=np.concatenate([step * np.arange(size) for size in sizes]),
        split=np.zeros(rows, np.uint8),
        packed=np.random.default_rng(0).integers(0, 4, (rows, 1)).astype(np.uint8),
        stride=stride,
    )
    groups = group_windows(dataset, 3)
    check_folds(groups)
    own = fold_dataset(groups, 0)
    assert (own.start[own.indices("train")] % stride == 0).all()
    for split in ("valid", "test"):
        assert np.unique(np.diff(own.start[own.indices(split)])).tolist()[-1] == 40


def test_folds_of_the_dataset_stay_whole():
    groups = group_windows(in_folds("abcabcabcddeeaa"), 3, "e")
    check_folds(groups)
    assert groups.kind == "folds"
    by_name = {row["fold"]: row["group"] for row in groups.units.iter_rows(named=True)}
    assert by_name["e"] == "held out"
    assert sorted({by_name[name] for name in "abcd"}) == ["1", "2", "3"]
    assert sorted(groups.windows) == [3, 5, 5]


@pytest.mark.parametrize("oriented", [True, False])
def test_copies_of_a_sequence_are_in_one_group(oriented, caplog):
    caplog.set_level("INFO", "danq")
    sequences = random_sequences(60)
    opposite = [one[::-1].translate(str.maketrans("ACGT", "TGCA")) for one in sequences[:20]]
    dataset = standalone([*sequences, *opposite, *sequences[:5]], oriented=oriented)
    groups = group_windows(dataset, 4, seed=3)
    check_folds(groups)
    assert groups.kind == "sequences"
    assert np.array_equal(groups.group[:20], groups.group[60:80])
    assert np.array_equal(groups.group[:5], groups.group[80:])
    assert max(groups.windows) - min(groups.windows) <= 1
    assert "45 sequences occur more than once" in caplog.text
    again = group_windows(dataset, 4, seed=3)
    assert np.array_equal(groups.group, again.group)
    assert not np.array_equal(groups.group, group_windows(dataset, 4, seed=4).group)


def test_balanced_groups_are_never_empty():
    rng = np.random.default_rng(0)
    for number in (3, 5, 11):
        for _ in range(20):
            sizes = rng.integers(1, 1000, rng.integers(number, 40))
            group = balanced_groups(sizes, number)
            totals = np.bincount(group, sizes)
            assert totals.size == number
            assert totals.max() - totals.min() <= sizes.max()


def test_positives_are_counted_for_each_group():
    dataset = several_contigs()
    groups = group_windows(dataset, 3, "chr1")
    for group in range(3):
        expected = dataset.labels(groups.rows(group)).sum(axis=0)
        assert groups.positives[group].tolist() == expected.tolist()


def test_a_fold_keeps_strands_replicates_and_strata():
    dataset = amount_dataset()
    assert dataset.measured is not None
    rows = np.arange(len(dataset))
    dataset = replace(
        dataset,
        measured=replace(dataset.measured, reverse=(1, 0), replicates=("a", "a")),
        values=WindowValues(
            weights=rows.astype(np.float32),
            strata=(rows % 3).astype(np.int32),
            strata_names=("x", "y", "z"),
        ),
    )
    found = fold_dataset(group_windows(dataset, 3), 0)
    kept = np.searchsorted(dataset.start, found.start)
    assert 0 < len(kept) < len(dataset)
    assert found.measured is not None
    assert found.measured.reverse == (1, 0)
    assert found.measured.replicates == ("a", "a")
    assert found.units == dataset.units
    np.testing.assert_array_equal(found.measured.values, dataset.measured.values[kept])
    assert found.values.strata_names == ("x", "y", "z")
    np.testing.assert_array_equal(found.values.strata, kept % 3)
    np.testing.assert_array_equal(found.values.weights, kept)


def test_the_description_of_a_fold_names_its_contigs():
    own = fold_dataset(group_windows(several_contigs(4), 4, ()), 3)
    assert own.build["test"] == ["chr4:1-3,013"]
    assert own.build["valid"] == ["chr1:1-2,413"]
    assert (own.build["folds"], own.build["fold"]) == (4, 4)


def test_leaked_training_windows_are_dropped_in_each_fold_if_the_dataset_was_built_so():
    dataset = several_contigs(4)
    genome = dataset.genome
    whole = [
        genome.windows(np.array([number]), np.array([0]), int(length))[0]
        for number, length in enumerate(genome.lengths)
    ]
    whole[2][:800] = whole[0][:800]
    genome = PackedGenome.from_contigs(zip(genome.names, whole, strict=True))
    plain = replace(dataset, genome=genome)
    dropping = replace(plain, build={"drop_leaked": True})
    # chr1 tests, chr2 validates, and chr3 trains with a copy of chr1.
    first, second = (fold_dataset(group_windows(one, 4), 0) for one in (plain, dropping))
    assert (first.leaked > 0).sum() >= 15
    assert not second.leaked.any()
    assert np.array_equal(second.start[second.indices("test")], first.start[first.indices("test")])
    # With chr1 held out, its copy is not in training, either.
    groups = group_windows(dropping, 3, "chr1")
    trains = [fold_dataset(groups, fold) for fold in range(3)]
    rows = [one.start[(one.contig == 2) & (one.split == 0)] for one in trains]
    assert [int(one.min()) >= 680 for one in rows if one.size] == [True]


@pytest.mark.parametrize(
    ("number", "hold_out", "message"),
    [
        (2, (), "2 folds were asked for, but 3 to 100 are possible"),
        (101, (), "101 folds were asked for, but 3 to 100 are possible"),
        (8, (), r"8 folds.* 7 contigs with windows .*\(chr1, chr2.*at most 7 folds"),
        (7, "chr2", "6 contigs with windows that are not held out"),
        (3, "chr9", r"the contig 'chr9' is to be held out.*Did you mean 'chr"),
        (3, "chr2:1-500", "a part of chr2 is to be held out. Hold out whole contigs"),
        (3, ["chr1", "nonsense"], "the contig 'nonsense'"),
        (3, [f"chr{n}" for n in range(1, 8)], "0 contigs"),
    ],
)
def test_impossible_groups_of_contigs(number, hold_out, message):
    with pytest.raises(InputError, match=message):
        check_folds(group_windows(several_contigs(), number, hold_out))


@pytest.mark.parametrize(
    ("dataset", "number", "hold_out", "message"),
    [
        (in_folds("abcabc"), 4, (), r"4 folds.*3 folds in its table.*\(a, b, c\).*at most 3"),
        (in_folds("abcabc"), 3, "c", r"2 folds in its table.*Hold out fewer"),
        (in_folds("abcabc"), 3, "d", r"the fold 'd' is to be held out.*The folds are a, b, c"),
        (standalone(random_sequences(9)), 3, "1", "sequences are to be held out, but .* no folds"),
        (standalone(random_sequences(2)), 3, (), "2 different sequences"),
        (standalone(random_sequences(1) * 9), 3, (), "1 different sequences"),
        (several_contigs(1, 4), 5, (), "group 2 has no window|group 5 has no window"),
    ],
)
def test_other_impossible_groups(dataset, number, hold_out, message):
    with pytest.raises(InputError, match=message):
        group_windows(dataset, number, hold_out)


def test_blocks_without_training_windows_are_refused():
    groups = group_windows(several_contigs(1, 6, window=400), 3)
    with pytest.raises(InputError, match="fold 1 has no window in the train split"):
        fold_dataset(groups, 0)


def test_a_contig_without_windows_cannot_be_held_out():
    dataset = several_contigs()
    rows = dataset.contig != 2
    dataset = replace(
        dataset,
        contig=dataset.contig[rows],
        start=dataset.start[rows],
        split=dataset.split[rows],
        packed=dataset.packed[rows],
    )
    with pytest.raises(InputError, match="'chr3' is to be held out, but has no window"):
        group_windows(dataset, 3, "chr3")
    check_folds(group_windows(dataset, 6))
