from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import threading
from pathlib import Path
from unittest.mock import Mock

import h5py
import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers import prediction_bigwig
from danq.inference.writers.bigwig_file import ContigRows
from danq.inference.writers.hdf5_storage import Hdf5Storage
from danq.inference.writers.layout import PredictionLayout
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.variant_layout import VariantLayout
from danq.output import MARKER

CONTIGS = {"chrIV": 10_000, "chrI": 5_000, "chr10": 400}
TRACKS = ("Reb1", "Abf1")
FILES = ["out.tsv", "out.tsv.gz", "out.h5", "out.hdf5", "out.parquet"]
OUTPUTS = [*FILES, "folder"]


def output(path) -> Output:
    return find_output(path, PredictionLayout)


def layout(**changes) -> PredictionLayout:
    fields = {
        "key": "chrom",
        "tracks": TRACKS,
        "groups": ("factor", ""),
        "provenance": {"danq": "1.2.3", "model": "m.safetensors sha256:ab"},
        "contigs": CONTIGS,
    }
    return PredictionLayout(**{**fields, **changes})


def blocks(columns: int = 2) -> list[tuple[Rows, np.ndarray]]:
    """Three blocks of rows on contigs that are not in alphabetical order."""
    names = ["chrIV"] * 50 + ["chrI"] * 31 + ["chr10"] * 4
    start = np.concatenate([np.arange(count) * 50 for count in (50, 31, 4)])
    values = (np.random.default_rng(5).random((len(names), columns)) ** 9).astype(np.float32)
    values[0, :] = [0, 1, 1e-12, 0.1][:columns]
    return [
        (Rows(names[part], start[part], start[part] + 50), values[part])
        for part in (slice(0, 20), slice(20, 60), slice(60, 85))
    ]


def write(path, **changes) -> np.ndarray:
    made = layout(**changes)
    parts = blocks(len(made.columns))
    with output(path).open(made) as writer:
        for rows, values in parts:
            writer.write(rows, values)
    return np.concatenate([values for _, values in parts])


def write_and_fail(path, error, **options) -> None:
    existed = path.exists()
    with output(path).open(layout(), **options) as writer:
        writer.write(*blocks()[0])
        assert path.exists() == existed
        raise error


def all_rows() -> list[tuple[str, int, int]]:
    return [
        (name, int(start), int(end))
        for rows, _ in blocks()
        for name, start, end in zip(rows.names, rows.start, rows.end, strict=True)
    ]


