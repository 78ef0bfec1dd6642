"""Sealed HDF5: files of danq whose first 512 bytes hold a checksum of all other bytes.

HDF5 leaves the first bytes of a file to its user (the user block), so other programs read a sealed
file as any other HDF5 file. danq checks the checksum before HDF5 reads the file.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from danq.errors import InputError
from danq.files.hdf5_input import Hdf5Input, is_hdf5, not_hdf5, open_hdf5
from danq.files.inputs_in_use import note_checked
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path
from danq.files.recognise import SEAL
from danq.files.separate_reader import start_reader
from danq.progress import stage

_LINE = re.compile(rb"danq HDF5 1 ([a-z-]+) ([0-9]{1,18}) ([0-9a-f]{64})\n")
_BUFFER = 1 << 20
_COPY = "Copy or download it again, or make it again"


class _File(Protocol):
    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def readinto(self, buffer: memoryview, /) -> int | None: ...


def seal_of(file: _File, kind: str) -> bytes:
    """The seal of a complete file: 512 bytes, a line of text and zeros, for its start.

    Parameters
    ----------
    file
        Open for reading.
    kind
        What the file is: ``dataset``, ``background``, ... ; lower-case letters and hyphens.
    """
    size = file.seek(0, os.SEEK_END)
    return f"danq HDF5 1 {kind} {size} {_checksum(file)}\n".encode("ascii").ljust(SEAL, b"\0")


@contextmanager
def open_sealed(path: str | Path, kind: str, expected: str, *, remedy: str) -> Iterator[Hdf5Input]:
    """Open a sealed HDF5 file after checking its seal.

    Parameters
    ----------
    path
        The file.
    kind
        The kind that `danq.datasets.hdf5_writer.writing` wrote into its seal.
    expected
        What the file should be, for errors, such as "a dataset of danq (HDF5)".
    remedy
        What to do when the file is something else.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, not HDF5, without a seal, of another kind,
        truncated or changed; while it is read, as `Hdf5Input`; and at the end of the block, when
        the file was changed meanwhile.
    """
    path = check_file(path)
    if is_hdf5(path):
        start_reader()  # while the checksum is computed
    with open_raw(path) as file:
        before = _state(os.fstat(file.fileno()))
        _check_seal(file, path, kind, expected, remedy)
    with open_hdf5(path, expected, remedy=remedy) as opened:
        yield opened
    if _state(local_path(path).stat()) != before:
        raise InputError("the file was changed while it was read", file=path, remedy="Start again")
    note_checked(path)


def _check_seal(file: io.BufferedReader, path: Path, kind: str, expected: str, remedy: str) -> None:
    head = file.read(SEAL)
    found = _LINE.match(head)
    if found is None:
        if not is_hdf5(path):
            raise not_hdf5(path, expected, remedy)
        raise InputError(
            f"is HDF5 without the checksum of {expected}",
            file=path,
            remedy=f"{remedy}. Files of earlier versions of danq had no checksum: make them again",
        )
    written, size, checksum = (part.decode("ascii") for part in found.groups())
    if written != kind:
        raise InputError(f"is HDF5 of danq, but a {written}, not {expected}", file=path,
                         remedy=remedy)  # fmt: skip
    actual = file.seek(0, os.SEEK_END)
    if actual < int(size):
        raise InputError(
            f"the file is truncated: it has {actual:,} of {int(size):,} bytes",
            file=path,
            remedy=_COPY,
        )
    if actual > int(size) or any(head[found.end() :]) or _checksum(file) != checksum:
        raise InputError(
            "the file is damaged: its content does not match its checksum",
            file=path,
            remedy=_COPY,
        )


def _checksum(file: _File) -> str:
    """SHA-256 of the bytes after the seal, in hexadecimal."""
    left = file.seek(0, os.SEEK_END) - SEAL
    file.seek(SEAL)
    sha, buffer, size = hashlib.sha256(), memoryview(bytearray(_BUFFER)), left
    with stage("computing the checksum", "MB", size // 10**6) as now:
        while left > 0:
            count = file.readinto(buffer[: min(left, _BUFFER)])
            if not count:
                break
            sha.update(buffer[:count])
            left -= count
            now.reach((size - left) // 10**6)
    return sha.hexdigest()


def _state(stat: os.stat_result) -> tuple[int, ...]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
