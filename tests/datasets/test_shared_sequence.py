"""Leaked windows against plain sets of k-mers, and planted copies."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from danq.datasets import (
    Dataset,
    kmer_index,
    label_genome,
    leaked_windows,
    shared_sequence,
    summarise,
)
from danq.datasets.convert import read_arrays
from danq.datasets.kmer_index import K, KmerIndex, plain_kmers
from danq.datasets.label_options import label_arguments
from danq.datasets.leaked_windows import report_leaked
from danq.datasets.shared_sequence import (
    COMPLETE,
    LEAKED,
    WindowTable,
    find_leaked,
    find_sources,
)
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode
from danq.genome.packed_genome import PackedGenome
from danq.typing import Codes, IntRow

LENGTH = 3_001


def opposite(codes: Codes) -> Codes:
    return np.where(codes < 4, 3 - codes, 4).astype(np.uint8)[::-1]


def random_genome(seed: int) -> PackedGenome:
    """Three contigs; parts of the first are copied to the second, some changed, and N."""
    rng = np.random.default_rng(seed)
    one, two, three = (rng.integers(0, 4, LENGTH - 7 * n).astype(np.uint8) for n in range(3))
    for _ in range(8):
        size = int(rng.integers(20, 500))
        source, target = rng.integers(0, LENGTH - 7 - size, 2)
        copy = one[source : source + size].copy()
        changed = rng.random(size) < rng.choice([0, 0.01])
        copy[changed] = rng.integers(0, 4, int(changed.sum()))
        two[target : target + size] = copy if rng.random() < 0.5 else opposite(copy)
    two[100:200] = 0
    three[50:90] = 3
    for codes in (one, two, three):
        for start in rng.integers(0, LENGTH - 100, 3):
            codes[start : start + int(rng.integers(1, 40))] = 4
    return PackedGenome.from_contigs([("one", one), ("two", two), ("three", three)])


def shares(
    genome: PackedGenome, contig: np.ndarray, first: IntRow, split: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Number of k-mers of each window, and of those in the training windows, by plain sets."""
    codes = genome.windows(contig.astype(np.int64), first, window)
    kmers = [[one for one in plain_kmers(row) if one is not None] for row in codes]
    training = {one for row, number in zip(kmers, split, strict=True) if number == 0 for one in row}
    seen = [sum(one in training for one in row) for row in kmers]
    return np.array([len(row) for row in kmers]), np.array(seen)


def random_windows(seed: int) -> tuple[np.ndarray, IntRow, np.ndarray]:
    """Contig, first base and split of windows in any order; 'two' is held out."""
    rng = np.random.default_rng(seed)
    contig = rng.integers(0, 3, 300).astype(np.uint32)
    split = np.where(contig == 1, rng.integers(1, 3, 300), 0).astype(np.uint8)
    return contig, rng.integers(-50, LENGTH, 300), split


@pytest.mark.parametrize("window", [15, K, K + 1, 60, 120, 200, 500])
@pytest.mark.parametrize("seed", range(4))
def test_leaked_windows_equal_those_by_plain_sets(seed: int, window: int):
    genome, windows = random_genome(seed), random_windows(seed)
    known, seen = shares(genome, *windows, window)
    expected = (known > 0) & (windows[2] > 0) & (seen >= 0.8 * known)
    leaked = find_leaked(WindowTable(genome, *windows, window))
    np.testing.assert_array_equal(leaked > 0, expected)
    np.testing.assert_array_equal(leaked == COMPLETE, expected & (seen == known))
    assert leaked[windows[2] == 0].max() == 0
    if window in (60, 120):
        assert leaked.any()


@pytest.mark.parametrize("most", [50, 1_000])
def test_the_number_of_tables_and_tasks_does_not_change_the_result(monkeypatch, most: int):
    genome, windows = random_genome(9), random_windows(9)
    table = WindowTable(genome, *windows, 200)
    before = find_leaked(table)
    sources = find_sources(table, before, 0.4)
    assert before.any()
    assert sources.size
    monkeypatch.setattr(shared_sequence, "MOST_KMERS", most)
    monkeypatch.setattr(shared_sequence, "PIECE", 128)
    np.testing.assert_array_equal(find_leaked(table), before)
    np.testing.assert_array_equal(find_sources(table, before, 0.4), sources)


@pytest.mark.parametrize("seed", range(3))
def test_sources_equal_those_by_plain_sets(seed: int):
    genome, windows = random_genome(seed), random_windows(seed)
    leaked = find_leaked(WindowTable(genome, *windows, 120))
    # Leaked windows are the training windows of the plain sets, and training windows are held out.
    swapped = np.where(leaked > 0, 0, np.where(windows[2] == 0, 1, 2))
    known, seen = shares(genome, *windows[:2], swapped, 120)
    expected = np.flatnonzero((swapped == 1) & (seen > 0) & (seen >= 0.4 * known))
    assert expected.size
    sources = find_sources(WindowTable(genome, *windows, 120), leaked, 0.4)
    np.testing.assert_array_equal(sources, expected)