def file_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.name != MARKER)


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz"])
def test_tsv_reads_back_exactly(tmp_path, name):
    values = write(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    lines = (gzip.decompress(data) if name.endswith("gz") else data).decode().splitlines()
    assert lines[:2] == ["# danq: 1.2.3", "# model: m.safetensors sha256:ab"]
    head, *rows = csv.reader(lines[2:], delimiter="\t")
    assert head == ["chrom", "start", "end", *TRACKS]
    assert [(row[0], int(row[1]), int(row[2])) for row in rows] == all_rows()
    found = np.array([[np.float32(text) for text in row[3:]] for row in rows])
    np.testing.assert_array_equal(found, values)


def test_tsv_gz_is_reproducible(tmp_path):
    write(tmp_path / "a.tsv.gz")
    write(tmp_path / "b.tsv.gz")
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()


def test_standard_deviations_follow_the_predictions(tmp_path):
    values = write(tmp_path / "out.tsv", spread=True)
    table = pl.read_csv(tmp_path / "out.tsv", separator="\t", comment_prefix="#")
    assert table.columns[3:] == ["Reb1", "Abf1", "Reb1_sd", "Abf1_sd"]
    np.testing.assert_array_equal(table.to_numpy()[:, 3:].astype(np.float32), values)


def hdf5_rows(file: h5py.File) -> list[tuple[str, int, int]]:
    names = file["sequences/name"].asstr()[:]
    columns = file["rows/sequence"][:], file["rows/start"][:], file["rows/end"][:]
    return [(names[n], int(start), int(end)) for n, start, end in zip(*columns, strict=True)]


@pytest.mark.parametrize("spread", [False, True])
def test_hdf5_contains_rows_values_and_provenance(tmp_path, spread):
    values = write(tmp_path / "out.h5", spread=spread)
    with h5py.File(tmp_path / "out.h5") as file:
        assert file.attrs["magic"] == "danq-predictions"
        assert file.attrs["format_version"] == 3
        assert file.attrs["key"] == "chrom"
        assert json.loads(file.attrs["provenance"])["danq"] == "1.2.3"
        assert file["tracks/name"].asstr()[:].tolist() == list(TRACKS)
        assert file["tracks/group"].asstr()[:].tolist() == ["factor", ""]
        assert file["sequences/name"].asstr()[:].tolist() == list(CONTIGS)
        assert hdf5_rows(file) == all_rows()
        assert file["predictions"].dtype == np.float32
        np.testing.assert_array_equal(file["predictions"][:], values[:, :2])
        assert ("spread" in file) == spread
        if spread:
            np.testing.assert_array_equal(file["spread"][:], values[:, 2:])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("compress", ["none", "gzip"])
def test_hdf5_is_stored_as_requested(tmp_path, compress, dtype):
    storage = Hdf5Storage(compress=compress, dtype=dtype)
    values = write(tmp_path / "out.h5", spread=True, storage=storage, total=85)
    with h5py.File(tmp_path / "out.h5") as file:
        for name, part in (("predictions", values[:, :2]), ("spread", values[:, 2:])):
            assert file[name].dtype == dtype
            assert file[name].compression == (None if compress == "none" else "gzip")
            assert file[name].chunks == (85, 2)
            np.testing.assert_array_equal(file[name][:], part.astype(dtype))


def test_float16_holds_all_probabilities():
    """The stated error and limit: no overflow, at most 2^-12 of rounding, 0 below 3e-8."""
    values = np.random.default_rng(0).random(100_000, np.float32)
    values = np.concatenate([values, values**20, [0, 1, np.nextafter(1, 0), 2.9e-8, 3e-8]])
    rounded = values.astype(np.float16)
    assert np.isfinite(rounded).all()
    assert rounded.max() == 1
    assert np.abs(values - rounded).max() <= 2**-12
    assert (rounded[values < 2.9e-8] == 0).all()
    assert (rounded[values > 3e-8] > 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compress": "lzf"}, "compress is 'lzf'.*none or gzip"),
        ({"dtype": "float64"}, "dtype is 'float64'.*float32 or float16"),
        ({"dtype": None}, "dtype is None"),
    ],
)
def test_other_storage_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Hdf5Storage(**changes)


@pytest.mark.parametrize("format", ["tsv", "tsv.gz", "parquet", "bigwig", "deepsea"])
def test_storage_is_for_hdf5_alone(format):
    Hdf5Storage().check_format(format)
    for storage in (Hdf5Storage("gzip"), Hdf5Storage(dtype="float16")):
        storage.check_format("hdf5")
        with pytest.raises(InputError, match=f"for HDF5, and the format of the output is {format}"):
            storage.check_format(format)


def test_hdf5_records_may_span_blocks(tmp_path):
    """A record that continues in the next block keeps its index; contigs may be repeated."""
    names = [["a", "b", "b"], ["b", "c"], ["c", "c"], ["d"]]
    with output(tmp_path / "out.h5").open(layout(key="name", contigs=None)) as writer:
        for part in names:
            start = np.arange(len(part))
            writer.write(Rows(part, start, start + 1), np.zeros((len(part), 2), np.float32))
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["sequences/name"].asstr()[:].tolist() == ["a", "b", "c", "d"]
        assert [row[0] for row in hdf5_rows(file)] == [name for part in names for name in part]


