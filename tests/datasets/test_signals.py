"""Signal files of tracks, and the amounts of their bins."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from danq.datasets.signal_amounts import SignalOptions, read_signals
from danq.datasets.signal_files import find_signals
from danq.datasets.track_sheet import Track
from danq.errors import InputError
from danq.files.text_tables import MAX_TEXT
from tests.watched import watched

pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")

GENOME = {"chrI": 1_000, "chrII": 400}
STARTS = {"chrI": np.arange(0, 1_000, 100), "chrII": np.arange(0, 400, 100)}


def write_bigwig(path: Path, seed: int, contigs: tuple[str, ...] = ("chrI", "chrII")) -> np.ndarray:
    """A signal without gaps; return the value of every base of the genome, NaN where absent."""
    rng = np.random.default_rng(seed)
    bases = {name: np.full(length, np.nan) for name, length in GENOME.items()}
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader([(name, GENOME[name]) for name in contigs])
        for name in contigs:
            value = np.repeat(rng.poisson(3, GENOME[name] // 10), 10).astype(float)
            bases[name] = value
            file.addEntries(name, 0, values=value.tolist(), span=1, step=1)
    return np.concatenate(list(bases.values()))


@pytest.fixture
def tracks(tmp_path) -> tuple[list[Track], np.ndarray]:
    bases = [write_bigwig(tmp_path / f"{name}.bw", i) for i, name in enumerate("ab")]
    bases.append(write_bigwig(tmp_path / "c.bw", 2, ("chrI",)))
    return find_signals(tmp_path), np.stack(bases, axis=1)


def test_means_of_all_tracks(tracks):
    found = read_signals(tracks[0], GENOME, STARTS, 100)
    wanted = tracks[1].reshape(14, 100, 3).mean(axis=1)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)
    assert np.isnan(found.values).sum() == 4
    assert [str(unit) for unit in found.units] == ["mean of 100 bp"] * 3
    assert found.counts[2].absent == ("chrII",)


def test_profiles(tracks):
    options = SignalOptions(step=25, statistic="sum")
    found = read_signals(tracks[0], GENOME, STARTS, 100, options)
    wanted = tracks[1].reshape(14, 4, 25, 3).sum(axis=2).transpose(0, 2, 1)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)


def test_scaling_by_library_size_and_transforms(tracks, caplog):
    caplog.set_level(logging.INFO, "danq")
    options = SignalOptions(statistic="sum", library=True, transform="log1p", unit="reads")
    done = []
    with watched(lambda *count: done.append(count), "tracks"):
        found = read_signals(tracks[0], GENOME, STARTS, 100, options)
    sums = tracks[1].reshape(14, 100, 3).sum(axis=1)
    wanted = np.log1p(sums * 1e6 / np.nansum(tracks[1], axis=0))
    np.testing.assert_allclose(found.values, wanted, rtol=1e-5)
    np.testing.assert_allclose(found.units[0].undo(found.values[:, 0]), sums[:, 0], rtol=1e-4)
    assert str(found.units[0]).startswith("log1p(")
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert "0.00 % of the bases of its contigs have no value; 4 of 14 values" in caplog.text


def test_signals_that_cannot_be_used_are_refused_by_name(tmp_path, caplog):
    path = tmp_path / "a.bedgraph"
    track = [Track("a", path)]
    path.write_text("chrI\t0\t1000\t-2\n")
    with pytest.raises(InputError, match=r"a\.bedgraph: 10 values are negative, down to -2; log1p"):
        read_signals(track, GENOME, STARTS, 100, SignalOptions(transform="log1p"))
    with pytest.raises(InputError, match=r"a\.bedgraph: the values of the signal add up to -2000"):
        read_signals(track, GENOME, STARTS, 100, SignalOptions(library=True))
    read_signals(track, GENOME, STARTS, 100)
    assert "all bins have the value -2" in caplog.text
    path.write_text("chrI\t0\t1000\tNA\n")
    with pytest.raises(InputError, match=r"record 'a': no bin has a value"):
        read_signals(track, GENOME, STARTS, 100, SignalOptions(gaps="mask"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SignalOptions(step=30), "steps of 30 bases do not divide a bin of 100 bases"),
        (SignalOptions(step=0), "steps of 0 bases"),
        (SignalOptions(step=10, transform="asinh"), "a profile cannot be transformed by asinh"),
    ],
)
def test_bad_steps_are_refused_before_files_are_read(options, message):
    with pytest.raises(InputError, match=message):
        read_signals([Track("a", Path("none.bw"))], GENOME, STARTS, 100, options)


def test_signals_of_a_folder_a_sheet_and_files(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    write_bigwig(tmp_path / "b.bigWig", 0)
    (tmp_path / "a.x.bedGraph.gz").write_bytes(b"x")
    (tmp_path / "c.WIG").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    found = find_signals(tmp_path)
    assert [track.name for track in found] == ["a.x", "b", "c"]
    assert "1 of 4 files are not signals by their extension" in caplog.text
    assert "folders in it are not searched: folder" in caplog.text
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("name\tpath\tgroup\nRNA\tb.bigWig\texpression\n")
    assert find_signals(sheet) == [Track("RNA", tmp_path / "b.bigWig", "expression")]
    assert [track.name for track in find_signals([tmp_path / "c.WIG", sheet])] == ["c", "RNA"]


@pytest.mark.parametrize(
    "text",
    [
        "chrI\t0\t10\t1\n",
        "track type=bedGraph\nchrI 0 10 1\n",
        "fixedStep chrom=chrI start=1 step=1\n1\n",
    ],
)
def test_signals_without_an_extension_are_recognised(tmp_path, text, caplog):
    caplog.set_level(logging.INFO, "danq")
    path = tmp_path / "coverage.txt"
    path.write_text(text)
    assert find_signals(path) == [Track("coverage", path)]
    assert "read as a signal" in caplog.text
    bigwig = tmp_path / "coverage"
    write_bigwig(bigwig, 0)
    assert find_signals(str(bigwig)) == [Track("coverage", bigwig)]


def test_a_large_signal_without_an_extension_is_recognised(tmp_path):
    path = tmp_path / "coverage"
    path.write_bytes(b"#c\n\nchr1\t0\t10\t1.5\n" + b"#\n" * (MAX_TEXT // 2))
    assert find_signals(path) == [Track("coverage", path)]


def test_places_without_signals_are_refused(tmp_path):
    (tmp_path / "a.bed").write_text("chrI\t0\t10\n")
    with pytest.raises(InputError, match="none of the 1 files in this folder is a signal file.*bw"):
        find_signals(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        find_signals(tmp_path / "none.bw")
    with pytest.raises(InputError, match="no tracks were given"):
        find_signals([])
    (tmp_path / "b.bw").write_text("x")
    with pytest.raises(InputError, match="two tracks are named 'b'"):
        find_signals([tmp_path / "b.bw", tmp_path / "b.bw"])
    (tmp_path / "start.bw").write_text("x")
    with pytest.raises(InputError, match="a track is named 'start', like a column"):
        find_signals(tmp_path / "start.bw")
    (tmp_path / "c.bw").symlink_to(tmp_path / "gone.bw")
    with pytest.raises(InputError, match="c.bw: no such file"):
        find_signals(tmp_path)
