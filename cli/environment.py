"""Prepare the process of a command: its standard streams and its environment variables."""

from __future__ import annotations

import os
import re

import click

from .streams import open_streams

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