def test_parquet_contains_rows_values_and_provenance(tmp_path):
    values = write(tmp_path / "out.parquet")
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert table.schema == {
        "chrom": pl.String,
        "start": pl.Int64,
        "end": pl.Int64,
        "Reb1": pl.Float32,
        "Abf1": pl.Float32,
    }
    assert table.select("chrom", "start", "end").rows() == all_rows()
    np.testing.assert_array_equal(table.select(TRACKS).to_numpy(), values)
    provenance = json.loads(pl.read_parquet_metadata(tmp_path / "out.parquet")["danq"])
    assert provenance == {"danq": "1.2.3", "model": "m.safetensors sha256:ab"}
    assert file_names(tmp_path) == ["out.parquet"]


def test_parquet_without_rows_has_its_columns(tmp_path):
    with output(tmp_path / "out.parquet").open(layout()):
        pass
    assert pl.read_parquet(tmp_path / "out.parquet").columns == ["chrom", "start", "end", *TRACKS]


def test_bigwigs_contain_the_predictions(tmp_path, read_bigwig):
    values = write(tmp_path / "folder")
    assert file_names(tmp_path / "folder") == ["Abf1.bw", "Reb1.bw", "danq.json"]
    index = json.loads((tmp_path / "folder" / "danq.json").read_text())
    assert index["tracks"] == {"Reb1": "Reb1.bw", "Abf1": "Abf1.bw"}
    assert index["provenance"]["danq"] == "1.2.3"
    for column, track in enumerate(TRACKS):
        sizes, entries = read_bigwig(tmp_path / "folder" / f"{track}.bw")
        assert sizes == CONTIGS
        expected = [(*row, value) for row, value in zip(all_rows(), values[:, column], strict=True)]
        assert entries == sorted(expected)
        assert list(sizes) == sorted(sizes)


def test_pybigwig_reads_the_same_predictions(tmp_path):
    reader = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")
    values = write(tmp_path / "folder")
    by_row = dict(zip(all_rows(), values, strict=True))
    for column, track in enumerate(TRACKS):
        with reader.open(str(tmp_path / "folder" / f"{track}.bw")) as file:
            assert file.isBigWig()
            assert file.chroms() == CONTIGS
            found = {
                (contig, start, end): value
                for contig in CONTIGS
                for start, end, value in file.intervals(contig)
            }
            assert found == {row: value[column] for row, value in by_row.items()}
            assert np.isnan(file.values("chrIV", 2499, 2501)[1])


def test_bigwig_files_are_named_after_their_tracks(tmp_path):
    write(tmp_path / "folder", tracks=("H3K4me3/rep 1", ".hidden"))
    assert file_names(tmp_path / "folder") == ["H3K4me3_rep_1.bw", "danq.json", "hidden.bw"]


def test_tracks_with_the_same_file_name_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"'a/b' and 'A b' would both be written to A_b.bw"):
        write(tmp_path / "folder", tracks=("a/b", "A b"))
    assert file_names(tmp_path) == []


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (("abc", "ABC"), "'abc' and 'ABC' would both be written to ABC.bw"),
        (("straße", "STRASSE"), "'straße' and 'STRASSE' would both be written to STRASSE.bw"),
        (("\uac00", "\u1100\u1161"), "would both be written to"),
        (("..", "/"), "'..' and '/' would both be written to _.bw"),
        (("x" * 253,), "the name of track 'x{20}...' has 253 characters, too many"),
        (("日" * 85,), "has 85 characters, too many"),
    ],
)
def test_file_names_that_a_file_system_cannot_hold_are_refused(tmp_path, tracks, message):
    with pytest.raises(InputError, match=message):
        write(tmp_path / "folder", tracks=tracks, groups=tracks)
    assert file_names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["..", "/", "../up", "", "a\\b", "NA", "#x", "-v", "日" * 84, "x" * 252, "a\nb"]
)
def test_bigwigs_of_any_track_are_in_the_folder(tmp_path, read_bigwig, name):
    values = write(tmp_path / "folder", tracks=(name, "other"))
    index = json.loads((tmp_path / "folder" / "danq.json").read_text())
    assert file_names(tmp_path) == ["folder"]
    assert file_names(tmp_path / "folder") == sorted([*index["tracks"].values(), "danq.json"])
    sizes, entries = read_bigwig(tmp_path / "folder" / index["tracks"][name])
    assert sizes == CONTIGS
    assert [entry[3] for entry in entries].count(values[0, 0]) == 1
    assert len(entries) == len(values)


