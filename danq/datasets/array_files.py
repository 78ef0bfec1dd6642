"""Read arrays of HDF5, MATLAB and npz files slab by slab."""

from __future__ import annotations

import math
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import h5py
import numpy as np

from danq.datasets.matlab_files import MatlabStream, Variable, is_matlab5, list_variables
from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.hdf5_input import hdf5_errors, is_hdf5, open_hdf5
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path
from danq.files.recognise import HEAD

_NUMERIC = "biuf"


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
    """A dataset of an HDF5 file."""

    random_access = True

    def __init__(self, path: Path, name: str, dataset: h5py.Dataset, matlab: bool) -> None:
        self.path, self.name, self._dataset = path, name, dataset
        self.shape = dataset.shape
        self.chunk = dataset.chunks or (1,) * len(self.shape)
        self.itemsize = dataset.dtype.itemsize
        self.matlab = matlab or "MATLAB_class" in dataset.attrs

    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        with hdf5_errors(self.path):
            if last is None:
                return self._dataset[lead]
            return self._dataset[(lead, ..., last)]


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

    def __init__(self, path: Path, archive: zipfile.ZipFile, member: str) -> None:
        self.path, self.name = path, member.removesuffix(".npy")
        self._archive, self._member = archive, member
        self._file: IO[bytes] | None = None
        try:
            self.shape, self.dtype = self._start()
        finally:
            self.close()
        self.chunk = (1,) * len(self.shape)
        self.itemsize = self.dtype.itemsize

    def read(self, lead: slice, last: slice | None = None) -> np.ndarray:
        try:
            if not lead.start:
                self.close()
                self._start()
            assert self._file is not None
            rest = self.shape[1:]
            count = min(lead.stop, self.shape[0]) - lead.start
            data = self._file.read(count * math.prod(rest) * self.itemsize)
            return np.frombuffer(data, self.dtype).reshape(count, *rest)
        except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
            raise damaged(self.path, f"'{self.name}' cannot be read ({error})") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _start(self) -> tuple[tuple[int, ...], np.dtype]:
        self._file = file = self._archive.open(self._member)
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        return (shape[::-1] if fortran else shape), dtype


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
    found: list[Array] = []
    with open_raw(path) as raw:
        matlab = raw.read(10) == b"MATLAB 7.3"

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in _NUMERIC and item.shape:
            found.append(Hdf5Array(path, name, item, matlab))

    with hdf5_errors(path):
        file.visititems(visit)
    return found


def _npz(path: Path, stack: ExitStack) -> list[Array]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(local_path(path)))
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        arrays = [NpzArray(path, archive, name) for name in members]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError) as error:
        raise damaged(path, f"is not a complete npz file ({error})") from error
    return [array for array in arrays if array.dtype.kind in _NUMERIC and array.shape]


def damaged(path: Path, problem: str) -> InputError:
    """Make the error for a truncated or damaged file."""
    return InputError(problem, file=path, remedy="Copy or download it again")
