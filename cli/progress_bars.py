"""Bars on a terminal, one line for each stage."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from .progress import Timed

WIDTH = 30
"""Columns of a bar."""


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
        self.live.start()

    def show(self, stages: Sequence[Timed], now: float) -> None:
        """Draw the stages, the outer ones first."""
        self.live.update(table(stages, now), refresh=True)

    def stop(self) -> None:
        """Remove the bars."""
        self.live.stop()


def table(stages: Sequence[Timed], now: float) -> Table:
    """A row for each stage: name, bar, percentage, count, rate, time that has passed and left."""
    from .progress import duration

    grid = Table.grid(padding=(0, 2))
    for _ in range(7):
        grid.add_column(no_wrap=True)
    for one in stages:
        stage, left = one.stage, one.seconds_left
        share = min(1.0, stage.done / stage.total) if stage.total else None
        bar = ProgressBar(
            total=1.0, completed=share or 0.0, width=WIDTH, pulse=share is None, animation_time=now
        )
        times = duration(now - one.begun) + (f", {duration(left)} left" if left is not None else "")
        texts = [one.count(), one.speed(), times, stage.detail]
        percent = "" if share is None else f"{share:.0%}"
        grid.add_row(Text(stage.name), bar, Text(percent), *map(Text, texts))
    return grid
