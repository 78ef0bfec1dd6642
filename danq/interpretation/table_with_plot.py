"""What writing a table beside a plot of its only sequence has in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from danq.errors import InputError
from danq.output import (
    OutputFile,
    check_distinct,
    check_target,
    is_standard_output,
    replacing_files,
)
from danq.typing import Location

DEFAULT_TRACKS = 3
"""Number of tracks plotted by default: those with the largest values."""

MAX_BASES = 5000
"""Maximum number of bases in a plot."""


@contextmanager
def table_and_plot(
    out: Location, plot: Path, overwrite: bool
) -> Iterator[tuple[Path, Path | None]]:
    """Temporary paths of a plot and of a table, which appear together at the end.

    Parameters
    ----------
    out
        The table; standard output has no temporary path.
    plot
        The plot.
    overwrite
        Whether to replace existing files.

    Yields
    ------
    Paths of the plot and of the table, None for standard output.

    Raises
    ------
    InputError
        When a file exists and ``overwrite`` is false, when both are the same, or when one cannot
        be written.
    """
    files = [OutputFile(plot)]
    if not is_standard_output(out):
        files.append(OutputFile(check_target(out, overwrite)))
    check_distinct(one.path for one in files)
    with replacing_files(files, overwrite) as (temporary, *table):
        yield temporary, table[0] if table else None


def check_plotted(sequences: int, bases: int, name: str) -> None:
    """Check that there is one sequence to plot, which is not too long.

    Raises
    ------
    InputError
        When there are several, or it has more than `MAX_BASES` bases; ``name`` says which.
    """
    if sequences != 1:
        raise InputError(
            f"a plot shows one sequence, and there are {sequences:,}",
            remedy="Select one region or record, or omit the plot",
        )
    if bases > MAX_BASES:
        raise InputError(
            f"a plot shows at most {MAX_BASES:,} bases, and {name} has {bases:,}",
            remedy="Choose a smaller region, or omit the plot",
        )


def plotted_tracks(values: np.ndarray, every: bool) -> list[int]:
    """Tracks to plot: every one, or those with the largest values along the last axis."""
    if every:
        return list(range(values.shape[-1]))
    size = np.nan_to_num(np.abs(values)).reshape(-1, values.shape[-1]).max(axis=0)
    return np.argsort(-size, kind="stable")[:DEFAULT_TRACKS].tolist()
