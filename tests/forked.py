"""Run a function in a process of its own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def in_process(function: Callable[[], R]) -> R:
    """Result of a function that runs in a forked process; what it prints is dropped.

    A process that has started the threads of a library cannot fork safely any more.
    """
    reader, writer = os.pipe()
    number = os.fork()
    if not number:
        try:
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            with os.fdopen(writer, "wb") as target:
                pickle.dump(function(), target)
            os._exit(0)
        finally:
            os._exit(70)
    os.close(writer)
    with os.fdopen(reader, "rb") as source:
        content = source.read()
    _, status = os.waitpid(number, 0)
    if status:
        raise RuntimeError(f"the process ended with {os.waitstatus_to_exitcode(status)}")
    return pickle.loads(content)
