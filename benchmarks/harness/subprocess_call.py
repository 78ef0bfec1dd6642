"""Make a call repeatedly in another process.

danq keeps freed memory while it computes (`danq._memory`), and torch's layers in the same process
would profit from it. The reference model therefore runs in a separate process.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import torch

from danq.device import set_threads


class SubprocessCall:
    """A call that runs in another process.

    Parameters
    ----------
    build
        Function of a module that returns the call.
    arguments
        Arguments of ``build``.
    """

    def __init__(self, build: Callable[..., Callable[[], Any]], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, build, arguments, torch.get_num_threads()), daemon=True
        )
        self._process.start()
        other.close()
        self._connection.recv()

    def __call__(self) -> None:
        """Make the call and wait until it returns."""
        self._connection.send(True)
        self._connection.recv()

    def close(self) -> None:
        """End the process."""
        self._connection.send(False)
        self._process.join()
        self._connection.close()


def _serve(
    connection: Connection, build: Callable[..., Callable[[], Any]], arguments: tuple, threads: int
) -> None:
    set_threads(threads)
    call = build(*arguments)
    connection.send("ready")
    while connection.recv():
        call()
        connection.send("done")