def test_bigwig_contigs_have_any_name(tmp_path, read_bigwig):
    names = ["HLA-A*01:01:01:01", "#x", "日本", "a b", "HG002#1#chr1"]
    contigs = dict.fromkeys(names, 100)
    start, value = np.zeros(5, int), np.linspace(0, 1, 10, dtype=np.float32).reshape(5, 2)
    with output(tmp_path / "folder").open(layout(contigs=contigs)) as writer:
        writer.write(Rows(names, start, start + 10), value)
    sizes, entries = read_bigwig(tmp_path / "folder" / "Reb1.bw")
    assert sizes == contigs
    assert {entry[0]: entry[3] for entry in entries} == dict(zip(names, value[:, 0], strict=True))


@pytest.mark.parametrize("name", ["out.h5", "out.parquet"])
def test_binary_files_keep_any_name(tmp_path, name):
    names = ["#x", "a#b", '"q"', "", "NA", "tab\there", "two\nlines", "日本", "x" * 70_000]
    made = layout(tracks=tuple(names), groups=tuple(names), key="name", contigs=None)
    start, values = np.arange(9), np.arange(81, dtype=np.float32).reshape(9, 9)
    with output(tmp_path / name).open(made) as writer:
        writer.write(Rows(names, start, start + 1), values)
    if name == "out.parquet":
        table = pl.read_parquet(tmp_path / name)
        assert table.columns == ["name", "start", "end", *names]
        assert table["name"].to_list() == names
        return
    with h5py.File(tmp_path / name) as file:
        for field in ("tracks/name", "tracks/group", "sequences/name"):
            assert file[field].asstr()[:].tolist() == names
        assert h5py.check_string_dtype(file["tracks/name"].dtype).encoding == "utf-8"


def test_bigwigs_of_standalone_sequences_are_refused(tmp_path):
    with pytest.raises(InputError, match="bigWig output needs positions on a genome"):
        write(tmp_path / "folder", key="name", contigs=None)
    assert file_names(tmp_path) == []


def test_an_error_while_a_bigwig_is_written_is_raised(tmp_path, monkeypatch):
    def broken(self, column, blocks):
        yield ContigRows("chrI", np.array([0]), np.array([50]), np.array([0.5], np.float32))
        raise KeyboardInterrupt

    monkeypatch.setattr(prediction_bigwig.BigWigWriter, "_rows", broken)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "folder")
    assert file_names(tmp_path) == []


def test_columns_with_the_same_name_are_refused():
    with pytest.raises(InputError, match="two columns of the output would be named 'start'"):
        layout(tracks=("start", "Reb1"))
    with pytest.raises(InputError, match="'Reb1_sd'"):
        layout(tracks=("Reb1", "Reb1_sd"), spread=True)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.tsv", "tsv"),
        ("a.TSV.gz", "tsv.gz"),
        ("a.b.h5", "hdf5"),
        ("a.hdf5", "hdf5"),
        ("a.parquet", "parquet"),
        ("tracks", "bigwig"),
        ("run.v2/", "bigwig"),
        ("x.bw", "bigwig"),
        ("x.bigWig", "bigwig"),
    ],
)
def test_formats_follow_the_extension(name, format):
    assert output(name).format == format


