"""Datasets with tracks of signals; pyBigWig writes the signals and computes the amounts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from danq.amounts import AmountUnit
from danq.datasets import (
    Dataset,
    LabelOptions,
    SignalOptions,
    build_dataset,
    label_genome,
    summarise,
)
from danq.errors import InputError

pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")

LENGTHS = {"one": 6_100, "two": 4_000, "three": 3_050}
HELD_OUT = {"valid": "two", "test": "three"}


@pytest.fixture
def signals(folder: Path) -> Path:
    """Two bigWigs of random values; 'b' has no data of contig three and has gaps."""
    rng = np.random.default_rng(8)
    path = folder / "signals"
    path.mkdir()
    for name, own in (("a", LENGTHS), ("b", {"one": 6_100, "two": 4_000})):
        runs = {}
        for contig, length in own.items():
            edges = np.unique(np.r_[0, rng.integers(0, length, 200), length])
            values = rng.gamma(1, 3, edges.size - 1)
            kept = rng.random(values.size) < (1 if name == "a" else 0.7)
            runs[contig] = list(zip(edges[:-1][kept], edges[1:][kept], values[kept], strict=True))
        write(path / f"{name}.bw", own, runs)
    return path


def write(path: Path, contigs: dict[str, int], runs: dict[str, list]) -> None:
    file = pyBigWig.open(str(path), "w")
    file.addHeader(list(contigs.items()))
    for contig, rows in runs.items():
        start, end, value = (list(column) for column in zip(*rows, strict=True))
        file.addEntries(
            [contig] * len(rows),
            [int(at) for at in start],
            ends=[int(at) for at in end],
            values=[float(one) for one in value],
        )
    file.close()


def label(folder: Path, **changes) -> Dataset:
    """A dataset of the folder's signals; ``changes`` are options or `SignalOptions`."""
    own = {name: changes.pop(name) for name in list(changes) if hasattr(SignalOptions, name)}
    peaks = changes.pop("peaks", None)
    options = LabelOptions(
        signal=folder / "signals", amounts=SignalOptions(**{"gaps": "mask", **own}), **changes
    )
    return label_genome(folder / "genome.fa", peaks, window=500, options=options, **HELD_OUT)


def expected(folder: Path, dataset: Dataset, name: str, parts: int, statistic: str) -> np.ndarray:
    """Amounts by pyBigWig, from all bases of a bin."""
    rows = []
    with pyBigWig.open(str(folder / "signals" / f"{name}.bw")) as file:
        for contig, start in zip(dataset.contig, dataset.start, strict=True):
            named = dataset.genome.names[contig]
            if named not in file.chroms():
                rows.append([np.nan] * parts)
                continue
            bases = file.values(named, int(start), int(start) + dataset.bin, numpy=True)
            steps = bases.astype(np.float64).reshape(parts, -1)
            empty = np.isnan(steps).all(axis=1)
            found = {"mean": np.nanmean, "sum": np.nansum, "max": np.nanmax}[statistic]
            rows.append([np.nan if e else found(s) for s, e in zip(steps, empty, strict=True)])
    return np.array(rows)


@pytest.mark.parametrize("statistic", ["mean", "sum", "max"])
def test_amounts_of_bins_equal_those_of_pybigwig(folder: Path, signals: Path, statistic: str):
    dataset = label(folder, statistic=statistic)
    assert dataset.tracks == ("a", "b")
    assert dataset.targets[0][:2] == ("amounts", 2)
    assert dataset.units == (AmountUnit(unit=f"{statistic} of 200 bp"),) * 2
    for number, name in enumerate(dataset.tracks):
        found = dataset.amounts(np.arange(len(dataset)))[:, number]
        np.testing.assert_allclose(
            found, expected(folder, dataset, name, 1, statistic)[:, 0], rtol=1e-5
        )
    assert np.isnan(dataset.amounts(dataset.indices("test"))[:, 1]).all()


def test_profiles_equal_those_of_pybigwig(folder: Path, signals: Path, tmp_path: Path):
    dataset = label(folder, step=20)
    assert dataset.targets[0] == ("profiles", 2, 10, 20)
    for number, name in enumerate(dataset.tracks):
        found = dataset.amounts(np.arange(len(dataset)))[:, number]
        np.testing.assert_allclose(found, expected(folder, dataset, name, 10, "mean"), rtol=1e-5)
    dataset.save(tmp_path / "p.h5")
    assert Dataset.open(tmp_path / "p.h5").sha256 == dataset.sha256


def test_transform_and_library_size_are_stored_and_can_be_undone(folder: Path, signals: Path):
    plain, scaled = label(folder), label(folder, transform="log1p", library=True)
    rows = np.arange(len(plain))
    for number, unit in enumerate(scaled.units):
        assert unit.transform == "log1p"
        assert unit.scale != 1
        back = unit.undo(scaled.amounts(rows)[:, number])
        np.testing.assert_allclose(back, plain.amounts(rows)[:, number], rtol=1e-4)


def test_peaks_and_amounts_are_tracks_of_one_dataset(folder: Path, signals: Path):
    both, peaks = label(folder, peaks=folder / "tracks"), folder / "tracks"
    only = label_genome(folder / "genome.fa", peaks, window=500, **HELD_OUT)
    rows = np.arange(len(both))
    assert both.tracks == ("alpha", "beta", "a", "b")
    assert both.sources == ("alpha.bed", "beta.bed", "a.bw", "b.bw")
    np.testing.assert_array_equal(both.labels(rows), only.labels(rows))
    np.testing.assert_array_equal(both.amounts(rows), label(folder).amounts(rows))
    assert summarise(both).positives.shape == (2, 3)


