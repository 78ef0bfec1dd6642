"""bigWig files as other programs read them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pybigtools
import pytest

from danq.genome.signal.bigwig import open_bigwig
from danq.inference.writers import bigwig_file
from danq.inference.writers.bigwig_file import ContigRows, write_bigwig

pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")


def tiles(rng, length: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.arange(0, length, step)
    return start, np.minimum(start + step, length)


def equal_spans(rng, length: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    start = np.flatnonzero(rng.random(length // step) < 0.5) * step
    return start, start + step // 2 + 1


def any_spans(rng, length: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    edges = np.sort(rng.choice(length, 2 * (length // step // 2), replace=False))
    return edges[::2], edges[1::2]


KINDS = {"tiles": tiles, "equal spans": equal_spans, "any spans": any_spans}


def make(path: Path, kind: str, lengths: dict[str, int], step: int) -> dict[str, ContigRows]:
    rng = np.random.default_rng(0)
    rows = {}
    for name, length in lengths.items():
        start, end = KINDS[kind](rng, length, step)
        rows[name] = ContigRows(name, start, end, rng.random(len(start)).astype(np.float32) ** 5)
    parts = [
        ContigRows(name, *(array[low : low + 1500] for array in arrays))
        for name, *arrays in rows.values()
        for low in range(0, len(arrays[0]), 1500)
    ]
    with path.open("wb") as file:
        write_bigwig(file, lengths, parts)
    return rows


def as_tuples(rows: ContigRows) -> list[tuple[int, int, float]]:
    return list(zip(*(part.tolist() for part in rows[1:]), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [2, 25, 200, 5_000])
def test_other_programs_read_the_same_rows(tmp_path, kind, step):
    lengths = {"chr1": 400_123, "chr10": 20_000, "chr2": 5_001}
    rows = make(tmp_path / "a.bw", kind, lengths, step)
    other = pybigtools.open(str(tmp_path / "a.bw"))
    with (
        pyBigWig.open(str(tmp_path / "a.bw")) as file,
        open_bigwig(tmp_path / "a.bw") as own,
    ):
        assert file.chroms() == other.chroms() == own.contigs == lengths
        for name, expected in rows.items():
            assert list(file.intervals(name) or ()) == as_tuples(expected)
            assert list(other.records(name)) == as_tuples(expected)
            found = [row for part in own.segments(name) for row in zip(*part, strict=True)]
            assert found == as_tuples(expected)
            low, high = lengths[name] // 3, lengths[name] // 3 + 777
            inside = (expected.end > low) & (expected.start < high)
            part = [row for row, kept in zip(as_tuples(expected), inside, strict=True) if kept]
            assert list(file.intervals(name, low, high) or ()) == part
            assert (
                list(other.records(name, low, high))
                == [(max(start, low), min(end, high), value) for start, end, value in part]
                or list(other.records(name, low, high)) == part
            )


@pytest.mark.parametrize("kind", KINDS)
def test_the_summary_is_that_of_the_rows(tmp_path, kind):
    rows = make(tmp_path / "a.bw", kind, {"a": 90_001, "b": 4_000}, 20).values()
    bases = np.concatenate([one.end - one.start for one in rows])
    value = np.concatenate([one.value for one in rows]).astype(float)
    with pyBigWig.open(str(tmp_path / "a.bw")) as file:
        header = file.header()
    assert header["nBasesCovered"] == bases.sum()
    # pyBigWig returns whole numbers of these.
    assert header["minVal"] == int(value.min())
    assert header["maxVal"] == int(value.max())
    assert header["sumData"] == int((value * bases).sum())
    assert header["sumSquared"] == int((value**2 * bases).sum())
    assert header["nLevels"] >= 3


@pytest.mark.parametrize(("kind", "error"), {**dict.fromkeys(KINDS, 0.05), "tiles": 1e-6}.items())
@pytest.mark.parametrize("bins", [1, 4, 64])
def test_zoom_levels_agree_with_the_rows(tmp_path, kind, error, bins):
    """The intervals of all levels are parts of these bins for tiles; others overlap two bins."""
    length = 20 * 32 * 4**4
    rows = make(tmp_path / "a.bw", kind, {"a": length, "b": 300}, 20)["a"]
    depth = np.zeros(length)
    for start, end, value in as_tuples(rows):
        depth[start:end] = value
    known = np.zeros(length, bool)
    for start, end, _ in as_tuples(rows):
        known[start:end] = True
    edges = np.linspace(0, length, bins + 1).astype(int)
    parts = [slice(low, high) for low, high in pairwise(edges)]
    metrics = {"mean": np.mean, "std": lambda part: np.std(part, ddof=1)}
    if kind == "tiles":
        metrics |= {"min": np.min, "max": np.max}
    with pyBigWig.open(str(tmp_path / "a.bw")) as file:
        for how, of in metrics.items():
            expected = [of(depth[part][known[part]]) for part in parts]
            found = file.stats("a", 0, length, type=how, nBins=bins)
            np.testing.assert_allclose(found, expected, rtol=0, atol=error)
        found = file.stats("a", 0, length, type="coverage", nBins=bins)
        np.testing.assert_allclose(found, [known[part].mean() for part in parts], atol=error)


def test_a_summary_of_a_level_holds_its_interval_exactly():
    start, end = np.array([0, 35, 90]), np.array([30, 88, 97])
    value = np.array([0.5, 0.25, 1], np.float32)
    found = bigwig_file._summarised_rows(3, 97, start, end, value, 40)
    assert found.tolist() == [
        (3, 0, 40, 35, 0.25, 0.5, 0.5 * 30 + 0.25 * 5, 0.25 * 30 + 0.0625 * 5),
        (3, 40, 80, 40, 0.25, 0.25, 10, 2.5),
        (3, 80, 97, 15, 0.25, 1, 2 + 7, 0.5 + 7),
    ]
    (joined,) = bigwig_file._joined(found, np.array([0, 0, 0, 97]), 160).tolist()
    assert joined == (3, 0, 97, 90, 0.25, 1, 35.25, 17.8125)


def test_many_contigs_and_rows_need_trees_of_several_levels(tmp_path, monkeypatch):
    monkeypatch.setattr(bigwig_file, "BRANCHES", 4)
    monkeypatch.setattr(bigwig_file, "ITEMS", 8)
    lengths = {f"contig{number:03d}": 500 + number for number in range(70)}
    rows = make(tmp_path / "a.bw", "any spans", lengths, 5)
    with pyBigWig.open(str(tmp_path / "a.bw")) as file:
        assert file.chroms() == lengths
        for name, expected in rows.items():
            assert list(file.intervals(name)) == as_tuples(expected)
    with open_bigwig(tmp_path / "a.bw") as own:
        assert own.contigs == lengths


def test_contigs_without_rows_and_files_without_rows(tmp_path):
    lengths = {"a": 100, "b": 50, "c": 10}
    row = ContigRows("b", np.array([3]), np.array([9]), np.array([0.5], np.float32))
    empty = ContigRows("c", *np.empty((2, 0), np.int64), np.empty(0, np.float32))
    for contigs, expected in (([row, empty], [(3, 9, 0.5)]), ([], [])):
        with (tmp_path / "a.bw").open("wb") as file:
            write_bigwig(file, lengths, contigs)
        with pyBigWig.open(str(tmp_path / "a.bw")) as file:
            assert file.chroms() == lengths
            assert list(file.intervals("b") or ()) == expected
            assert file.intervals("a") is None
        with open_bigwig(tmp_path / "a.bw") as own:
            assert [one[0].size for one in own.segments("b")] == [1] * len(expected)


def test_rows_at_the_end_of_a_long_contig(tmp_path):
    length = 2**32 - 1
    rows = ContigRows("a", np.array([0, length - 9]), np.array([7, length]), np.ones(2, np.float32))
    with (tmp_path / "a.bw").open("wb") as file:
        write_bigwig(file, {"a": length}, [rows])
    with open_bigwig(tmp_path / "a.bw") as own:
        ((start, end, value),) = own.segments("a")
    assert (start.tolist(), end.tolist(), value.tolist()) == ([0, length - 9], [7, length], [1, 1])
