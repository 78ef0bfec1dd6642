"""Processes that this one starts, and keeps for later work."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Generic, Protocol, TypeVar


class KeptProcess(Protocol):
    """One process, or several that work together."""

    def end(self) -> None:
        """End it."""

    def forget(self) -> None:
        """Leave it to the process that started it, of which this one is a fork."""


P = TypeVar("P", bound=KeptProcess)


class KeptProcesses(Generic[P]):
    """Processes that end with this one. A fork of this process leaves them alone.

    Attributes
    ----------
    idle
        Those that wait for work.
    guard
        Lock for changes of ``idle``, and for `add` and `end`.
    """

    def __init__(self) -> None:
        self.idle: list[P] = []
        self.guard = threading.Lock()
        self._all: list[P] = []
        atexit.register(self.end_all)
        os.register_at_fork(after_in_child=self._forget_all)

    def add(self, process: P) -> P:
        """Note a process that was started."""
        self._all.append(process)
        return process

    def end(self, process: P) -> None:
        """End a process that is not idle."""
        process.end()
        if process in self._all:
            self._all.remove(process)

    def end_all(self) -> None:
        """End all processes."""
        self.idle.clear()
        while self._all:
            self._all.pop().end()

    def _forget_all(self) -> None:
        # Another thread may have held the lock when this process was made.
        self.guard = threading.Lock()
        self.idle.clear()
        while self._all:
            self._all.pop().forget()
