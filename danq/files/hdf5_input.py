"""Read HDF5 files: root attributes, arrays and texts.

Another process (`danq.files.separate_reader`) reads them, because the HDF5 library can crash or run
forever on damaged files.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from danq.errors import InputError, first_line
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path
from danq.files.recognise import HDF5_MAGIC
from danq.files.separate_reader import (
    FileLocked,
    Refused,
    SeparateReader,
    WrongContent,
    borrowed_reader,
)

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
    with open_raw(check_file(path)) as file:
        size, start = file.seek(0, os.SEEK_END), 0
        while start + len(HDF5_MAGIC) <= size:
            file.seek(start)
            if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                return True
            start = 2 * start or 512
    return False


@contextmanager
def open_hdf5(
    path: str | Path, expected: str = "HDF5", *, remedy: str = COPY
) -> Iterator[Hdf5Input]:
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
        writes it; when HDF5 reports an error within the block, or an object is missing, is of
        another kind, or has another shape or type than is read; and for an error within the block
        that names no file.
    """
    if not is_hdf5(path):
        raise not_hdf5(path, expected, remedy)
    path = Path(path)
    with borrowed_reader() as reader:
        try:
            reader.ask("open", path=os.path.realpath(local_path(path)))
        except FileLocked as error:
            raise InputError(
                "another process is writing this file",
                file=path,
                remedy="Wait until it has finished. If there is no such process, a network file "
                "system kept the lock: set the environment variable HDF5_USE_FILE_LOCKING to FALSE",
            ) from error
        except Refused as error:
            raise _unreadable(path, error, remedy) from error
        with _errors_named(path, expected, remedy):
            yield Hdf5Input(path, reader)


@contextmanager
def _errors_named(path: Path, expected: str, remedy: str) -> Iterator[None]:
    """Name the file when a part of it cannot be read; parameters as for `open_hdf5`."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.problem, file=path, record=error.record, remedy=remedy) from error
    except WrongContent as error:
        raise InputError(
            f"is not {expected}, or is damaged ({error})", file=path, remedy=remedy
        ) from error
    except (Refused, OSError) as error:
        raise InputError(f"HDF5 cannot read it ({error})", file=path, remedy=remedy) from error
    except (KeyError, TypeError, AttributeError, RuntimeError, ValueError) as error:
        raise InputError(
            f"is not {expected}, or is damaged ({first_line(error)})", file=path, remedy=remedy
        ) from error


def not_hdf5(path: str | Path, expected: str, remedy: str) -> InputError:
    """Make the error for a file that is not HDF5."""
    return InputError(f"is {format_of(path)}, not {expected}", file=path, remedy=remedy)


class ArrayInfo(NamedTuple):
    """An array in an HDF5 file.

    Attributes
    ----------
    shape
        Its shape.
    dtype
        Type of its numbers; None when it holds no numbers.
    type
        Name of its type, for errors.
    text
        Bytes of its texts, or -1 when their length varies; None when it holds no texts.
    itemsize
        Bytes of a value.
    chunk
        Shape of a chunk; None when the array is stored in one piece.
    stored
        Bytes that it takes in the file.
    elsewhere
        Whether its values are in other files.
    matlab
        Whether MATLAB wrote it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype | None
    type: str
    text: int | None
    itemsize: int
    chunk: tuple[int, ...] | None
    stored: int
    elsewhere: bool
    matlab: bool


