"""Processes that a training starts on its own node, and what ends with what."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from danq.errors import InputError
from danq.training.process_layout import PARENT, ProcessLayout

GRACE = 4.0
"""Seconds in which a process can still end normally after another one has ended."""

POLL = 0.3
"""Seconds between two looks at other processes."""

EXIT_STOPPED = 75
"""Exit code of a process that ended because a signal asked it to stop (EX_TEMPFAIL)."""


class ChildProcesses:
    """The other processes of a training on this node, which run the command line of this one.

    When one of them fails, this process ends. When this process ends, they end.

    Parameters
    ----------
    layout
        The processes of the training; this one is the first on its node.
    address
        Variables with the address of the first process.

    Raises
    ------
    InputError
        When this process runs no script or command that others could repeat.
    """

    def __init__(self, layout: ProcessLayout, address: Mapping[str, str]) -> None:
        if hasattr(sys, "ps1") or sys.argv[0] in ("", "-"):
            raise InputError(
                "several processes run the same script or command, but this one is interactive",
                remedy="Train with one process, or start the training as a script or a command",
            )
        self.layout = layout
        self._ending = threading.Event()
        self._processes = {}
        for local in range(1, layout.local_world):
            variables = {
                "RANK": layout.rank + local,
                "WORLD_SIZE": layout.world,
                "LOCAL_RANK": local,
                "LOCAL_WORLD_SIZE": layout.local_world,
                PARENT: os.getpid(),
                # At the end of the first process, torch would show its own stack.
                "TORCH_CPP_LOG_LEVEL": os.environ.get("TORCH_CPP_LOG_LEVEL", "ERROR"),
            }
            environment = os.environ | address | {n: str(v) for n, v in variables.items()}
            # The command line as Python got it: also with -m and -c.
            command = [sys.executable, *sys.orig_argv[1:]]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
            self._processes[layout.rank + local] = process
        atexit.register(self._end)
        threading.Thread(target=self._watch, name="danq-processes", daemon=True).start()

    def describe_failure(self, seconds: float = 0.0) -> str | None:
        """Which process failed, and how; None if none did within some seconds."""
        limit = time.monotonic() + seconds
        while True:
            for rank, code in self._codes().items():
                if code:
                    how = f"ended with exit code {code}"
                    if code < 0:
                        how = f"was killed by signal {-code} ({signal.Signals(-code).name})"
                    return f"process {rank + 1} of {self.layout.world} {how}"
            if time.monotonic() >= limit:
                return None
            time.sleep(0.05)

    def stop(self, *, wait: bool) -> None:
        """End the processes, which write no files.

        Parameters
        ----------
        wait
            Whether one of them is about to show an error, and first gets the time for that.
        """
        self._ending.set()
        limit = time.monotonic() + (GRACE if wait else 0.0)
        while time.monotonic() < limit and None in self._codes().values():
            time.sleep(0.05)
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        self._wait(1.0)

    def _end(self) -> None:
        """At the end of this process: the others end by themselves."""
        self._ending.set()
        self._wait(5 * GRACE)

    def _wait(self, seconds: float) -> None:
        limit = time.monotonic() + seconds
        for process in self._processes.values():
            try:
                process.wait(max(0.0, limit - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _codes(self) -> dict[int, int | None]:
        return {rank: process.poll() for rank, process in self._processes.items()}

    def _watch(self) -> None:
        while not self._ending.wait(POLL):
            codes = [code for code in self._codes().values() if code]
            if EXIT_STOPPED in codes:
                os.kill(os.getpid(), signal.SIGUSR1)
                return
            if codes:
                end_soon(self.describe_failure, self._ending)
                return


def watch_parent() -> None:
    """End this process soon after the one that started it has ended."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(POLL)
        first = os.environ.get("LOCAL_RANK") == "1"
        end_soon(lambda: "the first process of the training has ended" if first else None)

    threading.Thread(target=watch, name="danq-parent", daemon=True).start()


def end_soon(describe: Callable[[], str | None], ending: threading.Event | None = None) -> None:
    """End this process where its main thread does not, as inside a library, and say why."""
    if (ending or threading.Event()).wait(GRACE):
        return
    text = describe()
    if text is not None:
        os.write(2, f"error: {text}; resume the training to go on\n".encode())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(3 * GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
