"""Memory that is kept between the steps of a training instead of being asked for again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Names and numbers of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST = 2**31 - 1
_MOST_MAPS = 65536
_MOST_DYNAMIC = 32 << 20

_depth = 0


@contextmanager
def kept_memory() -> Iterator[None]:
    """While in here, memory that is freed stays with the process for the next one who asks.

    Linux's C library hands large blocks back as soon as they are freed, and asks for them again
    in the next step, a page at a time. A training step asks for a gigabyte, which may take longer
    than to compute with it. On the way out, what lies idle is handed back. Elsewhere than with
    glibc, nothing happens. Calls may be nested.
    """
    global _depth
    libc = _glibc()
    if libc is None:
        yield
        return
    _depth += 1
    if _depth == 1:
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, _LARGEST)
    try:
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            # To where glibc's own thresholds settle in a process that frees large blocks.
            libc.mallopt(_MMAP_THRESHOLD, _MOST_DYNAMIC)
            libc.mallopt(_MMAP_MAX, _MOST_MAPS)
            libc.mallopt(_TRIM_THRESHOLD, 2 * _MOST_DYNAMIC)
            libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