class Hdf5Input:
    """An open HDF5 file: its attributes, arrays and texts.

    `open_hdf5` turns its errors into an `InputError` that names the file.

    Parameters
    ----------
    path
        The file.
    reader
        The process that has it open.
    """

    def __init__(self, path: Path, reader: SeparateReader) -> None:
        self.path, self._reader = path, reader
        self._size = local_path(path).stat().st_size

    @cached_property
    def attributes(self) -> Mapping[str, int | float | str | None]:
        """Attributes of the root group; None for those that are no number and no text."""
        return self.attributes_of("") or {}

    def attributes_of(self, name: str) -> Mapping[str, int | float | str | None] | None:
        """Attributes of a group or an array; None if there is no such object."""
        return self._reader.ask("attributes", name=name)

    def __contains__(self, name: str) -> bool:
        """Whether there is an array of this name, such as "genome/bases"."""
        return self._reader.ask("describe", name=name) is not None

    def arrays(self) -> dict[str, ArrayInfo]:
        """All arrays of numbers by their paths, not checked; links to others are not followed."""
        found = self._reader.ask("list", values=self._size)
        every = {name: _info(one) for name, one in found.items()}
        return {name: one for name, one in every.items() if one.dtype is not None and one.shape}

    def info(self, name: str) -> ArrayInfo:
        """Shape and type of an array.

        Raises
        ------
        InputError
            When there is no such array, its values are in another file, or it has more values than
            the file can hold.
        """
        found = self._reader.ask("describe", name=name)
        if found is None:
            raise InputError(f"/{name} is missing")
        info = _info(found)
        self.check(name, info)
        return info

    def check(self, name: str, info: ArrayInfo) -> None:
        """Refuse an array that is not stored in the file.

        Raises
        ------
        InputError
            When its values are in another file, or it has more values than the file can hold.
        """
        if info.elsewhere:
            raise InputError(f"the values of /{name} are in another file")
        stored, values = min(info.stored, self._size), math.prod(info.shape)
        chunk = math.prod(info.chunk) if info.chunk and values else 0
        for what, count in (("values", values), ("values in a chunk", chunk)):
            size = count * info.itemsize
            if size > MOST_UNPACKED * stored:
                raise InputError(
                    f"/{name} has {size:,} bytes of {what}, but only {stored:,} are stored"
                )

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
        found = self.info(name)
        if found.dtype is None or (dtype is not None and found.dtype != dtype):
            expected = "numbers" if dtype is None else np.dtype(dtype)
            raise InputError(f"/{name} is {found.type}, not {expected}")
        if shape is not None and (
            len(found.shape) != len(shape)
            or any(b not in (None, a) for a, b in zip(found.shape, shape, strict=True))
        ):
            raise InputError(f"/{name} has shape {found.shape}, not {shape}")
        return self.read_part(name, found, [(0, size) for size in found.shape])

    def read_part(self, name: str, info: ArrayInfo, selection: list[tuple[int, int]]) -> np.ndarray:
        """Read a part of an array of numbers.

        Parameters
        ----------
        name, info
            The array.
        selection
            First index of each axis, and the index after the last.
        """
        assert info.dtype is not None
        if any(start >= stop for start, stop in selection):
            return np.empty([stop - start for start, stop in selection], info.dtype)
        chunk = info.chunk or (1,) * len(info.shape)
        return self._reader.read(name, selection, info.dtype, chunk)

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
        found = self.info(name)
        if len(found.shape) != 1 or found.text is None or (fixed and found.text < 0):
            fitting = " of fixed length" if fixed else ""
            raise InputError(f"/{name} is not a list of texts{fitting}")
        size = found.shape[0] * found.itemsize + self._size
        return tuple(self._reader.ask("texts", values=size, name=name))


def _info(found: dict[str, Any]) -> ArrayInfo:
    dtype, chunk = found.pop("dtype"), found.pop("chunk")
    return ArrayInfo(
        shape=tuple(found.pop("shape")),
        dtype=None if dtype is None else np.dtype(dtype),
        chunk=None if chunk is None else tuple(chunk),
        **found,
    )


def _unreadable(path: Path, error: Refused, remedy: str) -> InputError:
    if "truncated" in str(error):
        return InputError("the file is truncated", file=path, remedy=COPY)
    if "already open for write" in str(error):
        return InputError(
            "is open for writing", file=path, remedy="Close it, or wait until it is complete"
        )
    return InputError(f"HDF5 cannot open it ({error})", file=path, remedy=remedy)
