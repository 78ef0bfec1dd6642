"""Temporary files and folders next to an output, and what a killed process left of them.

Their names end with random digits and a check sum of those digits, so that no file of another
program is taken for one. The process that writes one holds a lock on it, which ends with the
process: what is not locked is a leftover.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path

from danq.file_lock import HeldLock

PART, OLD = "part", "old"
"""Ending of an output that is being written, and of one that is being replaced."""

_DIGITS = 8
_NAME = re.compile(r"\.(.+)\.([0-9a-f]{8})([0-9a-f]{8})\.(part|old)", re.DOTALL)
_LONGEST = 200
"""Bytes of a name that a temporary name contains in full; names of files have at most 255."""


def temporary_name(target: Path, ending: str = PART) -> Path:
    """A name next to an output for its temporary file or folder."""
    stem, random = _stem(target), secrets.token_hex(_DIGITS // 2)
    return target.with_name(f".{stem}.{random}{_check(stem, random)}.{ending}")


def is_leftover(path: Path) -> bool:
    """Whether this is the name of an output that was being written."""
    return _ending(path) == PART


def leftovers(target: Path, ending: str) -> list[Path]:
    """Temporary files and folders of an output that no living process uses."""
    return [path for path in _named(target, ending) if _is_abandoned(path)]


def _named(target: Path, ending: str) -> list[Path]:
    """Temporary files and folders of an output."""
    start = f".{_stem(target)}."
    try:
        names = [name for name in os.listdir(target.parent) if name.startswith(start)]
    except OSError:
        return []
    paths = [target.with_name(name) for name in sorted(names)]
    return [
        path
        for path in paths
        if _ending(path) == ending and len(path.name) == len(start) + 2 * _DIGITS + 1 + len(ending)
    ]


def remove_leftovers(target: Path) -> None:
    """Remove the temporary files of an output that a killed process left."""
    for path in _named(target, PART):
        _remove_abandoned(path)


def remove_all_leftovers(folder: Path) -> None:
    """As `remove_leftovers`, for all outputs in a folder."""
    for path in folder.iterdir():
        if is_leftover(path):
            _remove_abandoned(path)


def new_file(target: Path) -> AbstractContextManager[Path]:
    """Make the temporary file of an output, empty, and hold its lock.

    Raises
    ------
    OSError
        When the operating system cannot write.
    """
    return _new(target, _make_file)


def new_folder(target: Path) -> AbstractContextManager[Path]:
    """As `new_file`, for a folder."""
    return _new(target, Path.mkdir)


@contextmanager
def _new(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    while True:
        path = temporary_name(target)
        make(path)
        try:
            with locked(path):
                # Before it was locked, another process may have removed it as a leftover.
                if path.exists():
                    yield path
                    return
        finally:
            _remove(path)


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _remove(path: Path) -> None:
    """Remove a temporary file or folder that was not renamed; the next call tries again."""
    with suppress(OSError):
        if path.is_dir():
            # It was made under this name, which no other program uses.
            shutil.rmtree(path, ignore_errors=True)
        elif path.exists():
            path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a temporary file or folder; without effect where there are no locks."""
    # A process that looks for leftovers holds the lock for a moment.
    with _locked(path, wait=True) or nullcontext():
        yield


def _locked(path: Path, *, wait: bool = False) -> HeldLock | None:
    """The lock of a file or folder; None if it cannot be locked."""
    try:
        # Without waiting, if it is a named pipe; never through a link.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        kind = os.fstat(number).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise OSError
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(number)
        return None
    return HeldLock(number)


def _remove_abandoned(path: Path) -> None:
    """Remove what no living process uses, under its lock: a process may just have made it."""
    lock = _locked(path)
    if lock is not None:
        with lock:
            _remove(path)


def _is_abandoned(path: Path) -> bool:
    lock = _locked(path)
    if lock is None:
        return False
    lock.close()
    return True


def _ending(path: Path) -> str | None:
    match = _NAME.fullmatch(path.name)
    return match[4] if match is not None and match[3] == _check(match[1], match[2]) else None


def _stem(target: Path) -> str:
    name = target.name
    if len(os.fsencode(name)) <= _LONGEST:
        return name
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]


def _check(stem: str, random: str) -> str:
    return hashlib.sha256(b"danq\0" + os.fsencode(f"{stem}\0{random}")).hexdigest()[:_DIGITS]
