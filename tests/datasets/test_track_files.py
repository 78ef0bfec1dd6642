from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from danq.datasets import Track, find_tracks
from danq.errors import InputError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("one\t1\t2\n")


def sheet(folder: Path, text: str) -> Path:
    path = folder / "tracks.tsv"
    path.write_text(text)
    return path


def test_a_folder_has_its_peak_files_sorted_by_name(tmp_path: Path):
    touch(tmp_path, "b.bed", "a.v2.narrowPeak", "c.BED.gz", "d.broadPeak.gz", "notes.txt", ".e.bed")
    assert [track.name for track in find_tracks(tmp_path)] == ["a.v2", "b", "c", "d"]
    assert find_tracks(tmp_path)[1] == Track("b", tmp_path / "b.bed")


def test_files_folders_and_sheets_may_be_mixed(tmp_path: Path):
    (tmp_path / "more").mkdir()
    touch(tmp_path, "b.bed", "a.bed")
    touch(tmp_path / "more", "z.bed", "y.bed")
    table = sheet(tmp_path, "Gamma\tmore/z.bed\tTF\n")
    tracks = find_tracks([tmp_path / "b.bed", tmp_path / "more", table])
    assert [track.name for track in tracks] == ["b", "y", "z", "Gamma"]


@pytest.mark.parametrize("header", ["", "name\tpath\tgroup\n", "# made by hand\n\nName\tPath\n"])
def test_paths_in_a_sheet_are_relative_to_its_folder(tmp_path: Path, header: str):
    touch(tmp_path, "a.bed", "b.peaks")
    table = sheet(tmp_path, f"{header}first\ta.bed\tTF\r\n\n#no\nsecond one\t{tmp_path}/b.peaks\n")
    assert find_tracks(table) == [
        Track("first", tmp_path / "a.bed", "TF"),
        Track("second one", tmp_path / "b.peaks", ""),
    ]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name\tpath\nx\tmissing.bed\n", 2, "there is no file .*missing.bed"),
        ("x\ta.bed\ny\ta.bed\nx\ta.bed\n", 3, "the track 'x' is already on line 1"),
        ("x\t~nouser/a.bed\n", 1, "the home folder in '~nouser/a.bed' is not known"),
        ("x\n", 1, "1 tab-separated column .x., not name, path"),
        ("x a.bed\n", 1, "1 tab-separated column .x a.bed., not name, path"),
        ("x\ta.bed\tTF\textra\n", 1, "4 tab-separated columns"),
        ("path\tname\n", None, "the track sheet has no tracks"),
        ("sample\tfile\nx\ta.bed\n", 1, "no file .*file.*Column names are name, path"),
        ("name\tpath\tpath\nx\ta.bed\ta.bed\n", 1, "two columns are named 'path'"),
        ("name\tpath\nx\tsub\n", 2, "sub is a folder, not a file"),
        ("x\tC:\\data\\a.bed\n", 1, "Write the path with /"),
        ("x\thttps://host/a.bed\n", 1, "danq does not download files"),
        ("x\t*.bed\n", 1, "patterns and variables are not expanded"),
        ("name,path\nx,\n", 2, "not name, path"),
        ("x\t\n", 1, "not name, path"),
        ("", None, "is empty"),
        ("# nothing\nname\tpath\n", None, "the track sheet has no tracks"),
    ],
)
def test_a_bad_sheet_is_refused(tmp_path: Path, text: str, line: int | None, message: str):
    touch(tmp_path, "a.bed")
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError, match=message) as caught:
        find_tracks(sheet(tmp_path, text))
    assert caught.value.line == line
    assert caught.value.file == str(tmp_path / "tracks.tsv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x1f\x8b\xff\xfe\x00\x80", "the gzip stream ends too early"),
        (b"\x26\xfc\x8f\x88\x00", "is a bigWig file"),
        (b"x\xff\ta.bed\n", "line 1: the line is not UTF-8"),
    ],
)
def test_a_binary_sheet_is_refused(tmp_path: Path, data: bytes, message: str):
    (tmp_path / "peaks.x").write_bytes(data)
    with pytest.raises(InputError, match=message):
        find_tracks(tmp_path / "peaks.x")


@pytest.mark.parametrize("name", ["PAR1", "CRAMP1", "BCF7", "BZh1", "GIF8x", "ARROW1"])
def test_names_that_begin_as_a_magic_number_are_text(tmp_path: Path, name: str):
    touch(tmp_path, "a.bed")
    assert [one.name for one in find_tracks(sheet(tmp_path, f"{name}\ta.bed\n"))] == [name]


