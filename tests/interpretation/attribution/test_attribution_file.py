"""What the file of attributions holds, and files that are refused."""

from __future__ import annotations

import h5py
import numpy as np
import polars as pl
import pytest

from danq.datasets.hdf5_writer import writing
from danq.errors import InputError
from danq.inference.mutagenesis.targets import Target, TargetWindow
from danq.inference.writers.attribution_hdf5 import KIND, AttributionHdf5
from danq.inference.writers.attribution_layout import (
    AttributionLayout,
    Completeness,
    WindowAttributions,
)
from danq.interpretation.attribution.read_attributions import read_attributions

TRACKS = ("Reb1", "Abf1")


def windows(*, complete: bool) -> list[WindowAttributions]:
    """A sequence of 6 bases in two windows of 8, and one of 3 bases with an N."""
    rng = np.random.default_rng(3)
    long = Target("chrI", 10, 16, 100, lambda low, high: np.zeros(high - low, np.uint8))
    short = Target("chrII", 0, 3, 3, lambda low, high: np.zeros(high - low, np.uint8))
    made = []
    for number, (target, first, low, high) in enumerate(
        [(long, 8, 2, 5), (long, 10, 3, 6), (short, -2, 2, 5)]
    ):
        codes = rng.integers(0, 4, 8).astype(np.uint8)
        values = rng.normal(size=(high - low, 4, 2)).astype(np.float32)
        if target is short:
            codes[3] = 4
            values[1] = np.nan
        error = Completeness(np.array([0.1, -0.3]) * (number + 1), np.array([1.0, 2.0]) + number)
        window = TargetWindow(target, codes, first, low, high)
        made.append(WindowAttributions(window, values, error if complete else None))
    return made


@pytest.fixture
def blocks() -> list[WindowAttributions]:
    return windows(complete=True)


def write(path, blocks, baseline="dinucleotide shuffles"):
    layout = AttributionLayout(
        key="chrom",
        method="integrated-gradients" if baseline else "ism",
        baseline=baseline,
        tracks=TRACKS,
        groups=("", ""),
        provenance={"model": "m", "window": "8"},
    )
    with AttributionHdf5(path, layout) as writer:
        for one in blocks:
            writer.write(one)
    return path


def test_what_is_written_is_read(tmp_path, blocks):
    found = read_attributions(write(tmp_path / "a.h5", blocks))
    assert (found.method, found.key, found.tracks) == ("integrated-gradients", "chrom", TRACKS)
    assert found.sequences.rows() == [("chrI", 10, 16), ("chrII", 0, 3)]
    assert found.sequence.tolist() == [0] * 6 + [1] * 3
    assert found.position.tolist() == [10, 11, 12, 13, 14, 15, 0, 1, 2]
    np.testing.assert_array_equal(found.base, np.concatenate([one.codes for one in blocks]))
    hypothetical = np.concatenate([one.hypothetical for one in blocks])
    np.testing.assert_array_equal(found.hypothetical, hypothetical)
    for base, ours, each in zip(found.base, found.attributions, hypothetical, strict=True):
        np.testing.assert_array_equal(ours, each[base] if base < 4 else np.full(2, np.nan))
    # The second window of the first sequence has the larger errors.
    np.testing.assert_allclose(found.completeness, [[0.2, -0.6], [0.3, -0.9]], rtol=1e-6)
    np.testing.assert_allclose(found.difference, [[2, 3], [3, 4]])
    assert found.provenance == {"model": "m", "window": "8"}
    assert found.bases(1) == slice(6, 9)
    np.testing.assert_array_equal(found.track("Abf1"), found.attributions[:, 1])
    table = found.to_polars()
    assert table.columns == ["chrom", "pos", "base", *TRACKS]
    assert table.filter(chrom="chrII")["pos"].to_list() == [1, 3]
    assert table["Reb1"].to_list() == found.attributions[found.base < 4, 0].tolist()
    assert found.to_pandas()["pos"].tolist() == table["pos"].to_list()
    with pytest.raises(InputError, match="no track 'Rap1'. Their tracks are Reb1, Abf1"):
        found.track("Rap1")
    with pytest.raises(InputError, match="no sequence 2. Choose one from 0 to 1"):
        found.bases(2)


def test_methods_without_a_baseline_have_no_completeness(tmp_path):
    found = read_attributions(write(tmp_path / "a.h5", windows(complete=False), baseline=""))
    assert found.completeness is None
    assert found.difference is None


def test_layout_tables_have_a_row_for_each_known_base(blocks):
    layout = AttributionLayout(key="chrom", method="ism", tracks=TRACKS, groups=("", ""))
    frame = pl.concat([layout.frame(one) for one in blocks])
    assert frame["pos"].to_list() == [11, 12, 13, 14, 15, 16, 1, 3]
    known = [one.attributions[one.codes < 4] for one in blocks]
    np.testing.assert_array_equal(frame.select(TRACKS).to_numpy(), np.concatenate(known))


CHANGES = {
    "bases/position": lambda values: values + 1,
    "bases/sequence": lambda values: values * 0,
    "bases/base": lambda values: values + 3,
    "sequences/end": lambda values: values + 1,
    "sequences/start": lambda values: values - 100,
    "attributions": lambda values: values + 1,
    "hypothetical": lambda values: values * np.float32(np.inf),
    "sequences/completeness": lambda values: values[:, :1],
}


@pytest.mark.parametrize("name", CHANGES)
def test_arrays_that_contradict_each_other_are_refused(tmp_path, blocks, name):
    source = write(tmp_path / "a.h5", blocks)
    with h5py.File(source) as old, writing(tmp_path / "b.h5", KIND) as new:
        new.attrs.update(old.attrs)
        for group in old:
            old.copy(group, new)
        changed = CHANGES[name](new[name][:])
        del new[name]
        new[name] = changed
    problem = r"is not an attribution file of danq \(HDF5\), or|/sequences/completeness has shape"
    with pytest.raises(InputError, match=rf"b\.h5: ({problem})"):
        read_attributions(tmp_path / "b.h5")


def test_other_files_are_refused(tmp_path, blocks):
    path = write(tmp_path / "a.h5", blocks)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(InputError, match="the file is truncated"):
        read_attributions(path)
    path.write_bytes(whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:])
    with pytest.raises(InputError, match="the file is damaged"):
        read_attributions(path)
    path.write_text("chrom\tpos\n")
    with pytest.raises(InputError, match="not an attribution file of danq"):
        read_attributions(path)
    with writing(tmp_path / "b.h5", KIND) as new:
        new.attrs.update(magic="danq-attributions", format_version=99)
    with pytest.raises(InputError, match="attribution format version 99, this danq reads 1"):
        read_attributions(tmp_path / "b.h5")
