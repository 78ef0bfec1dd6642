"""Read arrays of HDF5, MATLAB and npz files slab by slab."""

from __future__ import annotations

import math
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from danq.datasets.matlab_files import MatlabStream, Variable, is_matlab5, list_variables
from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.hdf5_input import MOST_UNPACKED, ArrayInfo, Hdf5Input, is_hdf5, open_hdf5
from danq.files.npy_input import NUMBERS, NpyHeader, damage_named, read_header
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path
from danq.files.recognise import HEAD

MOST_ARRAYS = 10_000
"""Largest number of arrays of an npz file."""

_AXES = (2, 3)
"""Numbers of axes of labels and of sequences."""


class Array(ABC):
    """An array of numbers in a file.

    Attributes
    ----------
    path
        The file.
    name
        Name of the array in the file.
    shape
        Sizes in the order of the file, slowest axis first. They are reversed for MATLAB: an array
        ``(n, 4, L)`` in MATLAB is ``(L, 4, n)`` here, as in h5py.
    chunk
        Chunk sizes of the file; ones if the array is contiguous.
    itemsize
        Bytes of a value.
    matlab
        Whether MATLAB wrote it.
    random_access
        Whether slabs can be read in any order, and parts of them.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    itemsize: int
    matlab: bool = False
    random_access: bool = False

    @abstractmethod
    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        """Read a slab of the array.

        Parameters
        ----------
        lead
            Slice of the slowest axis. Without random access, slices must follow each other,
            from 0.
        last
            Slice of the fastest axis, with random access only; None for all of it.

        Raises
        ------
        InputError
            When the file is truncated or damaged.
        """

    def close(self) -> None:  # noqa: B027
        """Close the stream of an array without random access."""

    def __str__(self) -> str:
        return f"{self.name} {self.shape}"


class Hdf5Array(Array):
    """An array of an HDF5 file."""

    random_access = True

    def __init__(self, file: Hdf5Input, name: str, info: ArrayInfo, matlab: bool) -> None:
        self.path, self.name, self.shape = file.path, name, info.shape
        self.chunk = info.chunk or (1,) * len(self.shape)
        self.itemsize = info.itemsize
        self.matlab = matlab or info.matlab
        self._file, self._info = file, info

    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        parts = [(0, size) for size in self.shape]
        for axis, part in ((0, lead), (-1, last)):
            if part is not None:
                start, stop, _ = part.indices(self.shape[axis])
                parts[axis] = start, stop
        return self._file.read_part(self.name, self._info, parts)


class MatlabArray(Array):
    """An array of a MATLAB v5 file."""

    matlab = True

    def __init__(self, path: Path, variable: Variable) -> None:
        self.path, self.name, self.shape = path, variable.name, variable.shape
        self.chunk = (1,) * len(self.shape)
        self.itemsize = variable.itemsize
        self._variable = variable
        self._stream: MatlabStream | None = None

    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        if not lead.start:
            self.close()
            self._stream = MatlabStream(self.path, self._variable)
        assert self._stream is not None
        rest = self.shape[1:]
        count = min(lead.stop, self.shape[0]) - lead.start
        return self._stream.take(count * math.prod(rest)).reshape(count, *rest)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class NpzArray(Array):
    """An array of an npz file, compressed or not."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.path, self.name = path, member.filename.removesuffix(".npy")
        self._archive, self._member = archive, member
        self._file: IO[bytes] | None = None
        try:
            header = self._start()
        finally:
            self.close()
        self.dtype = header.dtype
        self.shape = header.shape[::-1] if header.fortran else header.shape
        self.chunk = (1,) * len(self.shape)
        self.itemsize = self.dtype.itemsize

    def check(self) -> None:
        """Refuse an array with other values than the archive holds.

        Raises
        ------
        InputError
            When its shape needs more bytes than are stored.
        """
        size = math.prod(self.shape) * self.itemsize
        if size > min(self._member.file_size, MOST_UNPACKED * self._member.compress_size):
            raise damaged(
                self.path,
                f"'{self.name}' {self.shape} has {size:,} bytes of values, but only "
                f"{self._member.compress_size:,} are stored",
            )

    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        with damage_named(self.path, f"'{self.name}' cannot be read"):
            if not lead.start:
                self.close()
                self._start()
            assert self._file is not None
            rest = self.shape[1:]
            count = min(lead.stop, self.shape[0]) - lead.start
            data = self._file.read(count * math.prod(rest) * self.itemsize)
            return np.frombuffer(data, self.dtype).reshape(count, *rest)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self) -> NpyHeader:
        self._file = self._archive.open(self._member)
        return read_header(self._file)


@contextmanager
def open_arrays(path: str | Path) -> Iterator[dict[str, Array]]:
    """Open a file and return its numeric arrays by name.

    Parameters
    ----------
    path
        HDF5 (MATLAB v7.3 as well), MATLAB v5, or npz.

    Raises
    ------
    InputError
        When the file is missing, of another format, truncated or damaged.
    """
    path = check_file(path)
    with ExitStack() as stack:
        if is_hdf5(path):
            arrays = _hdf5(path, stack)
        elif is_matlab5(path):
            arrays = [MatlabArray(path, variable) for variable in list_variables(path)]
        elif zipfile.is_zipfile(local_path(path)):
            arrays = _npz(path, stack)
        else:
            raise InputError(
                f"is neither HDF5, MATLAB v5 or v7.3, nor npz, or is truncated: it is "
                f"{format_of(path)}",
                file=path,
                remedy="Copy it again; save MATLAB files with -v7 or -v7.3",
            )
        for array in arrays:
            stack.callback(array.close)
        yield {array.name: array for array in arrays}


def is_array_file(path: str | Path) -> bool:
    """Whether `open_arrays` can read a file.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, or cannot be opened.
    """
    if is_hdf5(path) or is_matlab5(path):
        return True
    with open_raw(path) as file:
        head = file.read(HEAD)
    return head.startswith(b"PK") and b".npy" in head


def _hdf5(path: Path, stack: ExitStack) -> list[Array]:
    file = stack.enter_context(open_hdf5(path))
    with open_raw(path) as raw:
        matlab = raw.read(10) == b"MATLAB 7.3"
    found = file.arrays()
    for name, info in found.items():
        if len(info.shape) in _AXES:
            file.check(name, info)
    return [Hdf5Array(file, name, info, matlab) for name, info in found.items()]


def _npz(path: Path, stack: ExitStack) -> list[Array]:
    with damage_named(path, "is not a complete npz file"):
        archive = stack.enter_context(zipfile.ZipFile(local_path(path)))
        members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
        if len(members) > MOST_ARRAYS:
            raise ValueError(f"it has {len(members):,} arrays, more than {MOST_ARRAYS:,}")
        size = local_path(path).stat().st_size
        if sum(member.compress_size for member in members) > size:
            raise ValueError("its arrays have more bytes than the file")
        every = [NpzArray(path, archive, member) for member in members]
    arrays = [array for array in every if array.dtype.kind in NUMBERS and array.shape]
    for array in arrays:
        array.check()
    return list(arrays)


def damaged(path: Path, problem: str) -> InputError:
    """Make the error for a truncated or damaged file."""
    return InputError(problem, file=path, remedy="Copy or download it again")