def test_windows_without_any_amount_are_dropped_and_counted(folder: Path, caplog):
    (folder / "signals").mkdir()
    write(folder / "signals" / "a.bw", {"one": 6_100}, {"one": [(0, 6_100, 1.5)]})
    caplog.set_level("INFO", logger="danq")
    options = LabelOptions(signal=folder / "signals")
    split = {"valid": "one:1-1000", "test": "one:3001-4000"}
    dataset = label_genome(folder / "genome.fa", None, window=500, options=options, **split)
    assert {dataset.genome.names[contig] for contig in dataset.contig} == {"one"}
    every = 4_000 // 200 + 3_050 // 200
    dropped = dataset.build["dropped_bins"]
    # Windows of 'two' with too many N were dropped before.
    assert dropped["without any amount"] + dropped["unknown bases"] == every
    assert f"{dropped['without any amount']} windows without any amount were dropped" in caplog.text
    with pytest.raises(InputError, match="no window of the valid split has an amount; .* dropped"):
        label_genome(folder / "genome.fa", None, window=500, options=options, **HELD_OUT)
    kept = label_genome(
        folder / "genome.fa", folder / "tracks", window=500, options=options, **HELD_OUT
    )
    assert "without any amount" not in kept.build["dropped_bins"]


def test_the_summary_has_units_masked_fractions_and_ranges(folder: Path, signals: Path):
    zero, same = folder / "signals" / "zero.bw", folder / "signals" / "same.bw"
    write(zero, LENGTHS, {name: [(0, size, 0)] for name, size in LENGTHS.items()})
    write(same, LENGTHS, {name: [(0, size, 2)] for name, size in LENGTHS.items()})
    dataset = label(folder, transform="asinh")
    summary = summarise(dataset)
    amounts = dataset.amounts(np.arange(len(dataset)))
    for number, found in enumerate(summary.amounts):
        column = amounts[:, number].astype(np.float64)
        assert found.track == dataset.tracks[number]
        assert found.unit == "asinh(mean of 200 bp)"
        assert found.masked == pytest.approx(np.isnan(column).mean())
        assert (found.low, found.high) == (np.nanmin(column), np.nanmax(column))
        assert found.mean == pytest.approx(np.nanmean(column))
        assert found.zero == pytest.approx(np.mean(column[~np.isnan(column)] == 0))
    lines = summary.tracks_to_check()
    assert lines == ["only zeros: zero", "the same amount in all training windows: same"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gaps": None}, r"b.bw: 3\d\.\d% of the bases of its contigs have no value. State what"),
        ({"step": 30}, "steps of 30 bases do not divide a bin of 200 bases"),
        ({"step": 20, "transform": "log1p"}, "a profile cannot be transformed by log1p"),
        ({"negatives": "drop"}, "negatives is drop, but without peaks no bin is negative"),
        ({"negatives": 2.0}, "negatives is 2.0, but without peaks no bin is negative"),
        ({"statistic": "median"}, "no statistic of bins is named 'median'"),
        ({"oriented": 1}, "oriented is '1', not true or false"),
    ],
)
def test_wrong_options_are_refused(folder: Path, signals: Path, changes, message: str):
    with pytest.raises(InputError, match=message):
        label(folder, **changes)


@pytest.mark.parametrize(
    ("own", "value", "changes", "message"),
    [
        ({"one": 6_000}, 1, {}, "'one' has 6,000 bases, but one of the genome has 6,100"),
        ({"chrZ": 6_100}, 1, {}, "chrZ"),
        ({"one": 6_100}, -1, {"step": 20}, "negative values.* a profile needs values of 0 or"),
        ({"one": 6_100}, -1, {"transform": "log1p"}, "log1p needs values of 0 or more"),
        ({"one": 6_100}, np.inf, {}, "inf"),
        ({"one": 6_100}, 0, {"library": True}, "add up to 0 and cannot be scaled"),
    ],
)
def test_wrong_signals_are_refused(folder: Path, own, value, changes, message: str):
    (folder / "signals").mkdir()
    name, size = next(iter(own.items()))
    write(folder / "signals" / "a.bw", own, {name: [(0, size, value)]})
    with pytest.raises(InputError, match=message):
        label(folder, **changes)


def test_tracks_of_peaks_and_signals_with_one_name_are_refused(folder: Path, signals: Path):
    (signals / "a.bw").rename(signals / "alpha.bw")
    with pytest.raises(InputError, match="two tracks are named 'alpha'"):
        label(folder, peaks=folder / "tracks")


def test_no_file_is_written_after_an_error(folder: Path, signals: Path):
    options = LabelOptions(signal=signals)
    with pytest.raises(InputError, match="have no value"):
        build_dataset(
            folder / "d.h5", folder / "genome.fa", None, window=500, options=options, **HELD_OUT
        )
    assert not (folder / "d.h5").exists()
    with pytest.raises(InputError, match="no tracks were given"):
        build_dataset(folder / "d.h5", folder / "genome.fa", None)