def test_the_kernels_agree_with_plain_kmers():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 2_000).astype(np.uint8)
    codes[1_000:1_500] = opposite(codes[:500])
    genome = PackedGenome.from_contigs([("one", codes)])
    kmers = plain_kmers(codes)
    low, high = np.array([3, 700]), np.array([600, 701])
    index = KmerIndex.empty(598, 1, 0)
    kmer_index.insert(genome.bases, low, high, index)
    inserted = {kmers[start] for start in (*range(3, 600), 700)}
    assert np.count_nonzero(index.table) == len(inserted) == 598
    at = np.array([1_000]), np.array([1_980])
    kmer_index.mark(genome.bases, *at, index)
    positions, running = np.empty(598, np.int64), np.empty(599, np.int32)
    assert kmer_index.count(genome.bases, low, high, index, positions, running) == 598
    np.testing.assert_array_equal(positions, [*range(3, 600), 700])
    other = set(kmers[1_000:1_980])
    expected = np.cumsum([kmers[start] in other for start in (*range(3, 600), 700)])
    np.testing.assert_array_equal(running[1:], expected)
    assert expected[-1] == 480 - 3


def planted(folder: Path, window: int, divergence: float) -> tuple[Path, np.ndarray]:
    """A genome whose contig 'test' has copies of 'train'; the copies' intervals."""
    rng = np.random.default_rng(5)
    contigs = {name: rng.integers(0, 4, 75_000).astype(np.uint8) for name in ("train", "test")}
    contigs["valid"] = rng.integers(0, 4, 10_000).astype(np.uint8)
    copies = []
    for number in range(12):
        size = int(rng.integers(2 * window, 4 * window))
        target = 6_000 * number + int(rng.integers(0, 2_000))
        source = int(rng.integers(0, 75_000 - size))
        copy = contigs["train"][source : source + size].copy()
        changed = rng.random(size) < divergence
        copy[changed] = (copy[changed] + rng.integers(1, 4, int(changed.sum()))) % 4
        contigs["test"][target : target + size] = opposite(copy) if number % 2 else copy
        copies.append((target, target + size))
    text = "".join(f">{name}\n{decode(codes)}\n" for name, codes in contigs.items())
    (folder / "g.fa").write_text(text)
    (folder / "a.bed").write_text("train\t100\t300\nvalid\t100\t300\ntest\t100\t300\n")
    return folder / "g.fa", np.array(copies)


def build(folder: Path, window: int, **options) -> Dataset:
    arguments = label_arguments({"window": window, "valid": "valid", "test": "test", **options})
    return label_genome(folder / "g.fa", [folder / "a.bed"], **arguments)


@pytest.mark.parametrize(("window", "divergence"), [(200, 0), (1_000, 0), (1_000, 0.003)])
def test_planted_copies_are_found(tmp_path: Path, window: int, divergence: float, caplog):
    _, copies = planted(tmp_path, window, divergence)
    dataset = build(tmp_path, window)
    test = dataset.indices("test")
    first = dataset.start[test] + 100 - window // 2
    inside = np.minimum(first[:, None] + window, copies[:, 1]) - np.maximum(
        first[:, None], copies[:, 0]
    )
    covered = np.maximum(inside, 0).sum(axis=1) / window
    leaked = dataset.leaked[test] > 0
    assert leaked[covered == 1].mean() >= 0.95
    assert (covered[leaked] > 0.75).mean() >= 0.99
    if not divergence:
        assert f"of {test.size} test windows have the same sequence as a part of" in caplog.text
        assert "drop_leaked" in caplog.text
    caplog.clear()
    report_leaked(dataset)
    count = np.count_nonzero(leaked)
    assert (
        f"{count} of {test.size} test windows contain sequence of training windows" in caplog.text
    )
    assert "drop_leaked" in caplog.text
    assert "valid windows" not in caplog.text
    assert not dataset.leaked[dataset.split < 2].any()


@pytest.mark.parametrize("window", [200, 1_000])
def test_dropping_training_windows_leaves_no_leaked_window(tmp_path: Path, window: int, caplog):
    planted(tmp_path, window, 0.002)
    caplog.set_level(logging.INFO, logger="danq")
    before = build(tmp_path, window)
    caplog.clear()
    after = build(tmp_path, window, drop_leaked=True)
    assert not after.leaked.any()
    lost = before.indices("train").size - after.indices("train").size
    assert after.build["dropped_bins"]["sequence of a held-out window"] == lost > 0
    assert f"{lost} training windows contain sequence of held-out windows" in caplog.text
    assert "test windows" not in caplog.text
    assert build(tmp_path, window).build["drop_leaked"] is False
    for split in ("valid", "test"):
        assert after.indices(split).size == before.indices(split).size
    known, seen = shares(
        after.genome, after.contig, after.start + 100 - window // 2, after.split, window
    )
    assert not np.any((seen >= 0.8 * known) & (after.split > 0))


