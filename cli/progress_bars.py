"""Bars on a terminal, one line for each stage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .progress import Timed

WIDTH, SHORT, GAP = 30, 10, 2
"""Columns of a bar, of a bar on a narrow terminal, and of the space between texts."""

_LESS = (3, 5, 2)
"""Texts that are left out if the terminal is narrow: rates first, then details and counts."""

shown: list[Bars] = []
"""The bars that are on the terminal."""


class Bars:
    """Shows the stages of a command at the bottom of a terminal, below what is printed."""

    def __init__(self) -> None:
        self.live = Live(
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            # Text for a file or a pipe is not for the terminal.
            redirect_stdout=sys.stdout.isatty(),
        )
        shown.append(self)
        self.live.start()

    def show(self, stages: Sequence[Timed], now: float) -> None:
        """Draw the stages, the outer ones first."""
        self.live.update(table(stages, now, self.live.console.width), refresh=True)

    def stop(self) -> None:
        """Remove the bars."""
        self.live.stop()
        shown.remove(self)


def table(stages: Sequence[Timed], now: float, width: int) -> Table:
    """A row for each stage: name, bar, percentage, count, rate, time that has passed and left.

    Parameters
    ----------
    stages
        The stages.
    now
        Time in seconds.
    width
        Columns of the terminal. If it is narrow, the bars are short or absent, and then rates,
        details and counts, so that names and times are complete.
    """
    rows = [_texts(one, now) for one in stages]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for bar, fewer in ((WIDTH, 0), (SHORT, 0), (0, 0), (0, 1), (0, 2), (0, 3)):
        kept = [number for number in range(len(sizes)) if number not in _LESS[:fewer]]
        gaps = GAP * (len(kept) - (0 if bar else 1))
        if sum(sizes[number] for number in kept) + bar + gaps <= width:
            break
    grid = Table.grid(padding=(0, GAP))
    for _ in range(len(kept) + bool(bar)):
        grid.add_column(no_wrap=True)
    for one, texts in zip(stages, rows, strict=True):
        cells: list[RenderableType] = [Text(texts[number]) for number in kept]
        if bar:
            cells.insert(1, _bar(one, bar, now))
        grid.add_row(*cells)
    return grid


def _texts(one: Timed, now: float) -> list[str]:
    from .progress import duration

    share, left = _share(one), one.seconds_left
    percent = "" if share is None else f"{share:.0%}"
    times = duration(now - one.begun) + ("" if left is None else f", {duration(left)} left")
    return [one.stage.name, percent, one.count(), one.speed(), times, one.stage.detail]


def _share(one: Timed) -> float | None:
    return min(1.0, one.stage.done / one.stage.total) if one.stage.total else None


def _bar(one: Timed, width: int, now: float) -> ProgressBar:
    share = _share(one)
    return ProgressBar(
        total=1.0, completed=share or 0.0, width=width, pulse=share is None, animation_time=now
    )
