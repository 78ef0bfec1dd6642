"""Write HDF5 so that a full disk is an error and not a crash."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py


class _Guarded(io.FileIO):
    """A file that remembers its first failure to write and drops what comes after.

    HDF5 2.0.0 dies with a segmentation fault when it closes a file that it failed to write to.
    Through this file it sees every write succeed; whoever uses it asks for ``failure``
    afterwards.
    """

    failure: OSError | None = None

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.failure is None and done < len(view):
                done += super().write(view[done:])
        except OSError as error:
            self.failure = error
        return len(view)

    def truncate(self, size: int | None = None, /) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.failure = self.failure or error
            return size or 0

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view) and (more := super().readinto(view[done:])):
            done += more
        # What was dropped reads as zeros.
        view[done:] = bytes(len(view) - done)
        return len(view)


@contextmanager
def writing(path: str | Path) -> Iterator[h5py.File]:
    """Open a new HDF5 file for writing; what lies at ``path`` is lost.

    Parameters
    ----------
    path
        Where to write, most often a temporary name (:func:`danq.datasets.output.replacing`).

    Raises
    ------
    OSError
        At the end of the block, when anything in it could not be written, as on a full disk.
    """
    with _Guarded(str(path), "w+") as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        except Exception as error:
            if raw.failure is not None and error is not raw.failure:
                raise raw.failure from error
            raise
        if raw.failure is not None:
            raise raw.failure
