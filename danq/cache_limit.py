"""The limit of the cache folder: what was used least recently is removed."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from danq.cache_folder import lasting_cache_folder
from danq.output.temporary_names import remove_all_leftovers

LIMIT = 20_000_000_000
"""Bytes of the files below: the genomes of human and mouse, unpacked, are 6 GB."""

_NAMES = {
    "fasta": re.compile(r".*\.[0-9a-f]{16}\.fa(\.fai)?", re.DOTALL),
    "index": re.compile(r".*\.[0-9a-f]{16}\.(fai|gzi)", re.DOTALL),
    "leaked": re.compile(r"[0-9a-f]{64}\.npy"),
}
"""Files of each folder of the cache that count and may be removed; others stay as they are."""

log = logging.getLogger("danq")


class _File(NamedTuple):
    """A file of the cache, in the order of removal."""

    used: int
    size: int
    path: Path


def open_kept(file: Path) -> BinaryIO | None:
    """Open a file of the cache, which is not removed while it is open; None if there is none."""
    try:
        handle = file.open("rb")
    except OSError:
        return None
    with suppress(OSError):  # of a file system without locks, where no file is removed
        fcntl.flock(handle, fcntl.LOCK_SH)
    if os.fstat(handle.fileno()).st_nlink == 0:
        handle.close()
        return None
    note_use(file)
    return handle


def note_use(file: Path) -> None:
    """Set the time at which a file of the cache was last used; its modification time stays."""
    with suppress(OSError):
        os.utime(file, ns=(time.time_ns(), file.stat().st_mtime_ns))


def limit_cache() -> None:
    """Remove what was used least recently, until the rest is within `LIMIT`.

    A file that a process has opened with `open_kept` stays, on this machine or another one. Call
    this after a file was added. What a killed process had not written completely is removed, too.
    """
    files, folders = [], [lasting_cache_folder(kind) for kind in _NAMES]
    for folder, name in zip(folders, _NAMES.values(), strict=True):
        if folder is not None:
            remove_all_leftovers(folder)
            files += _files(folder, name)
    total, removed = sum(file.size for file in files), 0
    for file in sorted(files):
        if total - removed <= LIMIT:
            break
        if _remove(file.path):
            removed += file.size
    if removed:
        log.info(
            "the cache exceeded %.3g GB: %.3g GB that were used least recently were removed",
            LIMIT / 1e9,
            removed / 1e9,
        )


def _files(folder: Path, name: re.Pattern[str]) -> list[_File]:
    found = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            # Another process may remove it meanwhile.
            with suppress(OSError):
                if name.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    state = entry.stat(follow_symlinks=False)
                    used = max(state.st_atime_ns, state.st_mtime_ns)
                    found.append(_File(used, state.st_size, Path(entry.path)))
    return found


def _remove(file: Path) -> bool:
    """Remove a file unless it is in use, or the file system cannot say so."""
    try:
        # For writing, which network file systems require for this lock.
        with file.open("r+b") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.unlink()
    except OSError:
        return False
    return True
