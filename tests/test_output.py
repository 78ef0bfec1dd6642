"""Outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.output import (
    check_folder,
    check_not_input,
    check_target,
    comment_lines,
    os_errors,
    replacing,
    replacing_folder,
)

MARK = "mark.json"


def objection(folder: Path) -> str | None:
    return None if (folder / MARK).is_file() else f"holds no {MARK}"


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder of ours."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MARK).write_text("old")
    return folder


def make_folder(path: Path, text: str = "new", *, overwrite: bool = False) -> None:
    with replacing_folder(path, overwrite, objection=objection) as fresh:
        (fresh / MARK).write_text(text)


def fail_at_a_file(path: Path, error: BaseException) -> None:
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error


def fail_at_a_folder(path: Path, error: BaseException) -> None:
    with replacing_folder(path, overwrite=True, objection=objection) as fresh:
        (fresh / MARK).write_text("half")
        raise error


def test_a_file_is_written_and_replaced_on_request(tmp_path: Path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
        assert temporary.parent == tmp_path
    assert path.read_text() == "first"
    with pytest.raises(InputError, match=r"a\.txt: exists already\. .*allow overwriting"):
        check_target(path)
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text("second")
    assert path.read_text() == "second"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path):
    path = tmp_path / "a.txt"

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ours")
            path.write_text("theirs")

    with pytest.raises(InputError, match="exists already"):
        write()
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (OSError(errno.ENOSPC, "x"), "No space left on device", "Make room"),
        (OSError(errno.EDQUOT, "x"), "quota exceeded", "Make room"),
        (OSError("cut short"), "cut short", "Make room"),
        (PermissionError(errno.EACCES, "x"), "Permission denied", "Choose another folder"),
    ],
)
def test_a_failed_write_names_the_output_and_keeps_the_old_one(
    tmp_path: Path, out: Path, error: OSError, reason: str, remedy: str
):
    path = tmp_path / "a.txt"
    path.write_text("old")
    for write, place in ((fail_at_a_file, path), (fail_at_a_folder, out)):
        with pytest.raises(InputError, match=f"cannot be written: .*{reason}") as caught:
            write(place, error)
        assert caught.value.file == str(place)
        assert caught.value.remedy is not None
        assert caught.value.remedy.startswith(remedy)
    assert (path.read_text(), (out / MARK).read_text()) == ("old", "old")
    assert names(tmp_path) == ["a.txt", "out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError()])
def test_other_errors_pass_and_leave_nothing(tmp_path: Path, out: Path, error: BaseException):
    for write, place in ((fail_at_a_file, tmp_path / "a.txt"), (fail_at_a_folder, out)):
        with pytest.raises(type(error)):
            write(place, error)
    assert (out / MARK).read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, full_disk):
    def write() -> None:
        with replacing(tmp_path / "a.txt", remedy="Wait") as temporary:
            temporary.write_bytes(bytes(10_000))

    with full_disk(1_000), pytest.raises(InputError, match=r"File too large\. Wait\."):
        write()
    assert names(tmp_path) == []


def test_an_interrupt_between_the_two_renames_restores_the_old_folder(out: Path, monkeypatch):
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name.endswith(".part"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "old"
    assert names(out.parent) == ["out"]


def test_a_folder_is_written_and_replaced_completely(tmp_path: Path, out: Path):
    make_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    make_folder(tmp_path / "empty")
    assert names(tmp_path / "new") == names(tmp_path / "empty") == [MARK]
    with pytest.raises(InputError, match=r"exists already and is not empty\. .*allow overwriting"):
        make_folder(out)
    assert (out / MARK).read_text() == "old"
    (out / "stray.txt").write_text("")
    make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "new"
    assert names(out) == [MARK]
    assert names(tmp_path) == ["empty", "new", "out"]


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path, out: Path):
    link = tmp_path / "latest"
    link.symlink_to(out)
    make_folder(link, overwrite=True)
    assert link.is_symlink()
    assert (out / MARK).read_text() == "new"
    assert names(tmp_path) == ["latest", "out"]


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds no mark\.json, so it is not replaced"):
        make_folder(thesis, overwrite=True)
    # Overwriting is not advised where it would be refused.
    with pytest.raises(InputError, match=r"is not empty\. Choose another name\.$"):
        make_folder(thesis)
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is a file, not a folder"):
            make_folder(thesis / "chapter1.txt", overwrite=overwrite)
    assert (thesis / "chapter1.txt").read_text() == "mine"


def test_paths_that_cannot_be_written_are_refused(tmp_path: Path, out: Path):
    with pytest.raises(InputError, match="out: is a folder"):
        check_target(out, overwrite=True)
    for check in (check_target, lambda path: check_folder(path, objection=objection)):
        with pytest.raises(InputError, match="there is no folder .*gone.*Create it first"):
            check(tmp_path / "gone" / "a")
    place = check_folder(tmp_path / "gone" / "a", objection=objection, parents=True)
    assert place == tmp_path / "gone" / "a"
    out.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"the folder .*out is not writable\. Wait\."):
            check_target(out / "a", remedy="Wait")
        with pytest.raises(InputError, match="the folder .*out is not writable"):
            check_folder(out / "b" / "a", objection=objection, parents=True)
        with pytest.raises(InputError, match="the folder .*out is not writable"):
            check_folder(out, overwrite=True, objection=objection)
    finally:
        out.chmod(0o755)


@pytest.mark.parametrize(
    "text", ["I/O error (os error 28)", "[Errno 28] write", "failed: errno = 28"]
)
def test_the_error_number_is_read_from_a_librarys_message(text: str):
    with (
        pytest.raises(OSError, match="ENOSPC: ") as caught,
        os_errors(RuntimeError),
    ):
        raise RuntimeError(text)
    assert caught.value.errno == errno.ENOSPC


def test_an_error_of_a_library_without_a_number_is_passed_on():
    with pytest.raises(RuntimeError, match="broken"), os_errors(RuntimeError):
        raise RuntimeError("broken")
    with pytest.raises(ValueError, match="os error 28"), os_errors(RuntimeError):
        raise ValueError("os error 28")


def test_comment_lines():
    about = {"model": "a.safetensors", "seed": 0, "baseline": None, "names": "", "rate": 0.5}
    lines = comment_lines(about).decode().splitlines()
    assert lines == [
        "# model: a.safetensors",
        "# seed: 0",
        "# baseline: -",
        "# names: -",
        "# rate: 0.5",
    ]
    assert comment_lines({}) == b""


def test_an_output_is_none_of_the_inputs(tmp_path):
    source, link = tmp_path / "a.tsv", tmp_path / "b.tsv"
    source.write_text("old")
    link.hardlink_to(source)
    rejected = tmp_path / "c.tsv.rejected.tsv"
    rejected.write_text("old")
    inputs = [tmp_path / "missing", tmp_path, "-", source, rejected]
    check_not_input(tmp_path / "c.h5", inputs)
    check_not_input(tmp_path, inputs)
    for out in (source, link, tmp_path / "c.tsv"):
        with pytest.raises(InputError, match="is an input of the same command"):
            check_not_input(out, inputs)


@pytest.mark.parametrize("name", ["-", "folder/-", "/dev/null", "/dev/stdout", "pipe"])
def test_an_output_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="is standard output, a pipe or a device"):
        check_target(name, overwrite=True)
    with pytest.raises(InputError, match="is standard output, a pipe or a device"):
        check_folder(name, overwrite=True, objection=objection)
