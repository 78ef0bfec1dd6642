"""Keep freed memory in the process between the batches of a computation."""

from __future__ import annotations

import ctypes
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST = 2**31 - 1

_lock = threading.Lock()
_users = 0


class _Thresholds(NamedTuple):
    """Settings of glibc's malloc.

    Attributes
    ----------
    trim
        Free bytes at the end of the heap above which they go back to the system.
    mmap
        Bytes above which a block gets a separate mapping, which goes back when freed.
    maps
        Maximum number of such mappings.
    """

    trim: int
    mmap: int
    maps: int = 65536


_DEFAULT = _Thresholds(trim=128 << 10, mmap=128 << 10)
_LARGEST_ADAPTED = _Thresholds(trim=64 << 20, mmap=32 << 20)


@contextmanager
def kept_memory() -> Iterator[None]:
    """Keep freed memory in the process for later allocations.

    By default, glibc returns large blocks to the system when they are freed, and requests them
    again, page by page, in the next batch. A training step allocates a gigabyte, and requesting
    it can take longer than the arithmetic. At the end of the context, free memory goes back to
    the system. With another C library, nothing happens.

    Contexts may be nested and may overlap in several threads; the last one to end restores the
    settings of malloc, which belong to the whole process. glibc can set them but not report them:
    thresholds from the environment are restored. Without any, glibc adapts its thresholds to the
    blocks that are freed until the first call of ``mallopt``, and never again; then they are set
    to the largest values that it adapts to (32 MB for blocks, 64 MB for the end of the heap).
    """
    global _users
    libc = _glibc()
    if libc is None:
        yield
        return
    with _lock:
        _users += 1
        if _users == 1:
            _set(libc, _Thresholds(trim=_LARGEST, mmap=_LARGEST_ADAPTED.mmap, maps=0))
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set(libc, _thresholds(os.environ))
                libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, thresholds: _Thresholds) -> None:
    libc.mallopt(_TRIM_THRESHOLD, thresholds.trim)
    libc.mallopt(_MMAP_THRESHOLD, thresholds.mmap)
    libc.mallopt(_MMAP_MAX, thresholds.maps)


def _thresholds(environment: Mapping[str, str]) -> _Thresholds:
    """Thresholds outside of `kept_memory`, in a process with these environment variables."""
    given = {}
    for name, variable, tunable in (
        ("trim", "MALLOC_TRIM_THRESHOLD_", "trim_threshold"),
        ("mmap", "MALLOC_MMAP_THRESHOLD_", "mmap_threshold"),
        ("maps", "MALLOC_MMAP_MAX_", "mmap_max"),
    ):
        tuned = re.search(rf"glibc\.malloc\.{tunable}=(\w+)", environment.get("GLIBC_TUNABLES", ""))
        text = tuned[1] if tuned else environment.get(variable, "")
        # As in C, a number that starts with 0 is octal.
        octal = re.fullmatch(r"0[0-7]+", text)
        if octal or re.fullmatch(r"0|[1-9][0-9]*|0[xX][0-9a-fA-F]+", text):
            given[name] = min(int(text, 8 if octal else 0), _LARGEST)
    return _DEFAULT._replace(**given) if given else _LARGEST_ADAPTED


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
