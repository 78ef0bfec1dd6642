from __future__ import annotations

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
        ("path\tname\n", 1, "there is no file"),
        ("x\t\n", 1, "not name, path"),
        ("", None, "is empty"),
        ("# nothing\nname\tpath\n", None, "the track sheet has no tracks"),
    ],
)
def test_a_bad_sheet_is_refused(tmp_path: Path, text: str, line: int | None, message: str):
    touch(tmp_path, "a.bed")
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
    with pytest.raises(InputError, match="of a track has characters that are not UTF-8"):
        find_tracks(tmp_path)
