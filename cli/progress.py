"""Progress of a command on stderr: bars on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from danq.progress import COMPILING, watch_progress

from .streams import write_stderr

if TYPE_CHECKING:
    from danq.progress import Event, Stage

LINE_SECONDS = 10.0
"""Seconds between two lines of a log; the first one comes after as many."""

BAR_SECONDS = 0.5
"""Age of a stage in seconds at which a terminal shows its bar."""

YOUNG_SECONDS = 2.0
"""Age in seconds up to which a line shows the name of a stage only."""

COMPILING_SECONDS = 2.0
"""Seconds of compilation after which a log has the first line, which comes earlier than others."""

RATE_SECONDS = 30.0
"""Seconds over which the rate is computed."""


class Timed:
    """A stage and the rate at which its items are done.

    Parameters
    ----------
    stage
        The stage.
    now
        Time at which it began, in seconds.
    """

    def __init__(self, stage: Stage, now: float) -> None:
        self.stage, self.begun = stage, now
        self._counts = deque([(now, stage.first)])

    def note(self, now: float) -> None:
        """Note how many items are done now."""
        self._counts.append((now, self.stage.done))
        while len(self._counts) > 2 and self._counts[1][0] <= now - RATE_SECONDS:
            self._counts.popleft()

    @property
    def rate(self) -> float | None:
        """Items per second in the last `RATE_SECONDS`; None while none is done."""
        (first, before), (last, done) = self._counts[0], self._counts[-1]
        return (done - before) / (last - first) if done > before and last > first else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end of the stage at this rate; None if unknown."""
        total, rate = self.stage.total, self.rate
        return None if not total or rate is None else max(0, total - self.stage.done) / rate

    def count(self) -> str:
        """Number of items that are done, of the total if it is known."""
        stage = self.stage
        if not stage.unit and stage.total is None:
            return ""
        of = "" if stage.total is None else f" of {stage.total:,}"
        return f"{stage.done:,}{of} {stage.unit}".rstrip()

    def speed(self) -> str:
        """Items per second, or seconds per item where that is less than one in a second."""
        rate, unit = self.rate, self.stage.unit
        if rate is None or not unit:
            return ""
        return f"{rate:,.0f} {unit}/s" if rate >= 10 else f"{rate:.2g} {unit}/s"

    def line(self, now: float) -> str:
        """One line of a log."""
        left = self.seconds_left
        parts = [self.count(), self.speed(), self.stage.detail]
        parts.append(f"{duration(now - self.begun)} so far" if left is None else "")
        parts.append("" if left is None else f"{duration(left)} left")
        return f"{self.stage.name}: {', '.join(filter(None, parts))}"


def duration(seconds: float) -> str:
    """A time as text: "12 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


class Display:
    """Shows the stages of a command, as `danq.progress.watch_progress` reports them.

    A thread looks at the stages; counting their items costs them nothing.

    Parameters
    ----------
    clock
        Time in seconds, which never goes back.
    bars
        Whether stderr is a terminal: bars are then shown in place of lines.
    hidden
        Whether nothing is shown; called when a stage begins.
    """

    def __init__(
        self,
        *,
        bars: bool,
        hidden: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.bars, self.hidden, self.clock = bars, hidden, clock
        self.active: list[Timed] = []
        self.last_line = clock()
        self._compiled = 0.0
        self._compiling_is_shown = False
        self._bar: Any = None
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, stage: Stage, event: Event) -> None:
        """Note that a stage begins or ends."""
        if event == "step" or os.getpid() != self._process:
            return
        with self._lock:
            if event == "begin":
                if self.hidden():
                    return
                self.active.append(Timed(stage, self.clock()))
                self._start()
                return
            self._compiled += sum(
                self.clock() - one.begun for one in self._compiling()[:1] if one.stage is stage
            )
            self.active = [one for one in self.active if one.stage is not stage]
            if not self.active:
                self._hide()

    def tick(self) -> None:
        """Show the stages as they are now, if it is time to."""
        with self._lock:
            now = self.clock()
            for one in self.active:
                one.note(now)
            if not self.active:
                return
            if self.bars:
                self._show(now)
            elif self._show_compiling(now):
                self.last_line = now
            elif now - self.last_line >= self._wait(now):
                self.last_line = now
                write_stderr(self._line(now))

    def close(self) -> None:
        """Remove the bars and end the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._hide()

    def _compiling(self) -> list[Timed]:
        """Stages of compilation; those within the first one are part of it."""
        return [one for one in self.active if one.stage.name == COMPILING]

    def _show_compiling(self, now: float) -> bool:
        """Show once that the first use takes longer, as soon as it does."""
        running = self._compiling()
        if self._compiling_is_shown or not running:
            return False
        seconds = self._compiled + now - running[0].begun
        if seconds < COMPILING_SECONDS:
            return False
        self._compiling_is_shown = True
        write_stderr(f"{COMPILING}: {duration(seconds)} so far")
        return True

    def _wait(self, now: float) -> float:
        """Seconds between lines; some more if all stages are young, so that there is a rate."""
        young = now - self.active[0].begun < YOUNG_SECONDS
        return LINE_SECONDS + (YOUNG_SECONDS if young else 0.0)

    def _line(self, now: float) -> str:
        """A line on the innermost stage that is not young, and the names of those within it."""
        old = [one for one in self.active if now - one.begun >= YOUNG_SECONDS]
        shown = (old or self.active)[-1]
        within = self.active[self.active.index(shown) + 1 :]
        names = ", ".join(one.stage.name for one in within)
        return shown.line(now) + (f" ({names})" if names else "")

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="danq-progress", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.25 if self.bars else 1.0):
            self.tick()

    def _show(self, now: float) -> None:
        if self._bar is None:
            if now - self.active[0].begun < BAR_SECONDS:
                return
            from .progress_bars import Bars

            self._bar = Bars()
        try:
            self._bar.show(self.active, now)
        except OSError:  # the terminal was closed
            self._bar, self.active = None, []

    def _hide(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            with suppress(OSError):
                bar.stop()


@contextmanager
def shown_progress(hidden: Callable[[], bool]) -> Iterator[None]:
    """Context in which stderr shows the progress of danq's functions, unless ``hidden()``."""
    display = Display(bars=_has_bars(), hidden=hidden)
    try:
        with watch_progress(display):
            yield
    finally:
        display.close()


def _has_bars() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