@pytest.mark.parametrize(
    ("layout", "names", "extensions"),
    [
        (
            PredictionLayout,
            ["a.csv", "a.bed.gz", "a.gz", ".tsv", "a.vcf", "a.vcf.gz"],
            ".tsv, .tsv.gz, .h5, .hdf5, .parquet, .bw, .bigwig, or a name without an extension",
        ),
        (
            VariantLayout,
            ["a.csv", "out", "tracks.bw", "folder/", ".vcf.gz"],
            ".tsv, .tsv.gz, .h5, .hdf5, .parquet, .vcf.gz, .vcf.bgz.",
        ),
        (
            MutationLayout,
            ["a.txt", "folder", "a.vcf.gz", "a.bw"],
            ".tsv, .tsv.gz, .h5, .hdf5, .parquet.",
        ),
    ],
)
def test_unknown_extensions_are_refused(layout, names, extensions):
    for name in names:
        with pytest.raises(InputError) as caught:
            find_output(name, layout)
        problem = f"the extension of an output format for {layout.contents}. Use {extensions}"
        assert problem in str(caught.value)


def test_a_directory_is_not_a_file(tmp_path):
    for out in (tmp_path, f"{tmp_path}/new/"):
        with pytest.raises(InputError, match="is a directory, and the format tsv is a file"):
            find_output(out, PredictionLayout, "tsv")
    assert not (tmp_path / "new").exists()


