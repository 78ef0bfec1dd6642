"""A lock on a file, so that only one process at a time writes a folder."""

from __future__ import annotations

import fcntl
import logging
import os
import stat
import weakref
from pathlib import Path
from typing import Self

from danq.errors import InputError

log = logging.getLogger("danq")


class HeldLock:
    """A descriptor that holds a lock; a context manager.

    The operating system frees the lock with the process. A forked process closes its copy of the
    descriptor, so that the lock ends with this process even where that one lives on.

    Parameters
    ----------
    number
        The descriptor, which programs that are started do not inherit.
    """

    _number: int | None = None

    def __init__(self, number: int) -> None:
        self._number = number
        _held.add(self)

    def close(self) -> None:
        """Free the lock."""
        number, self._number = self._number, None
        if number is not None:
            os.close(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class FileLock(HeldLock):
    """The lock of an output.

    Parameters
    ----------
    path
        The file to lock, in a folder that exists; made if it is missing. Only a process that holds
        the lock may delete it.
    output
        The output that the lock is for, for messages.

    Raises
    ------
    InputError
        When another process, or another part of this one, holds the lock, or ``path`` is a link or
        not a regular file.
    OSError
        When the file cannot be opened.
    """

    def __init__(self, path: Path, output: Path) -> None:
        found = False
        while not found:
            number = _open(path)
            try:
                _lock(number, output)
                # The process that held the lock before may have deleted the file.
                found = os.fstat(number).st_nlink > 0
            finally:
                if not found:
                    os.close(number)
        super().__init__(number)


def _open(path: Path) -> int:
    """Descriptor of a regular file, which programs that are started do not inherit."""
    try:
        # Without waiting, if it is a named pipe.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        number = os.open(path, flags, 0o666)
    except OSError:
        if path.is_symlink():
            raise _strange(path) from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _strange(path)
    return number


def _strange(path: Path) -> InputError:
    return InputError(
        "is a link or a device, not a file that danq wrote",
        file=path,
        remedy="Remove it, or choose another output",
    )


def _lock(number: int, output: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise InputError(
            "another process is writing this output",
            file=output,
            remedy="Wait for it, or stop it",
        ) from error
    except OSError as error:
        log.warning(
            "%s: the file system has no locks (%s), so danq cannot see whether another process "
            "writes this output; run only one",
            output,
            error.strerror,
        )


_held: weakref.WeakSet[HeldLock] = weakref.WeakSet()


def _close_inherited() -> None:
    for lock in list(_held):
        lock.close()


# A forked worker would keep the lock after the death of its parent.
os.register_at_fork(after_in_child=_close_inherited)
