"""Open HDF5 files for reading, also where the file system has no locks."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path

_LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK)
COPY = "Copy or download it again"


def is_hdf5(path: str | Path) -> bool:
    """Whether a file has the signature of HDF5, which may follow a header of 512, 1024, ... bytes.

    Raises
    ------
    InputError
        As `danq.files.open_input.check_file`; and when it cannot be opened.
    """
    with open_raw(check_file(path)):
        return bool(h5py.is_hdf5(local_path(path)))


def open_hdf5(path: str | Path, expected: str = "HDF5", *, remedy: str = COPY) -> h5py.File:
    """Open an HDF5 file for reading.

    HDF5 locks files that it reads. Where the file system refuses locks, as some network file
    systems do, the file is opened without.

    Parameters
    ----------
    path
        The file.
    expected
        What the file should be, for errors.
    remedy
        What to do when the file is something else or damaged.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, not HDF5, truncated, or locked by a process that
        writes it.
    """
    if not is_hdf5(path):
        raise InputError(f"is {format_of(path)}, not {expected}", file=path, remedy=remedy)
    local = local_path(path)
    try:
        return h5py.File(local, "r")
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise _unreadable(path, error, remedy) from error
        if error.errno in _LOCKED:
            raise InputError(
                "another process is writing this file",
                file=path,
                remedy="Wait until it has finished. If there is no such process, a network file "
                "system kept the lock: set the environment variable HDF5_USE_FILE_LOCKING to FALSE",
            ) from error
    try:
        return h5py.File(local, "r", locking=False)
    except OSError as error:
        raise _unreadable(path, error, remedy) from error


@contextmanager
def hdf5_errors(path: str | Path, expected: str = "HDF5", *, remedy: str = COPY) -> Iterator[None]:
    """Name the file when a part of it cannot be read; parameters as for `open_hdf5`.

    Raises
    ------
    InputError
        When HDF5 reports an error within the block, or an object is missing, is of another kind,
        or has another shape or type than is read.
    """
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"HDF5 cannot read it ({_first_line(error)})", file=path, remedy=remedy
        ) from error
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise InputError(
            f"is not {expected}, or is damaged ({_first_line(error)})", file=path, remedy=remedy
        ) from error


def _unreadable(path: str | Path, error: OSError, remedy: str) -> InputError:
    if "truncated" in str(error):
        return InputError("the file is truncated", file=path, remedy=COPY)
    if "already open for write" in str(error):
        return InputError(
            "is open for writing", file=path, remedy="Close it, or wait until it is complete"
        )
    return InputError(f"HDF5 cannot open it ({_first_line(error)})", file=path, remedy=remedy)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
