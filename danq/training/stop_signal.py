"""SIGUSR1 asks a training to write a checkpoint and to end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

import torch
from torch import nn

from danq.errors import DanqError


class StopRequested(DanqError):
    """The validation ended because the training is to stop."""


class StopSignal:
    """A context manager in which SIGUSR1 only sets ``requested``.

    Outside of it, the signal does what it did before: it ends the process. In other threads than
    the main one, the context changes nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: object = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGUSR1, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._before is None:
            return
        signal.signal(signal.SIGUSR1, self._before)  # type: ignore[arg-type]
        self._before = None
        requested, self.requested = self.requested, False
        if requested and kind is None:
            # It came after the last moment at which the training can stop.
            signal.raise_signal(signal.SIGUSR1)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    @contextmanager
    def checked_in(self, module: nn.Module, device: torch.device) -> Iterator[None]:
        """Context in which calls of a module and its copies raise once the signal has come.

        Only on the CPU: on other devices, calls are short, and a module with hooks would be slower.

        Raises
        ------
        StopRequested
            When the signal has come.
        """
        if device.type != "cpu":
            yield
            return
        hook = module.register_forward_pre_hook(self._check)
        try:
            yield
        finally:
            hook.remove()

    def _check(self, *_: object) -> None:
        if self.requested:
            raise StopRequested("the training is to stop")
