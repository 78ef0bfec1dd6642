"""SIGINT, SIGTERM and SIGUSR1 end a command within seconds, also where Python cannot react to them.

Schedulers such as SLURM send SIGUSR1 before the time of a job ends. Its exit code, 75, says that
the command can be started again. A training replaces its handler, to write a checkpoint first.

Python runs a signal handler only in the main thread, between two instructions. While the main
thread is inside a library, such as a search in compiled code, the handler waits. A second thread
therefore ends the process if it still runs some seconds after the signal.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

GRACE = 4.0
"""Seconds after which the process ends without further cleanup."""

NAMES = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGUSR1: "stopped by SIGUSR1",
}
"""Signals that end a command, and what it then reports."""

EXIT_STOPPED = 75
"""Exit code of a command that SIGUSR1 stopped: EX_TEMPFAIL of sysexits.h."""

_UNSAFE = re.compile(
    r"<frozen importlib\._bootstrap>:.*"
    r"|.*/site-packages/(llvmlite|numba)/.*"
    r"|.*/danq/datasets/hdf5_writer\.py:(write|truncate|readinto)"
)
"""Files and functions in which an exception can end the process with a segmentation fault.

The initialization of compiled modules; llvmlite, which frees an object of LLVM a second time if its
first release did not return; and functions that HDF5 calls, because it fails when it closes a file
after an error in one of them.
"""

_received: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGUSR1: the command ends as after Ctrl-C, and leaves no partial file."""


def install() -> None:
    """Install the handlers; a signal that the parent process chose to ignore stays ignored."""
    usual = {signal.SIGINT: signal.default_int_handler}
    caught = [n for n in NAMES if signal.getsignal(n) == usual.get(n, signal.SIG_DFL)]
    for number in caught:
        signal.signal(number, _stop)
    if caught:
        begin, end = os.pipe()
        os.set_blocking(end, False)
        # The interpreter writes the number of each signal here at once, from any thread.
        signal.set_wakeup_fd(end, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
        threading.Thread(target=_watch, args=(begin,), name="danq-signals", daemon=True).start()
        sys.unraisablehook = _unraisable


def received() -> int | None:
    """The first signal that ends the command, or None."""
    return _received[0] if _received else None


def uninstall() -> None:
    """After the command, a first signal ends the process at once; further ones are ignored."""
    for number in NAMES:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_IGN if _received else signal.SIG_DFL)


def exit_code(number: int) -> int:
    """Exit code of a command that a signal ended: 75 for SIGUSR1, else as shells report it."""
    return EXIT_STOPPED if number == signal.SIGUSR1 else 128 + number


def is_silent() -> bool:
    """Whether another process, which got the same signal, shows a message for this one."""
    if os.environ.get("DANQ_PARENT_PROCESS") == str(os.getppid()):
        return True
    return "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("LOCAL_RANK", "0") != "0"


def _stop(number: int, frame: FrameType | None) -> None:
    # A second signal must not interrupt the cleanup.
    if _received:
        return
    _received.append(number)
    while frame is not None:
        if _UNSAFE.fullmatch(f"{frame.f_code.co_filename}:{frame.f_code.co_name}"):
            _end(number)
        frame = frame.f_back
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated


def _unraisable(error: sys.UnraisableHookArgs) -> None:
    """End the process if an interrupt came where no exception can be raised, as in a callback."""
    if not _received:
        sys.__unraisablehook__(error)
    elif isinstance(error.exc_value, KeyboardInterrupt):
        _end(_received[0])
    # Others, after a signal, come from what the interrupt left half done.


def _watch(pipe: int) -> None:
    while True:
        for number in os.read(pipe, 64):
            # A training that reacts to SIGUSR1 itself has another handler.
            if number in NAMES and signal.getsignal(number) is _stop:
                time.sleep(GRACE)
                _end(number)


def _end(number: int) -> None:
    """End the process and its children; remove its temporary files."""
    try:
        for child in _children():
            with suppress(OSError):
                os.kill(child, signal.SIGTERM)
        _remove_temporary_files()
        if getattr(sys.modules.get("danq_cli.progress_bars"), "shown", None):
            os.write(2, b"\r\x1b[K\x1b[?25h")  # bars hide the cursor
        if not is_silent():
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
    # Nothing is imported here, because the signal may have come during an import. A module that is
    # not complete has written nothing.
    remove_copies = getattr(sys.modules.get("danq.files.pipes"), "remove_copies", None)
    is_leftover = getattr(sys.modules.get("danq.output.temporary_names"), "is_leftover", None)
    if remove_copies is not None:
        remove_copies()
    if is_leftover is None:
        return
    for link in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            path = Path(os.readlink(link))
            if is_leftover(path) and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif is_leftover(path):
                path.unlink()
