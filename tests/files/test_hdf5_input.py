"""HDF5 files on file systems without locks, and files that are being written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from danq.errors import InputError
from danq.files import hdf5_input
from danq.files.hdf5_input import hdf5_errors, is_hdf5, open_hdf5


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

    monkeypatch.setattr(hdf5_input.h5py, "File", opened)
    return locking


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.EACCES, errno.EPERM])
def test_a_file_system_without_locks_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    locking = refusing_locks(monkeypatch, number)
    with open_hdf5(file) as opened:
        assert opened["x"][:].tolist() == [1, 2, 3]  # type: ignore[index]
    assert locking == [None, False]


def test_a_file_that_another_process_writes_is_refused(file: Path):
    code = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(InputError, match=r"a\.h5: another process is.*LOCKING to FALSE"):
            open_hdf5(file)
        writer.communicate(b"\n")
    with open_hdf5(file) as opened:
        assert "x" in opened


def test_a_file_that_this_process_writes_is_read(file: Path):
    with h5py.File(file, "a") as writer:
        writer["y"] = 4
        with open_hdf5(file) as opened:
            assert opened["y"][()] == 4  # type: ignore[index]


def test_a_file_can_be_opened_twice(file: Path):
    with open_hdf5(file) as one, open_hdf5(file) as two:
        assert list(one) == list(two)


def test_a_signature_after_a_user_block_is_found(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as opened:
        opened["x"] = 1
    assert is_hdf5(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes(b"x" * 600)
    assert not is_hdf5(tmp_path / "b.h5")


@pytest.mark.parametrize(
    "read",
    [
        lambda file: file["none"],
        lambda file: file["group"][:],
        lambda file: file["x"].asstr()[:],
        lambda file: file["group"].asstr(),
        lambda file: int(file["x"][:]),
    ],
)
def test_objects_of_another_kind_name_the_file(file: Path, read):
    with (
        open_hdf5(file) as opened,
        pytest.raises(InputError, match=r"a\.h5: is not a thing, or is damaged .*Do this"),
        hdf5_errors(file, "a thing", remedy="Do this"),
    ):
        read(opened)
