"""A call in a process of its own.

danq keeps freed memory while it works (`danq._memory`), and what lies free in its process
afterwards would serve torch's layers too. The yardstick runs apart, and has what a script that
never saw danq has.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from danq.device import set_threads


class Apart:
    """A call that is built and made in another process.

    Parameters
    ----------
    build
        Function of a module, to be found there by its name, that returns the call.
    arguments
        What it is given.
    """

    def __init__(self, build: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, build, arguments, torch.get_num_threads()), daemon=True
        )
        self._process.start()
        other.close()
        self._end.recv()

    def __call__(self) -> None:
        """Make the call, and wait for its end."""
        self._end.send(True)
        self._end.recv()

    def close(self) -> None:
        """End the process."""
        self._end.send(False)
        self._process.join()
        self._end.close()


def _serve(
    end: Connection, build: Callable[..., Callable[[], Any]], arguments: tuple, threads: int
) -> None:
    set_threads(threads)
    call = build(*arguments)
    end.send("ready")
    while end.recv():
        call()
        end.send("done")
