"""Read the format of numpy's arrays: `.npy` files, and the members of `.npz` files."""

from __future__ import annotations

import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from danq.errors import InputError, first_line
from danq.files.binary_input import format_of
from danq.files.open_input import check_file, open_raw

NUMBERS = "biuf"
"""Kinds of numpy types that are read."""

MOST_AXES = 32
_COPY = "Copy or download it again"
_WRITE = "Write it with numpy.save"
_DAMAGE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)
"""What numpy and zipfile raise at damaged files."""


class NpyHeader(NamedTuple):
    """Shape, order and type of an array.

    Attributes
    ----------
    shape
        Its shape, as in numpy.
    fortran
        Whether the first axis is the fastest one.
    dtype
        Type of its values.
    """

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextmanager
def damage_named(
    path: Path,
    problem: str,
    *,
    errors: tuple[type[Exception], ...] = _DAMAGE,
    remedy: str = _COPY,
) -> Iterator[None]:
    """Name the file when a library cannot read it.

    Parameters
    ----------
    path
        The file.
    problem
        What is wrong; the first line of the library's error follows in brackets.
    errors
        What the library raises; by default, numpy and zipfile.
    remedy
        What to do.

    Raises
    ------
    InputError
        When the library reports an error within the block.
    """
    try:
        yield
    except InputError:
        raise
    except errors as error:
        # The file is named once: errors with a file name repeat it after their reason.
        named = getattr(error, "filename", None) and getattr(error, "strerror", None)
        reason = str(named or first_line(error))
        raise InputError(f"{problem} ({reason})", file=path, remedy=remedy) from error


def read_header(file: IO[bytes]) -> NpyHeader:
    """Read the header of an array, up to its values.

    Raises
    ------
    ValueError
        When its shape is none of an array; also other errors of numpy (see `damage_named`).
    """
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    with warnings.catch_warnings():  # of headers that Python 2 wrote
        warnings.simplefilter("ignore", UserWarning)
        header = NpyHeader(*read(file))
    sound = all(type(size) is int and 0 <= size < 1 << 62 for size in header.shape)
    if not sound or len(header.shape) > MOST_AXES:
        raise ValueError(f"no array has the shape {str(header.shape)[:80]}")
    return header


def read_npy(path: Path) -> np.ndarray:
    """Read the numbers of an ``.npy`` file.

    Raises
    ------
    InputError
        When the file is missing, of another format, truncated or damaged, or holds no numbers.
    """
    with open_raw(check_file(path)) as file:
        magic = np.lib.format.MAGIC_PREFIX
        if file.read(len(magic)) != magic:
            raise InputError(f"is {format_of(path)}, not an .npy file", file=path, remedy=_WRITE)
        file.seek(0)
        with damage_named(path, "is not a readable .npy file", remedy=_WRITE):
            header = read_header(file)
            if header.dtype.kind not in NUMBERS:
                raise ValueError(f"holds {header.dtype}, not numbers")
            start = file.tell()
            found = file.seek(0, 2) - start
            if found != header.size:
                raise ValueError(f"{found:,} bytes of values, but the shape needs {header.size:,}")
            file.seek(start)
            values = np.empty(math.prod(header.shape), header.dtype)
            if file.readinto(values.view(np.uint8).data) != header.size:
                raise ValueError("the file became shorter while it was read")
            order = "F" if header.fortran else "C"
            return values.reshape(header.shape, order=order)
