"""Open HDF5 files for reading, also where the file system has no locks."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path

_LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK)
MOST_UNPACKED = 1100
"""More bytes than any byte of gzip unpacks to."""

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
        raise not_hdf5(path, expected, remedy)
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
        or has another shape or type than is read; and for an error within the block that names no
        file.
    """
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.problem, file=path, record=error.record, remedy=remedy) from error
    except OSError as error:
        raise InputError(
            f"HDF5 cannot read it ({_first_line(error)})", file=path, remedy=remedy
        ) from error
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise InputError(
            f"is not {expected}, or is damaged ({_first_line(error)})", file=path, remedy=remedy
        ) from error


def not_hdf5(path: str | Path, expected: str, remedy: str) -> InputError:
    """Make the error for a file that is not HDF5."""
    return InputError(f"is {format_of(path)}, not {expected}", file=path, remedy=remedy)


class Hdf5Input:
    """An open HDF5 file: its root attributes, arrays and texts.

    Parameters
    ----------
    path
        The file.
    file
        The file, open.
    expected, remedy
        As for `open_hdf5`.
    """

    def __init__(self, path: Path, file: h5py.File, expected: str, remedy: str) -> None:
        self.path, self.file = path, file
        self._expected, self._remedy = expected, remedy

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the root group.

        Raises
        ------
        InputError
            When one cannot be read.
        """
        with hdf5_errors(self.path, self._expected, remedy=self._remedy):
            return dict(self.file.attrs)

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name, such as "genome/bases"."""
        with hdf5_errors(self.path, self._expected, remedy=self._remedy):
            return isinstance(self.file.get(name), h5py.Dataset)

    def read(
        self,
        name: str,
        dtype: npt.DTypeLike | None = None,
        shape: tuple[int | None, ...] | None = None,
    ) -> np.ndarray:
        """Read an array of numbers.

        Parameters
        ----------
        name
            Path of the array in the file, such as "genome/bases".
        dtype, shape
            What it must have; None accepts any, also for one axis of the shape.

        Raises
        ------
        InputError
            When there is no such array, its dtype or shape differs, or it cannot be read.
        """
        with hdf5_errors(self.path, self._expected, remedy=self._remedy):
            found = self._array(name)
            if dtype is not None and found.dtype != dtype:
                raise self._wrong(f"/{name} is {found.dtype}, not {np.dtype(dtype)}")
            if shape is not None and (
                len(found.shape) != len(shape)
                or any(b not in (None, a) for a, b in zip(found.shape, shape, strict=True))
            ):
                raise self._wrong(f"/{name} has shape {found.shape}, not {shape}")
            return np.asarray(found[()])

    def texts(self, name: str, *, fixed: bool = False) -> tuple[str, ...]:
        """Read a list of UTF-8 strings.

        Parameters
        ----------
        name
            Path of the list in the file.
        fixed
            Whether strings of variable length are refused.

        Raises
        ------
        InputError
            When there is no such list, it is no list of strings, or it is not UTF-8.
        """
        with hdf5_errors(self.path, self._expected, remedy=self._remedy):
            found = self._array(name)
            kind = h5py.check_string_dtype(found.dtype)
            if len(found.shape) != 1 or kind is None or (fixed and kind.length is None):
                fitting = " of fixed length" if fixed else ""
                raise self._wrong(f"/{name} is not a list of texts{fitting}")
            return tuple(found.asstr()[()])

    def _array(self, name: str) -> h5py.Dataset:
        found = self.file.get(name)
        if not isinstance(found, h5py.Dataset):
            raise self._wrong(f"/{name} is missing")
        if found.external or found.is_virtual:
            raise self._wrong(f"the values of /{name} are in another file")
        stored = found.id.get_storage_size()
        if found.nbytes > MOST_UNPACKED * stored:
            raise self._wrong(
                f"/{name} has {found.nbytes:,} bytes of values, but only {stored:,} are stored"
            )
        return found

    def _wrong(self, problem: str) -> InputError:
        return InputError(problem, file=self.path, remedy=self._remedy)


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
