"""Keep libraries from writing to stderr what danq reports itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what compiled libraries write to stderr within the block to the null device.

    The panics of polars and the messages of htslib do not pass through Python. Without a standard
    error, nothing happens.
    """
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