def test_files_of_a_folder_that_are_not_peak_files_are_named(tmp_path: Path, caplog):
    touch(tmp_path, "a.bed", "b.bed.txt", "c.bw")
    with caplog.at_level("INFO", "danq"):
        assert [track.name for track in find_tracks(tmp_path)] == ["a"]
    assert "2 of 3 files are not peak files by their extension" in caplog.text
    assert "b.bed.txt, c.bw" in caplog.text


def test_a_folder_without_peak_files_is_refused(tmp_path: Path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="none of the 1 files in this folder is a peak file"):
        find_tracks(tmp_path)


def test_a_missing_path_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="gone.bed: no such file or folder"):
        find_tracks(tmp_path / "gone.bed")
    with pytest.raises(InputError, match="no tracks were given"):
        find_tracks([])


def test_two_tracks_with_one_name_are_refused(tmp_path: Path):
    touch(tmp_path, "a.bed", "a.narrowPeak")
    with pytest.raises(InputError, match=r"two tracks are named 'a': .*a.bed and .*a.narrowPeak"):
        find_tracks(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9.bed", b"a\tb.bed", b"a\nb.bed"])
def test_names_that_are_not_text_are_refused(tmp_path: Path, name):
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text("chr1\t0\t9\n")
    with pytest.raises(InputError, match="of a track (is not UTF-8|contains)"):
        find_tracks(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "path\tname\tgroup\na.bed\tx\tTF\n",
        "name,path,group\nx,a.bed,TF\n",
        '"Name","Group","Path"\n"x","TF","a.bed"\n',
        "name\tcell\tpath\tgroup\nx\tK562\ta.bed\tTF\n",
    ],
)
def test_the_header_of_a_sheet_decides_on_its_columns(tmp_path: Path, text: str, caplog):
    touch(tmp_path, "a.bed")
    with caplog.at_level("INFO", "danq"):
        assert find_tracks(sheet(tmp_path, text)) == [Track("x", tmp_path / "a.bed", "TF")]
    assert ("separated by commas" in caplog.text) == ("," in text)
    assert ("left out: cell" in caplog.text) == ("cell" in text)


@pytest.mark.parametrize("name", ["peaks.txt", "peaks", "peaks.xls", "peaks.txt.gz"])
@pytest.mark.parametrize(
    "text",
    [
        "chr1\t0\t9\n",
        "#x\nchr1\t0\t9\tn\t5\t+\n",
        "chr\tstart\tend\tlength\nchr1\t1\t9\t9\n",
        "track name=x\nchr1\t0\t9\n",
    ],
)
def test_intervals_are_peaks_whatever_the_name(tmp_path: Path, name: str, text: str, caplog):
    data = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    with caplog.at_level("INFO", "danq"):
        assert find_tracks(tmp_path / name) == [Track("peaks", tmp_path / name)]
    assert f"{name}: read as a peak file" in caplog.text


def test_nothing_of_a_folder_is_left_out_in_silence(tmp_path: Path, caplog):
    touch(tmp_path, "a.bed")
    (tmp_path / "more").mkdir()
    os.mkfifo(tmp_path / "b.bed")
    with caplog.at_level("INFO", "danq"):
        assert [track.name for track in find_tracks(tmp_path)] == ["a", "b"]
    assert "folders in it are not searched: more" in caplog.text
    (tmp_path / "c.bed").symlink_to(tmp_path / "gone.bed")
    with pytest.raises(InputError, match=r"c\.bed: is a link to a file that does not exist"):
        find_tracks(tmp_path)


def test_a_sheet_may_list_named_pipes(tmp_path: Path):
    os.mkfifo(tmp_path / "a.bed")
    table = sheet(tmp_path, "name\tpath\nx\ta.bed\n")
    assert find_tracks(table) == [Track("x", tmp_path / "a.bed")]


@pytest.mark.parametrize("name", ["chrom", "end", "name", "alt"])
def test_a_track_named_like_a_column_of_the_outputs_is_refused(tmp_path: Path, name: str):
    touch(tmp_path, f"{name}.bed")
    for source in (tmp_path, sheet(tmp_path, f"{name}\t{name}.bed\n")):
        with pytest.raises(InputError, match=f"a track is named '{name}', like a column"):
            find_tracks(source)