def test_formats_are_selected_by_name():
    def of(layout, out, format) -> str:
        return find_output(out, layout, format).format

    assert of(VariantLayout, "a.tsv.gz", "tsv") == of(MutationLayout, "a.gz", "tsv") == "tsv.gz"
    assert of(VariantLayout, "a.txt", "tsv") == "tsv"
    assert of(PredictionLayout, "a.txt", "bigwig") == "bigwig"
    assert of(PredictionLayout, "a.h5", "deepsea") == of(VariantLayout, "a", "deepsea") == "deepsea"
    for layout, format, known in (
        (VariantLayout, "csv", "tsv, parquet, hdf5, vcf, deepsea"),
        (PredictionLayout, "vcf", "tsv, parquet, hdf5, bigwig, deepsea"),
        (MutationLayout, "deepsea", "tsv, parquet, hdf5"),
        (MutationLayout, "tsv.gz", "tsv, parquet, hdf5"),
    ):
        with pytest.raises(InputError, match=f"is named '{format}'. Choose {known}."):
            of(layout, "a.csv", format)


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("broken")])
def test_an_error_leaves_no_file(tmp_path, name, error):
    with pytest.raises((KeyboardInterrupt, ValueError)):
        write_and_fail(tmp_path / name, error)
    assert file_names(tmp_path) == []


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_existing_output_is_replaced_only_with_overwrite(tmp_path, name):
    write(tmp_path / name)
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path / name)
    before = file_names(tmp_path)
    with output(tmp_path / name).open(layout(tracks=("new", "other")), overwrite=True) as writer:
        writer.write(*blocks()[0])
    assert file_names(tmp_path) == before
    if name == "folder":
        assert file_names(tmp_path / name) == ["danq.json", "new.bw", "other.bw"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_failed_overwrite_keeps_the_old_output(tmp_path, name):
    write(tmp_path / name)
    old = tmp_path / name / "Reb1.bw" if name == "folder" else tmp_path / name
    data = old.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_and_fail(tmp_path / name, KeyboardInterrupt, overwrite=True)
    assert old.read_bytes() == data
    assert file_names(tmp_path) == [name]


def test_an_empty_folder_is_used(tmp_path):
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder")
    assert (tmp_path / "folder" / "Reb1.bw").is_file()


def test_a_folder_with_other_files_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        output(tmp_path / "folder").check()
    with pytest.raises(InputError, match="has no valid danq-folder"):
        output(tmp_path / "folder").check(overwrite=True)


@pytest.mark.parametrize("name", OUTPUTS)
def test_missing_and_read_only_folders_are_refused(tmp_path, name):
    with pytest.raises(InputError, match="there is no folder"):
        output(tmp_path / "missing" / name).check()
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    try:
        with pytest.raises(InputError, match="not writable"):
            output(closed / name).check()
    finally:
        closed.chmod(0o755)


def write_many(path, times: int = 3) -> None:
    with output(path).open(layout(contigs={"chrI": 10**6})) as writer:
        for _ in range(times):
            writer.write(*many())


def many(count: int = 6_000):
    rng = np.random.default_rng(0)
    start = np.arange(count) * 50
    return Rows(["chrI"] * count, start, start + 50), rng.random((count, 2), dtype=np.float32)


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_full_disk_leaves_no_file(tmp_path, name, full_disk):
    with (
        full_disk(20_000),
        pytest.raises(InputError, match="cannot be written: File too large.*Make room") as caught,
    ):
        write_many(tmp_path / name)
    assert caught.value.file == str(tmp_path / name)
    assert file_names(tmp_path) == []


def test_a_full_disk_while_a_bigwig_is_written_leaves_no_file(tmp_path, full_disk, monkeypatch):
    write_track = prediction_bigwig.BigWigWriter._write_track

    def limited(self, *arguments):
        with full_disk(20_000):
            write_track(self, *arguments)

    monkeypatch.setattr(prediction_bigwig.BigWigWriter, "_write_track", limited)
    with pytest.raises(InputError, match="cannot be written: File too large.*Make room"):
        write_many(tmp_path / "folder")
    assert file_names(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_device_is_reported(tmp_path, monkeypatch):
    from danq.inference.writers import tsv

    monkeypatch.setattr(tsv.Path, "open", lambda self, mode: io.FileIO("/dev/full", mode))
    with pytest.raises(InputError, match="No space left on device.*Make room"):
        write(tmp_path / "out.tsv")


def write_parquet(path, parts, error: BaseException | None = None) -> None:
    with ParquetWriter(path, layout()) as writer:
        for rows, values in parts:
            writer.write(rows, values)
        if error is not None:
            raise error


def test_parquet_reports_a_full_disk_immediately(monkeypatch):
    monkeypatch.setattr("danq.inference.writers.parquet.GROUP_VALUES", 30)
    parts = iter(10_000 * blocks())
    with pytest.raises(OSError, match="No space left") as caught:
        write_parquet(Path("/dev/full"), parts)
    assert caught.value.errno == errno.ENOSPC
    assert len(list(parts)) > 1000


def test_parquet_raises_the_error_of_its_thread_instead_of_waiting(tmp_path, monkeypatch):
    other = pl.DataFrame({"other": ["A"]})
    monkeypatch.setattr(PredictionLayout, "frame", lambda self, *block: other)
    parts = iter(100 * blocks())
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        write_parquet(tmp_path / "out.parquet", parts)
    assert len(list(parts)) > 10


@pytest.mark.parametrize(("limit", "most"), [("GROUP_VALUES", 30), ("GROUP_ROWS", 2)])
def test_row_groups_do_not_change_a_parquet_table(tmp_path, monkeypatch, limit, most):
    path, made = tmp_path / "out.parquet", layout()
    one = tmp_path / "one.parquet"
    write(one)
    monkeypatch.setattr(f"danq.inference.writers.parquet.{limit}", most)
    values = write(path)
    assert path.stat().st_size > 1.5 * one.stat().st_size
    assert pl.read_parquet(path).equals(pl.read_parquet(one))
    assert np.array_equal(pl.read_parquet(path)[list(made.columns)].to_numpy(), values)


@pytest.mark.parametrize("again", [False, True])
def test_parquet_stops_its_thread_after_an_error(tmp_path, monkeypatch, again):
    before = set(threading.enumerate())
    if again:
        interrupted = Mock(side_effect=KeyboardInterrupt)
        monkeypatch.setattr("danq.inference.writers.parquet.Future.exception", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_parquet(tmp_path / "out.parquet", blocks(), KeyboardInterrupt())
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive()
