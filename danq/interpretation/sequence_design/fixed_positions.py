"""Positions of starts that a design does not change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from danq.errors import InputError, few
from danq.genome.bed import read_bed
from danq.typing import BoolRow

_INTERVAL = re.compile(r"([0-9]+)-([0-9]+)")


def free_positions(fixed: Sequence[str | Path], names: Sequence[str], window: int) -> list[BoolRow]:
    """Positions of each start that may change.

    Parameters
    ----------
    fixed
        As in `danq.interpretation.sequence_design.constraints.DesignConstraints`.
    names
        Names of the starts.
    window
        Bases of a start.

    Returns
    -------
    list
        ``(L,)`` flags of each start.

    Raises
    ------
    InputError
        When a text is not an interval, an interval is not inside the window, a BED file cannot be
        read, or names no start.
    """
    free = {name: np.ones(window, dtype=bool) for name in names}
    for one in fixed:
        if isinstance(one, Path):
            _fix_file(one, free, window)
            continue
        start, end = _interval(one, window)
        for own in free.values():
            own[start:end] = False
    return [free[name] for name in names]


def is_interval(text: str) -> bool:
    """Whether a text is an interval, START-END."""
    return _INTERVAL.fullmatch(text.strip()) is not None


def _interval(text: str, window: int) -> tuple[int, int]:
    """Interval of a text, 0-based half-open."""
    found = _INTERVAL.fullmatch(str(text).strip())
    if found is None:
        raise InputError(
            f"the fixed positions '{text}' are no interval",
            remedy="Write START-END, 1-based with both ends included, such as 101-120; a BED file "
            "is given as pathlib.Path",
        )
    start, end = int(found[1]), int(found[2])
    if not 1 <= start <= end <= window:
        raise InputError(
            f"the fixed positions {text} are not inside the window, which has {window:,} bases",
            remedy=f"Intervals are 1-based and closed; choose one within 1-{window}",
        )
    return start - 1, end


def _fix_file(path: Path, free: dict[str, BoolRow], window: int) -> None:
    table = read_bed(path, names=False).select("chrom", "start", "end")
    unknown = [name for name in table["chrom"].unique(maintain_order=True) if name not in free]
    if unknown:
        raise InputError(
            f"names {few(unknown)}, and the starts are {few(free)}",
            file=path,
            remedy="Write the name of a start in the first column",
        )
    for name, start, end in table.iter_rows():
        if end > window:
            raise InputError(
                f"the interval {start}-{end} is not inside the start, which has {window:,} bases",
                file=path,
                record=name,
                remedy="BED intervals are 0-based and half-open",
            )
        free[name][start:end] = False
