"""How far long work has come: its stages report to a function that watches them.

Functions of danq that can take long need no argument for this. To show their progress, or to
end them early, call them inside `watch_progress`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

T = TypeVar("T")

COMPILING = "compiling kernels for this CPU, once"
"""Name of the stage in which a kernel is compiled."""


@dataclass(eq=False)
class Stage:
    """A part of the work of a function that can take long.

    Attributes
    ----------
    name
        What is done, such as "predicting".
    unit
        What is counted, in the plural; empty where nothing is counted.
    total
        Number of items; None if it is unknown.
    done
        Number of items that are done.
    first
        Number that was done before the stage began, as by a run that is resumed.
    detail
        Further text, such as the loss of a training; may be empty.
    """

    name: str
    unit: str = ""
    total: int | None = None
    done: int = 0
    first: int = 0
    detail: str = ""
    _watch: Watch | None = field(default=None, repr=False)

    def add(self, count: int = 1) -> None:
        """Report that further items are done."""
        self.done += count
        if self._watch is not None:
            self._watch(self, "step")

    def reach(self, done: int, total: int | None = None) -> None:
        """Report how many items are done, and how many there are if that is known only now."""
        if total is not None:
            self.total = total
        self.add(done - self.done)


Event: TypeAlias = Literal["begin", "step", "end"]
Watch: TypeAlias = Callable[[Stage, Event], None]
"""Called when a stage begins, when items of it are done, and when it ends."""

_watching: ContextVar[Watch | None] = ContextVar("_watching", default=None)


@contextmanager
def watch_progress(watch: Watch | None) -> Iterator[None]:
    """Context in which functions of danq report their progress.

    Stages may be nested: an epoch is a stage of a training. What ``watch`` raises at an event
    "step" ends the work, and is raised by the function that does it. Functions that run in another
    thread report only if the context is entered there.

    Parameters
    ----------
    watch
        Called with the `Stage` and the event "begin", "step" or "end"; called often, so it should
        return soon. None: nothing is reported.

    Examples
    --------
    >>> def show(stage, event):
    ...     print(stage.name, stage.done, stage.total, stage.unit)
    >>> with danq.watch_progress(show):  # doctest: +SKIP
    ...     danq.predict(model, sequences)
    """
    token = _watching.set(watch)
    try:
        yield
    finally:
        _watching.reset(token)


def is_watched() -> bool:
    """Whether stages report to a function; if not, their totals need not be computed."""
    return _watching.get() is not None


@contextmanager
def stage(name: str, unit: str = "", total: int | None = None, first: int = 0) -> Iterator[Stage]:
    """Context of a stage, which reports to the function of `watch_progress`, if there is one.

    Parameters
    ----------
    name, unit, total, first
        Attributes of the `Stage`.
    """
    watch = _watching.get()
    begun = Stage(name, unit, total, first, first, _watch=watch)
    if watch is None:
        yield begun
        return
    watch(begun, "begin")
    try:
        yield begun
    finally:
        watch(begun, "end")


def counted(items: Iterable[T], name: str, unit: str = "", total: int | None = None) -> Iterator[T]:
    """The items of an iterable, in a stage that counts those that the caller is done with.

    Parameters
    ----------
    items
        The items.
    name, unit
        Attributes of the `Stage`.
    total
        Number of items; None for the length of ``items``, if it has one.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with stage(name, unit, total) as now:
        for item in items:
            yield item
            now.add()
