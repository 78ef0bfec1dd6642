"""Outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.files.inputs_in_use import (
    note_checked,
    note_input,
    note_own_folder,
    noting_inputs,
    protects_inputs,
)
from danq.files.open_input import open_bytes
from danq.output import (
    MARKER,
    OutputFile,
    check_distinct,
    check_files,
    check_folder,
    check_output_folder,
    check_target,
    comment_lines,
    mark_folder,
    marked,
    os_errors,
    remove_marked,
    replacing,
    replacing_files,
    replacing_folder,
    temporary_names,
)
from danq.output.temporary_names import temporary_name

MARK = "mark.json"


objection = marked("test")


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder of ours."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / MARK).write_text("old")
    mark_folder(folder, "test")
    return folder


def make_folder(path: Path, text: str = "new", *, overwrite: bool = False) -> None:
    with replacing_folder(path, overwrite, kind="test") as fresh:
        (fresh / MARK).write_text(text)


def fail_at_a_file(path: Path, error: BaseException) -> None:
    with replacing(path, overwrite=True) as temporary:
        temporary.write_text("half")
        raise error


def fail_at_a_folder(path: Path, error: BaseException) -> None:
    with replacing_folder(path, overwrite=True, kind="test") as fresh:
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
    assert names(tmp_path / "new") == names(tmp_path / "empty") == [MARKER, MARK]
    with pytest.raises(InputError, match=r"exists already and is not empty\. .*allow overwriting"):
        make_folder(out)
    assert (out / MARK).read_text() == "old"
    (out / "stray.txt").write_text("")
    with pytest.raises(InputError, match=r"contains 'stray\.txt', which danq did not write"):
        make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "old"
    (out / "stray.txt").unlink()
    make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "new"
    assert names(out) == [MARKER, MARK]
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
    with pytest.raises(InputError, match=r"has no valid danq-folder.*so it is not replaced"):
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


def test_an_output_is_none_of_the_inputs(tmp_path: Path):
    source, hard, soft = (tmp_path / name for name in ("a.tsv", "b.tsv", "c.tsv"))
    source.write_text("old")
    hard.hardlink_to(source)
    soft.symlink_to(source)

    def write(path: Path) -> None:
        with replacing(path, overwrite=True) as temporary:
            temporary.write_text("new")

    with noting_inputs(tmp_path / "missing", "-", "ACGT", [source]):
        for out in (source, hard, soft):
            with pytest.raises(InputError, match="is an input of the same command") as caught:
                write(out)
            assert caught.value.file == str(source)
        write(tmp_path / "d.tsv")
        note_input(tmp_path / "d.tsv")
        write(tmp_path / "d.tsv")
    assert source.read_text() == hard.read_text() == soft.read_text() == "old"
    write(soft)
    assert soft.is_symlink()
    assert (source.read_text(), hard.read_text()) == ("new", "old")


def test_an_input_that_is_opened_during_a_call_is_protected(tmp_path: Path):
    source = tmp_path / "a.tsv"
    source.write_text("old")

    @protects_inputs
    def rewrite(out: Path) -> None:
        with replacing(out, overwrite=True) as temporary, open_bytes(source) as file:
            temporary.write_bytes(file.read() + b"new")

    with pytest.raises(InputError, match="is an input of the same command"):
        rewrite(source)
    assert source.read_text() == "old"
    rewrite(tmp_path / "b.tsv")
    assert (tmp_path / "b.tsv").read_text() == "oldnew"


def test_a_folder_with_an_input_is_not_replaced(out: Path):
    with (
        noting_inputs(out / MARK),
        pytest.raises(InputError, match="is in the folder .*out, which the output would replace"),
    ):
        make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "old"


@pytest.mark.parametrize("name", ["-", "folder/-", "/dev/null", "/dev/stdout", "pipe"])
def test_an_output_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    os.mkfifo("pipe")
    with pytest.raises(InputError, match="is standard output, a pipe or a device"):
        check_target(name, overwrite=True)
    with pytest.raises(InputError, match="is standard output, a pipe or a device"):
        check_folder(name, overwrite=True, objection=objection)


def three(folder: Path) -> list[OutputFile]:
    return [OutputFile(folder / name) for name in ("b", "c", "main")]


def write_three(folder: Path, text: str, *, overwrite: bool = False) -> None:
    with replacing_files(three(folder), overwrite) as temporaries:
        for temporary in temporaries:
            temporary.write_text(text)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("failing", ["b", "c", "main"])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "x"), KeyboardInterrupt()])
def test_several_files_appear_all_or_none(tmp_path, monkeypatch, overwrite, failing, error):
    before = {}
    if overwrite:
        write_three(tmp_path, "old")
        before = dict.fromkeys(("b", "c", "main"), "old")
    real = {"link": os.link, "replace": os.replace}

    def refusing(name: str):
        def call(source, target, **options):
            if Path(target).name == failing and Path(source).name.endswith(".part"):
                raise error
            real[name](source, target, **options)

        return call

    for name in real:
        monkeypatch.setattr(os, name, refusing(name))
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_three(tmp_path, "new", overwrite=overwrite)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    write_three(tmp_path, "new", overwrite=overwrite)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"new"}
    assert names(tmp_path) == ["b", "c", "main"]


KILLED = """
import os, sys
from pathlib import Path
from danq.output import OutputFile, replacing, replacing_files, replacing_folder
step, count, folder = int(sys.argv[1]), 0, Path(sys.argv[2])
def dying(real):
    def call(*args, **options):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), 9)
        return real(*args, **options)
    return call
