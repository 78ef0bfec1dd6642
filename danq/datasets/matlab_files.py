"""Read arrays of MATLAB v5 files (saved with -v6 or -v7) as streams."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from danq.errors import InputError
from danq.files.hdf5_input import MOST_UNPACKED
from danq.files.npy_input import MOST_AXES
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path

HEADER = 128
_COMPRESSED, _MATRIX = 15, 14
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_NUMERIC = range(6, 16)
_COMPLEX = 1 << 11
_PIECE = 1 << 20


@dataclass(frozen=True)
class Variable:
    """A numeric array in a file.

    Attributes
    ----------
    name
        Name of the array.
    shape
        Sizes in the order of the file, slowest axis first: those of MATLAB reversed.
    itemsize
        Bytes of a value.
    start, end
        Bytes of its element in the file, half-open.
    """

    name: str
    shape: tuple[int, ...]
    itemsize: int
    start: int
    end: int


def is_matlab5(path: str | Path) -> bool:
    """Whether a file is MATLAB v5 by its header; v7.3 is HDF5 and is not."""
    with open_raw(check_file(path)) as file:
        head = file.read(HEADER)
    return len(head) == HEADER and head[124:128] in (b"\x00\x01IM", b"\x01\x00MI")


def list_variables(path: str | Path) -> list[Variable]:
    """List the numeric arrays of a file; other variables are skipped.

    Parameters
    ----------
    path
        A MATLAB v5 file (`is_matlab5`).

    Raises
    ------
    InputError
        When the file is truncated or damaged.
    """
    path = Path(path)
    size = local_path(path).stat().st_size
    found = []
    with open_raw(path) as file:
        order = _order(file)
        at = HEADER
        while at < size:
            file.seek(at)
            kind, count = _tag(file, order, path)
            if at + 8 + count > size:
                raise _damaged(path, f"the file is truncated: byte {at + 8 + count:,} of {size:,}")
            end = at + 8 + count
            if kind in (_COMPRESSED, _MATRIX):
                element = _Element(path, at, end, order)
                try:
                    if element.numeric:
                        size_of = element.start_values().itemsize
                        found.append(Variable(element.name, element.shape, size_of, at, end))
                finally:
                    element.close()
            at = end
    return found


class MatlabStream:
    """The values of one array, read in order in pieces of any size.

    Parameters
    ----------
    path
        The file.
    variable
        An element of `list_variables`.

    Raises
    ------
    InputError
        When the file is truncated or damaged; `take` as well.
    """

    def __init__(self, path: str | Path, variable: Variable) -> None:
        with open_raw(path) as file:
            order = _order(file)
        self._element = _Element(Path(path), variable.start, variable.end, order)
        self.dtype = self._element.start_values()

    def take(self, count: int) -> np.ndarray:
        """Read the next ``count`` values, in their stored dtype."""
        out = np.empty(count, self.dtype)
        self._element.fill(out.view(np.uint8))
        return out

    def close(self) -> None:
        """Close the file."""
        self._element.close()


class _Element:
    """A matrix element, plain or compressed."""

    def __init__(self, path: Path, start: int, end: int, order: str) -> None:
        self._path, self._order, self._start, self._end = path, order, start, end
        self._file = open_raw(path)
        self._inflate = None
        self._held = b""
        try:
            self._file.seek(start)
            if _tag(self._file, order, path)[0] == _COMPRESSED:
                self._inflate = zlib.decompressobj()
                if self._inner_tag()[0] != _MATRIX:
                    raise _damaged(path, "a compressed element has no array")
            self.shape, self.name = (), ""
            flags = self._numbers("u4")
            self.numeric = flags.size > 0 and int(flags[0] & 0xFF) in _NUMERIC
            self.numeric = self.numeric and not flags[0] & _COMPLEX
            if not self.numeric:
                return
            self.shape = tuple(int(size) for size in self._numbers("i4")[::-1])
            if len(self.shape) > MOST_AXES or min(self.shape, default=0) < 0:
                raise _damaged(path, f"no array has the shape {str(self.shape)[:80]}")
            self.name = self._header_element().decode("ascii", "replace")
        except BaseException:
            self.close()
            raise

    def start_values(self) -> np.dtype:
        """Read the tag of the values; `fill` then reads values."""
        kind, count, small = self._inner_tag()
        dtype = np.dtype(self._order + _TYPES.get(kind, "V1"))
        expected = math.prod(self.shape) * dtype.itemsize
        if dtype.kind == "V" or count != expected:
            raise _damaged(
                self._path, f"'{self.name}' has {count:,} bytes of values, not {expected:,}"
            )
        stored = len(small) + len(self._held) + self._end - self._file.tell()
        if self._inflate is not None:
            stored = MOST_UNPACKED * (self._end - self._start)
        if count > stored:
            raise _damaged(
                self._path, f"'{self.name}' has {count:,} bytes of values, more than are stored"
            )
        self._held = small + self._held
        return dtype

    def fill(self, out: np.ndarray) -> None:
        """Fill an array with the next bytes."""
        view, done = memoryview(out.data), 0
        while done < len(view):
            piece = self._piece(len(view) - done)
            view[done : done + len(piece)] = piece
            done += len(piece)

    def close(self) -> None:
        self._file.close()

    def _piece(self, most: int) -> bytes:
        if self._held:
            piece, self._held = self._held[:most], self._held[most:]
            return piece
        if self._inflate is None:
            piece = self._file.read(min(most, _PIECE))
        else:
            piece = b""
            try:
                while not piece and not self._inflate.eof:
                    rest = self._inflate.unconsumed_tail or self._file.read(_PIECE)
                    piece = self._inflate.decompress(rest, most)
                    if not rest:
                        break
            except zlib.error as error:
                raise _damaged(self._path, f"cannot be decompressed ({error})") from error
        if not piece:
            raise _damaged(self._path, "the file is truncated")
        return piece

    def _bytes(self, count: int) -> bytes:
        out = np.empty(count, np.uint8)
        self.fill(out)
        return out.tobytes()

    def _inner_tag(self) -> tuple[int, int, bytes]:
        """Type and number of bytes of an element, and its bytes if they are part of the tag."""
        first, second = struct.unpack(f"{self._order}II", self._bytes(8))
        if first >> 16 > 4:
            raise _damaged(self._path, f"a small element has {first >> 16} bytes")
        if first >> 16:
            data = struct.pack(f"{self._order}I", second)[: first >> 16]
            return first & 0xFFFF, first >> 16, data
        return first, second, b""

    def _numbers(self, dtype: str) -> np.ndarray:
        """Numbers of the header."""
        data = self._header_element()
        if len(data) % 4:
            raise _damaged(self._path, f"{len(data)} bytes of the header are no list of numbers")
        return np.frombuffer(data, self._order + dtype)

    def _header_element(self) -> bytes:
        """Read a small element of the header, padded to a multiple of eight bytes."""
        kind, count, data = self._inner_tag()
        if data:
            return data
        if count > _PIECE:
            raise _damaged(self._path, f"a header element of type {kind} has {count:,} bytes")
        return self._bytes(-(-count // 8) * 8)[:count]


def _order(file: BinaryIO) -> str:
    file.seek(126)
    return "<" if file.read(2) == b"IM" else ">"


def _tag(file: BinaryIO, order: str, path: Path) -> tuple[int, int]:
    data = file.read(8)
    if len(data) < 8:
        raise _damaged(path, "the file is truncated")
    return struct.unpack(f"{order}II", data)


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(problem, file=path, remedy="Copy or download it again")
