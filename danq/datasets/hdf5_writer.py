"""Write HDF5 files; a full disk is an error and not a crash."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


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
def writing(path: str | Path) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing; an existing file is replaced.

    Parameters
    ----------
    path
        File to write, usually a temporary name (:func:`danq.output.replacing`).

    Raises
    ------
    OSError
        At the end of the block, when a write failed, for example on a full disk.
    """
    with GuardedFile(path) as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        except Exception as error:
            if raw.failure is not None and error is not raw.failure:
                raise raw.failure from error
            raise
        raw.check()