def test_a_training_split_of_leaked_sequence_only_is_refused(tmp_path: Path):
    codes = np.random.default_rng(0).integers(0, 4, 6_000).astype(np.uint8)
    valid = np.random.default_rng(1).integers(0, 4, 1_000).astype(np.uint8)
    text = "".join(
        f">{name}\n{decode(one)}\n"
        for name, one in (("train", codes[1_000:3_000]), ("test", codes), ("valid", valid))
    )
    (tmp_path / "g.fa").write_text(text)
    (tmp_path / "a.bed").write_text("train\t100\t300\n")
    with pytest.raises(InputError, match=r"train split is empty.* held-out window 10"):
        build(tmp_path, 400, drop_leaked=True)


def test_leaked_windows_are_summarised(tmp_path: Path):
    planted(tmp_path, 400, 0)
    dataset = build(tmp_path, 400)
    dataset.save(tmp_path / "set.h5")
    back = Dataset.open(tmp_path / "set.h5")
    np.testing.assert_array_equal(back.leaked, dataset.leaked)
    summary = summarise(back)
    complete = np.count_nonzero(back.leaked == COMPLETE)
    assert summary.leaked == {"valid": (0, 0), "test": (np.count_nonzero(back.leaked), complete)}
    assert 0 < complete < np.count_nonzero(back.leaked)
    rows = np.flatnonzero(back.leaked)
    np.testing.assert_array_equal(
        summary.leaked_positives.sum(axis=1), back.labels(rows).sum(axis=0)
    )
    assert LEAKED in back.leaked
    assert summarise(back, leaks=False).leaked is None


@pytest.mark.parametrize("damage", [None, b"", b"no array", np.full(3, 1, np.uint8), "three"])
def test_a_large_genome_keeps_its_leaked_windows_in_the_cache(tmp_path: Path, monkeypatch, damage):
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(leaked_windows, "CACHED_BASES", 0)
    planted(tmp_path, 400, 0)
    expected = build(tmp_path, 400).leaked
    (file,) = (tmp_path / "cache" / "leaked").iterdir()
    if isinstance(damage, bytes):
        file.write_bytes(damage)
    elif damage is not None:
        np.save(file, np.full(expected.size, 3, np.uint8) if isinstance(damage, str) else damage)
    else:
        monkeypatch.setattr(leaked_windows, "find_leaked", None)
    np.testing.assert_array_equal(build(tmp_path, 400).leaked, expected)


def test_without_a_cache_leaked_windows_are_found_all_the_same(tmp_path: Path, monkeypatch):
    planted(tmp_path, 400, 0)
    expected = build(tmp_path, 400).leaked
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(leaked_windows, "CACHED_BASES", 0)
    np.testing.assert_array_equal(leaked_windows.leaked_windows(build(tmp_path, 400)), expected)


def test_converted_sequences_are_searched(tmp_path: Path, caplog):
    rng = np.random.default_rng(2)
    codes = {split: rng.integers(0, 4, (20, 200)) for split in ("train", "valid", "test")}
    codes["test"][3] = codes["train"][7]
    codes["test"][5, :170] = 3 - codes["train"][2, 199:29:-1]
    codes["valid"][0, :100] = codes["train"][2, :100]
    files = []
    for split, rows in codes.items():
        files.append(tmp_path / f"{split}.npz")
        np.savez(files[-1], x=np.eye(4, dtype=np.uint8)[rows], y=rng.integers(0, 2, (20, 3)))
    dataset = read_arrays(files, channels="ACGT", bin=100)
    test = dataset.leaked[dataset.indices("test")]
    assert np.flatnonzero(test).tolist() == [3, 5]
    assert test[[3, 5]].tolist() == [COMPLETE, LEAKED]
    assert np.count_nonzero(dataset.leaked) == 2
    assert "1 of 20 test windows have the same sequence as a part of the training" in caplog.text


@pytest.mark.parametrize("window", [120, 200, 300])
def test_windows_of_low_complexity_are_searched_completely(window: int):
    rng = np.random.default_rng(window)
    contigs = {name: rng.integers(0, 4, 1_800).astype(np.uint8) for name in ("one", "two")}
    unit = rng.integers(0, 4, 37)
    for codes in contigs.values():
        codes[100:200] = 0
        codes[500:780] = 3
        codes[1_000:1_150] = np.resize([0, 1], 150)
        codes[1_400:1_700] = np.resize(unit, 300)
    genome = PackedGenome.from_contigs(contigs.items())
    first = np.tile(np.arange(0, 1_800 - window, 40), 2)
    contig = np.repeat(np.arange(2, dtype=np.uint32), first.size // 2)
    split = (2 * contig).astype(np.uint8)
    known, seen = shares(genome, contig, first, split, window)
    expected = (split > 0) & (seen >= 0.8 * known)
    assert expected.sum() >= 5
    np.testing.assert_array_equal(
        find_leaked(WindowTable(genome, contig, first, split, window)) > 0, expected
    )