"""
KILLED_FILES = (
    KILLED
    + """
with replacing_files([OutputFile(folder / name) for name in ("b", "c", "main")], True) as parts:
    for part in parts:
        part.write_text("new")
    for name in ("link", "replace", "unlink"):
        setattr(os, name, dying(getattr(os, name)))
"""
)
KILLED_FOLDER = (
    KILLED
    + """
with replacing_folder(folder / "out", True, kind="test") as part:
    (part / "mark.json").write_text("new")
    for name in ("replace", "rename", "unlink", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))
"""
)


def killed(code: str, step: int, folder: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", code, str(step), str(folder)], check=False)
    assert done.returncode in (0, -9)
    return done.returncode == -9


@pytest.mark.parametrize("step", range(1, 10))
def test_files_of_a_killed_process_are_all_old_or_all_new_at_the_next_call(tmp_path, step):
    write_three(tmp_path, "old")
    # Three links, three renames, three deletions.
    assert killed(KILLED_FILES, step, tmp_path)
    check_files(three(tmp_path), overwrite=True)
    texts = {(tmp_path / name).read_text() for name in ("b", "c", "main")}
    assert texts == ({"old"} if step <= 6 else {"new"})
    write_three(tmp_path, "again", overwrite=True)
    assert names(tmp_path) == ["b", "c", "main"]


@pytest.mark.parametrize("step", range(1, 7))
def test_a_folder_of_a_killed_process_is_whole_at_the_next_call(tmp_path, out, step):
    # The marker, two renames of folders, two deleted files and the folder itself.
    assert killed(KILLED_FOLDER, step, tmp_path)
    check_output_folder(out, overwrite=True, kind="test")
    assert (out / MARK).read_text() == ("old" if step <= 3 else "new")
    make_folder(out, "again", overwrite=True)
    assert names(tmp_path) == ["out"]
    assert (out / MARK).read_text() == "again"


def test_temporary_files_of_killed_processes_are_collected_and_others_kept(tmp_path: Path):
    path = tmp_path / "a.tsv"
    left, other = temporary_name(path), temporary_name(tmp_path / "b.tsv")
    foreign = tmp_path / ".a.tsv.0123456789abcdef.part"
    for one in (left, other, foreign):
        one.write_text("x")
    with replacing(path) as first:
        assert not left.exists()
        first.write_text("first")
        # A second writer of the same output does not remove what the first one is writing.
        with replacing(path) as second:
            assert first.exists()
            second.write_text("second")
        assert first.read_text() == "first"
        path.unlink()
    assert path.read_text() == "first"
    assert names(tmp_path) == sorted([other.name, foreign.name, "a.tsv"])


def test_the_check_of_an_output_collects_what_a_killed_process_left(tmp_path: Path):
    path = tmp_path / "a.tsv"
    path.write_text("whole")
    # Killed between the link and the removal of the temporary name.
    os.link(path, temporary_name(path))
    with pytest.raises(InputError, match="exists already"):
        check_target(path)
    assert names(tmp_path) == ["a.tsv"]
    assert path.read_text() == "whole"


def test_a_temporary_file_that_is_removed_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    path, made = tmp_path / "a.tsv", []
    real = temporary_names.locked

    def meddling(target: Path, ending: str = "part") -> Path:
        # Another process takes the new file for a leftover.
        made.append(temporary_name(target, ending))
        return made[-1]

    def locked(path: Path):
        if len(made) == 1:
            path.unlink()
        return real(path)

    monkeypatch.setattr(temporary_names, "temporary_name", meddling)
    monkeypatch.setattr(temporary_names, "locked", locked)
    with replacing(path) as temporary:
        assert temporary == made[1]
        temporary.write_text("new")
    assert len(made) == 2
    assert path.read_text() == "new"
    assert names(tmp_path) == ["a.tsv"]


def test_the_marker_of_an_inner_folder_goes_last(out: Path):
    inner = out / "inner"
    inner.mkdir()
    # Names before and after that of the marker.
    for name in ("a.txt", "z.txt"):
        (inner / name).write_text("x")
    mark_folder(inner, "inner")
    seen = []

    def watch(event: str, args: tuple[object, ...]) -> None:
        if event == "os.remove" and seen is not None and str(args[0]).startswith(str(out)):
            seen.append(os.path.relpath(str(args[0]), out))

    sys.addaudithook(watch)
    remove_marked(out)
    assert not out.exists()
    assert seen == [MARK, "inner/a.txt", "inner/z.txt", f"inner/{MARKER}", MARKER]


@pytest.mark.parametrize("change", ["longer", "other", "replaced"])
@pytest.mark.parametrize("folder", [False, True])
def test_no_output_appears_when_an_input_changed_meanwhile(tmp_path: Path, change, folder):
    source, target = tmp_path / "in.txt", tmp_path / "out"
    source.write_text("one\n")
    os.utime(source, (1, 1))

    def write() -> None:
        making = replacing_folder(target, kind="test") if folder else replacing(target)
        with noting_inputs(source), making as part:
            (part / "a" if folder else part).write_text("x")
            if change == "replaced":
                (tmp_path / "new").write_text("one\n")
                os.utime(tmp_path / "new", (1, 1))
                (tmp_path / "new").rename(source)
            else:
                source.write_text("one\ntwo\n" if change == "longer" else "two\n")

    with pytest.raises(InputError, match=r"in.txt: has changed while danq was reading it"):
        write()
    assert names(tmp_path) == ["in.txt"]


def test_files_that_danq_wrote_or_has_checked_may_change(tmp_path: Path):
    source, model, target = tmp_path / "in.txt", tmp_path / "model", tmp_path / "out"
    for one in (source, model):
        one.write_text("one\n")
    own = tmp_path / "run"
    own.mkdir()
    with noting_inputs(source, model):
        note_checked(model)
        model.write_text("other\n")
        with replacing(target) as part:
            part.write_text("x")
        note_input(target)
        with replacing(target, True) as part:
            part.write_text("y")
        # A training has read its inputs when it writes into its folder.
        note_own_folder(own)
        source.write_text("two\n")
        with replacing(own / "last.ckpt") as part:
            part.write_text("x")
        with pytest.raises(InputError, match="has changed"), replacing(target, True) as part:
            part.write_text("z")
    assert target.read_text() == "y"


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_is_created_after_the_last_check_is_kept(tmp_path, monkeypatch, links):
    path = tmp_path / "a.tsv"
    if not links:

        def refused(*_, **__):
            raise OSError(errno.EPERM, "no hard links")

        monkeypatch.setattr(os, "link", refused)

    def write() -> None:
        with replacing(path) as temporary:
            temporary.write_text("ours")

    write()
    assert path.read_text() == "ours"
    path.unlink()

    def check_and_create(*_: object, **__: object) -> None:
        path.write_text("theirs")

    monkeypatch.setattr(sys.modules["danq.output.replacing_files"], "check_files", check_and_create)
    with pytest.raises(InputError, match="exists already"):
        write()
    assert path.read_text() == "theirs"
    assert names(tmp_path) == ["a.tsv"]


def test_links_are_followed_and_kept(tmp_path: Path):
    real, link, chain = tmp_path / "real", tmp_path / "link", tmp_path / "chain"
    link.symlink_to("real")
    chain.symlink_to(link)
    for check in (check_target, lambda path: check_folder(path, objection=objection)):
        with pytest.raises(InputError, match=r"is a link to .*real, which does not exist"):
            check(chain)
    real.write_text("old")
    with pytest.raises(InputError, match="exists already"):
        check_target(chain)
    with replacing(chain, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert chain.is_symlink()
    assert real.read_text() == "new"
    loop, device = tmp_path / "loop", tmp_path / "device"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="is a link that leads to itself"):
        check_target(loop, overwrite=True)
    device.symlink_to("/dev/null")
    with pytest.raises(InputError, match="a pipe or a device"):
        check_target(device, overwrite=True)
    assert Path("/dev/null").is_char_device()
    with pytest.raises(InputError, match="is named for two outputs"):
        check_distinct([real, chain])
    with pytest.raises(InputError, match="is named for two outputs"):
        check_distinct([tmp_path / "x", tmp_path / "sub" / ".." / "x"])


@pytest.mark.parametrize(
    "name", ["/dev/fd/1", "/proc/self/fd/1", "/proc/self/x", "/dev/x", "/sys/x", "a" * 300, "a\0b"]
)
def test_names_of_the_system_and_impossible_names_are_refused(name: str):
    for check in (check_target, lambda path, _: check_folder(path, objection=objection)):
        with pytest.raises(InputError, match=r"a pipe or a device|cannot be the name of an output"):
            check(name, True)


def test_a_file_that_the_user_did_not_name_is_replaced_only_if_it_is_recognised(tmp_path: Path):
    side, main = tmp_path / "a.side", tmp_path / "a"
    files = [OutputFile(side, lambda path: path.read_text() == "ours", optional=True)]
    files += [OutputFile(main)]
    main.write_text("old")
    side.write_text("theirs")
    with pytest.raises(InputError, match="would be replaced, and danq did not write it"):
        check_files(files, overwrite=True)
    assert side.read_text() == "theirs"
    side.write_text("ours")
    with replacing_files(files, overwrite=True) as (_, temporary):
        temporary.write_text("new")
    # What is not written again does not belong to the new file.
    assert names(tmp_path) == ["a"]
    assert main.read_text() == "new"


def test_a_marked_folder_is_emptied_of_its_own_files_only(out: Path):
    (out / "logs").mkdir()
    (out / "logs" / "run.1").write_text("later")
    mark_folder(out, "test", patterns=["logs/run.*"])
    assert marked("test")(out) is None
    assert marked("other")(out) == "is the folder of a test, not of a other"
    for name in ("thesis.tex", "logs/thesis.tex"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        assert marked("test")(out) == f"contains '{name}', which danq did not write"
        remove_marked(out)
        assert (out / name).read_text() == "mine"
        assert (out / MARKER).exists()
        (out / name).unlink()
    (out / MARK).symlink_to(out.parent)
    assert "which danq did not write" in (marked("test")(out) or "")
    (out / MARK).unlink()
    remove_marked(out)
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "{}", "[" * 10**5, '{"magic": "danq-folder"}', "\x00"])
def test_an_invalid_marker_does_not_count(out: Path, text: str):
    (out / MARKER).write_text(text)
    with pytest.raises(InputError, match="has no valid danq-folder"):
        make_folder(out, overwrite=True)
    assert (out / MARK).read_text() == "old"
