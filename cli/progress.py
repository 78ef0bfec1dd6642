"""A progress bar on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from danq.typing import Progress


@contextmanager
def progress(verb: str, *, unit: str | None = None) -> Iterator[Progress | None]:
    """Show a progress bar while the block runs, if stderr is a terminal.

    Parameters
    ----------
    verb
        Label of the bar: "predicting".
    unit
        What is counted, in the plural: "variants". Shows the number per second.

    Yields
    ------
    callable or None
        Function of the number done and the total number (None if unknown); None if stderr is not
        a terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Speed(TextColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} {unit}/s")

    speed = [] if unit is None else [Speed("")]
    columns = TextColumn(verb), MofNCompleteColumn(), *speed, TimeRemainingColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show
