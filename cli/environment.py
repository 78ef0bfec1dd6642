"""Prepare the process of a command: its standard streams and its environment variables."""

from __future__ import annotations

import io
import os
import re
import sys

import click

COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
"""Variables that hold a number of threads. A library that reads another value stops the process or
prints its own messages."""

# OpenMP has one number for each level of nesting.
_COUNT = re.compile(r"\s*0*[1-9]\d*(\s*,\s*\d+)*\s*")


def prepare() -> None:
    """Prepare the process; call this once, before any library is imported."""
    open_streams()
    ignore_invalid_counts()
    place_matplotlib()


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


def ignore_invalid_counts() -> None:
    """Remove variables of `COUNTS` that are not a number of threads, with a warning."""
    for name in COUNTS:
        text = os.environ.get(name)
        if text is None or _COUNT.fullmatch(text):
            continue
        del os.environ[name]
        if text:
            click.echo(
                f"warning: the environment variable {name} is '{text}', not a number of threads; "
                "it is ignored",
                err=True,
            )


def place_matplotlib() -> None:
    """Give matplotlib a folder for its fonts where there is no home directory."""
    if "MPLCONFIGDIR" in os.environ or os.access(os.path.expanduser("~"), os.W_OK):
        return
    from danq.cache_folder import lasting_cache_folder

    folder = lasting_cache_folder("matplotlib")
    if folder is not None:
        os.environ["MPLCONFIGDIR"] = str(folder)
