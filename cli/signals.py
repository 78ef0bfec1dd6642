"""SIGINT and SIGTERM end a command within seconds, also where Python cannot react to them.

Python runs a signal handler only in the main thread, between two instructions. While the main
thread is inside a library, such as a search in compiled code, the handler waits. A second thread
therefore ends the process if it still runs some seconds after the signal.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

GRACE = 4.0
"""Seconds after which the process ends without further cleanup."""

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""Signals that end a command, and what it then reports."""

_IMPORT = "<frozen importlib._bootstrap>"
"""File of the frames that import a module."""

_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM: the command ends as after Ctrl-C, and leaves no partial file."""


def install() -> None:
    """Install the handlers; a signal that the parent process chose to ignore stays ignored."""
    defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    caught = [number for number in NAMES if signal.getsignal(number) == defaults[number]]
    for number in caught:
        signal.signal(number, _stop)
    if caught:
        begin, end = os.pipe()
        os.set_blocking(end, False)
        # The interpreter writes the number of each signal here at once, from any thread.
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=_watch, args=(begin,), name="danq-signals", daemon=True).start()


def received() -> int | None:
    """The first signal that ends the command, or None."""
    return _received[0] if _received else None


def ignore_further() -> None:
    """Ignore signals after the first, also while the interpreter ends, where no handler runs."""
    for number in NAMES if _received else ():
        signal.signal(number, signal.SIG_IGN)


def exit_code(number: int) -> int:
    """Exit code of a command that a signal ended, as shells report it."""
    return 128 + number


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    if _received:
        return
    _received.append(number)
    while frame is not None:
        # An exception inside the initialization of a compiled module can abort the process.
        if frame.f_code.co_filename == _IMPORT:
            _end(number)
        frame = frame.f_back
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def _watch(pipe: int) -> None:
    while True:
        for number in os.read(pipe, 64):
            if number in NAMES:
                time.sleep(GRACE)
                _end(number)


def _end(number: int) -> None:
    """End the process and its children; remove its temporary files."""
    try:
        for child in _children():
            with suppress(OSError):
                os.kill(child, signal.SIGTERM)
        _remove_temporary_files()
        os.write(2, f"danq: {NAMES[signal.Signals(number)]}\n".encode())
    finally:
        os._exit(exit_code(number))


def _children() -> list[int]:
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found


def _remove_temporary_files() -> None:
    """Remove outputs that are incomplete, which the process has open under a temporary name."""
    from danq.files.pipes import remove_copies
    from danq.output import is_leftover

    remove_copies()
    for link in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            path = Path(os.readlink(link))
            if is_leftover(path) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif is_leftover(path):
                path.unlink()
