"""HDF5 files on file systems without locks, and files that are being written."""

from __future__ import annotations

import errno
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import pytest

from danq.errors import InputError
from danq.files import reading_process
from danq.files.hdf5_input import is_hdf5, open_hdf5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as opened:
        opened["x"] = [1, 2, 3]
        opened.create_group("group")
    return path


def refusing_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> list[object]:
    """Let HDF5 report that the file system refuses locks, until locking is off."""
    real, locking = h5py.File, []

    def opened(path: Path, mode: str, **options: object) -> h5py.File:
        locking.append(options.get("locking"))
        if options.get("locking") is not False:
            raise OSError(number, f"Unable to open file (unable to lock file, errno = {number})")
        return real(path, mode, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading_process.h5py, "File", opened)
    return locking


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.EACCES, errno.EPERM])
def test_a_file_system_without_locks_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    locking = refusing_locks(monkeypatch, number)
    with reading_process.open_unlocked(str(file)) as opened:
        assert opened["x"][:].tolist() == [1, 2, 3]  # type: ignore[index]
    assert locking == [None, False]


def test_a_file_that_another_process_writes_is_refused(file: Path):
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with (
            pytest.raises(InputError, match=r"a\.h5: another process is.*LOCKING to FALSE"),
            open_hdf5(file),
        ):
            pass
        writer.communicate(b"\n")
    with open_hdf5(file) as opened:
        assert "x" in opened


def test_a_file_that_this_process_writes_is_refused(file: Path):
    with (
        h5py.File(file, "a"),
        pytest.raises(InputError, match=r"a\.h5: another process is writing"),
        open_hdf5(file),
    ):
        pass


def test_a_file_can_be_opened_twice(file: Path):
    with open_hdf5(file) as one, open_hdf5(file) as two:
        assert one.read("x").tolist() == two.read("x").tolist() == [1, 2, 3]


def test_a_signature_after_a_user_block_is_found(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as opened:
        opened["x"] = 1
    assert is_hdf5(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"x" * 600)
    assert not is_hdf5(tmp_path / "b.h5")


@pytest.mark.parametrize(
    ("read", "problem"),
    [
        (lambda file: file.read("none"), "/none is missing"),
        (lambda file: file.read("group"), "/group is missing"),
        (lambda file: file.read("linked"), "/linked is missing"),
        (lambda file: file.read("elsewhere"), "/elsewhere is missing"),
        (lambda file: file.texts("x"), "/x is not a list of texts"),
        (lambda file: file.texts("group"), "/group is missing"),
        (lambda file: file.read("words"), "/words is object, not numbers"),
        (lambda file: file.texts("words", fixed=True), "/words is not a list of texts of fixed"),
        (lambda file: int(file.read("x")), "is not a thing, or is damaged"),
        (lambda file: file.read("other"), "the values of /other are in another file"),
        (lambda file: file.read("virtual"), "the values of /virtual are in another file"),
        (lambda file: file.read("empty"), "/empty has 8,000,000 bytes of values, but only 0"),
        (
            lambda file: file.read("chunk"),
            "/chunk has 67,108,864 bytes of values in a chunk, but only 9",
        ),
    ],
)
def test_objects_of_another_kind_name_the_file(file: Path, read, problem: str):
    with h5py.File(file, "a") as opened:
        opened["linked"] = h5py.SoftLink("/x")
        opened["elsewhere"] = h5py.ExternalLink("b.h5", "/x")
        opened["words"] = ["a", "b"]
        opened.create_dataset("other", (3,), "i4", external=[("raw", 0, 12)])
        opened.create_dataset("empty", (1000, 1000), "i8")
        chunk = opened.create_dataset(
            "chunk", (8,), "u1", chunks=(1 << 26,), maxshape=(None,), compression="gzip"
        )
        chunk.id.write_direct_chunk((0,), zlib.compress(b"1"))
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource("b.h5", "x", (3,))
        opened.create_virtual_dataset("virtual", layout)
    with (
        pytest.raises(InputError, match=rf"a\.h5: {problem}.*Do this"),
        open_hdf5(file, "a thing", remedy="Do this") as opened,
    ):
        read(opened)
