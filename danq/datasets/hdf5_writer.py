"""Write HDF5 files, with a seal; a full disk is an error and not a crash."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import h5py.h5f
import h5py.h5i

from danq.files.recognise import SEAL
from danq.files.sealed_hdf5 import seal_of


class GuardedFile(io.FileIO):
    """A file that stores its first error and drops all later writes.

    HDF5 2.0.0 crashes with a segmentation fault when it closes a file after a failed write. With
    this class every write seems to succeed; call `check` to raise the stored error.

    Parameters
    ----------
    path
        File to write; an existing file is replaced.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(str(path), "w+")
        self.failure: BaseException | None = None

    def close(self) -> None:
        """Close the file, and before it what HDF5 has open in it, which an interrupt may leave.

        HDF5 crashes if it closes such a file later, without this one.
        """
        if not self.closed:
            name, h5f = repr(self).encode("ascii", "replace"), h5py.h5f
            for kind in (h5f.OBJ_ATTR, h5f.OBJ_DATASET, h5f.OBJ_GROUP, h5f.OBJ_FILE):
                for one in h5f.get_obj_ids(h5f.OBJ_ALL, kind):
                    while one.valid and h5f.get_name(one) == name:
                        h5py.h5i.dec_ref(one)
        super().close()

    def check(self) -> None:
        """Raise the stored error, if any."""
        if self.failure is not None:
            raise self.failure

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.failure is None and done < len(view):
                done += super().write(view[done:])
        except BaseException as error:  # an interrupt must not pass through HDF5
            self.failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except BaseException as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        try:
            while done < len(view) and (more := super().readinto(view[done:])):
                done += more
        except BaseException as error:
            self.failure = self.failure or error
        # Dropped bytes read as zeros.
        view[done:] = bytes(len(view) - done)
        return len(view)


@contextmanager
def writing(path: str | Path, kind: str) -> Iterator[h5py.File]:
    """Open a new, sealed HDF5 file for writing; an existing file is replaced.

    Parameters
    ----------
    path
        File to write, usually a temporary name (:func:`danq.output.replacing`).
    kind
        What the file is, for its seal (:func:`danq.files.sealed_hdf5.open_sealed`).

    Raises
    ------
    OSError
        At the end of the block, when a write failed, for example on a full disk.
    """
    with GuardedFile(path) as raw:
        try:
            with create(raw) as file:
                yield file
            seal(raw, kind)
        except Exception as error:
            if raw.failure is not None and error is not raw.failure:
                raise raw.failure from error
            raise
        raw.check()


def create(raw: GuardedFile) -> h5py.File:
    """Create an HDF5 file with room for a seal before its first byte."""
    return h5py.File(raw, "w", userblock_size=SEAL)


def seal(raw: GuardedFile, kind: str) -> None:
    """Write the seal of a complete file, after HDF5 has closed it."""
    if raw.failure is None:
        block = seal_of(raw, kind)
        raw.seek(0)
        raw.write(block)
