"""The standard streams of the process of a command."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def open_streams() -> None:
    """Connect standard streams that are closed to the null device.

    Otherwise a file that is opened later has the number of a standard stream, and what a library
    prints is written into it. Names that the encoding of stdout lacks are escaped.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # has the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def write_stderr(text: str) -> None:
    """Write a line to stderr.

    A terminal that was closed, a pipe without a reader or a full disk does not end the command.
    """
    with suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)
