"""Run a command in a process of its own, with a fault that strikes at a chosen moment.

A process is forked from one that has imported every module, which takes milliseconds. Its calls to
the file system are counted through Python's audit hooks, so that a fault can strike at each of
them.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import itertools
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT = 60.0
"""Seconds after which a process counts as hanging."""

KILL, TERMINATE, INTERRUPT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
STOPPING = (TERMINATE, INTERRUPT)

REMOVALS = {"os.remove", "os.rmdir"}
CHANGES = REMOVALS | {"os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
"""Audit events that change a folder; opening a file is another one."""

Act = Callable[[int, str], None]


class Calls:
    """Counts calls to the file system within a folder, and acts at one of them.

    Parameters
    ----------
    act
        Called with the number of each call, from 1, and its audit event.
    reading
        Whether opening a file for reading counts; else only changes count.
    """

    def __init__(self, folder: Path, act: Act, *, reading: bool = True) -> None:
        self.folder, self.act, self.reading = str(folder), act, reading
        self.count = self.changes = 0
        self.acting = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.acting or not (event == "open" or event in CHANGES):
            return
        path = args[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.fsdecode(path)
        if os.path.isabs(name) and not name.startswith(self.folder):
            return
        flags = args[2] if event == "open" and len(args) > 2 and args[2] is not None else 0
        changing = event != "open" or bool(flags & (os.O_WRONLY | os.O_RDWR))
        self.changes += changing
        if not (self.reading or changing):
            return
        self.count += 1
        self.acting = True
        try:
            self.act(self.count, event)
        finally:
            self.acting = False


@dataclass
class Fault:
    """What happens to a process.

    Attributes
    ----------
    kind
        Name of the fault.
    strike
        Called in the process before the command runs.
    signal, after
        Signal that the process receives, and the number of seconds after its start.
    inputs
        Inputs that are replaced before the command runs.
    changing
        Inputs that may be replaced while the command runs, and by what.
    writers
        Number of processes that run the same command at once.
    lasting
        Whether the process may be unable to remove its own files.
    unreadable
        Whether a file or a folder cannot be opened. Only the next run can remove such a folder.
    space
        Free bytes on the disk; None for no limit.
    """

    kind: str
    strike: Callable[[Path], None] = lambda folder: None
    signal: int | None = None
    after: float = 0.0
    inputs: Mapping[str, bytes] = field(default_factory=dict)
    changing: Mapping[str, bytes] = field(default_factory=dict)
    writers: int = 1
    lasting: bool = False
    unreadable: bool = False
    space: int | None = None


@dataclass(frozen=True)
class End:
    """How a process ended: exit code, minus the signal, or None if it did not end."""

    code: int | None
    text: str
    seconds: float
    stopping: float = 0.0
    """Seconds from the signal to the end."""


def import_everything() -> None:
    """Import every module of danq and the commands, without running anything."""
    import danq
    import danq_cli

    for package in (danq, danq_cli):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)
    for name in ("lightning", "matplotlib.pyplot", "sklearn.ensemble", "onnx", "onnxruntime"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    import numba

    # Loads numba's tables of types, which takes most of the time of a small command.
    numba.njit(lambda x: x + 1)(1)


@dataclass
class Started:
    """A process that runs, and the end of the pipe into which it prints."""

    number: int
    output: int
    text: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        """Take what the process has printed so far."""
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.output, 1 << 16):
                self.text += part


def start(words: list[str], folder: Path, fault: Fault) -> Started:
    """Fork a process that runs a command in a folder."""
    # A pipe, because a limit on the size of files would also hold for a file.
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    # A signal before the handlers are installed waits for them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    number = os.fork()
    if number:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        return Started(number, reader)
    code = 70
    try:
        os.setsid()
        os.chdir(folder)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        from danq_cli import main as cli
        from danq_cli.signals import exit_code, install, received, uninstall

        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        install()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        fault.strike(folder)
        code = cli.run(words)
        uninstall()
        sys.stdout.flush()
    except KeyboardInterrupt:
        # As `danq_cli.main.main`: the signal came before or after the command.
        code = exit_code(received() or signal.SIGINT)
    finally:
        os._exit(code)


def wait(started: Started, fault: Fault) -> End:
    """Wait for a process, and send it the signal of a fault."""
    number = started.number
    begun = time.monotonic()
    sent = None
    code: int | None = None
    while time.monotonic() - begun < LIMIT:
        done, status = os.waitpid(number, os.WNOHANG)
        now = time.monotonic() - begun
        started.read()
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        if fault.signal is not None and sent is None and now >= fault.after:
            sent = now
            os.kill(number, fault.signal)
        time.sleep(0.002)
    seconds = time.monotonic() - begun
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(number, signal.SIGKILL)
    if code is None:
        os.waitpid(number, 0)
    os.close(started.output)
    text = started.text.decode(errors="replace")
    return End(code, text, seconds, 0.0 if sent is None else seconds - sent)


def run(words: list[str], folder: Path, fault: Fault) -> End:
    """Run a command with a fault."""
    return wait(start(words, folder, fault), fault)


# The faults. ``at`` is the number of a call to the file system.


def _install(act: Act, *, reading: bool = True) -> Callable[[Path], None]:
    return lambda folder: sys.addaudithook(Calls(folder, act, reading=reading))


def signalled(kind: str, number: int, at: int) -> Fault:
    """A signal at a call to the file system."""

    def act(count: int, event: str) -> None:
        if count == at:
            os.kill(os.getpid(), number)

    return Fault(kind, _install(act))


def refused(kind: str, error: int, at: int, *, lasting: bool = False) -> Fault:
    """An error of the operating system at one change of the file system, or from then on.

    On a full disk, files can still be removed, and renamed unless the fault strikes just then.
    """

    def act(count: int, event: str) -> None:
        if error != NO_PERMISSION and event in REMOVALS:
            return
        further = error == NO_PERMISSION or event != "os.rename"
        if count == at or (lasting and count > at and further):
            raise OSError(error, os.strerror(error))

    return Fault(kind, _install(act, reading=False), lasting=error == NO_PERMISSION)


def unreadable(kind: str, error: int, at: int) -> Fault:
    """A file that cannot be opened."""

    def act(count: int, event: str) -> None:
        if count == at and event == "open":
            raise OSError(error, os.strerror(error))

    return Fault(kind, _install(act), unreadable=True)


def full(size: int) -> Fault:
    """No file may become larger than a number of bytes."""

    def strike(folder: Path) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return Fault("file size limit", strike)


def changed(name: str, at: int, new: bytes) -> Fault:
    """An input is written over at a call to the file system."""

    def strike(folder: Path) -> None:
        def act(count: int, event: str) -> None:
            if count == at:
                (folder / name).write_bytes(new)

        sys.addaudithook(Calls(folder, act))

    return Fault("input changed", strike, changing={name: new})


def stepped(step: float) -> Fault:
    """The clock jumps back and forth at each reading."""

    def strike(folder: Path) -> None:
        true, signs = time.time, itertools.cycle((1, -1, 3, -2))
        time.time = lambda: true() + step * next(signs)

    return Fault("clock steps", strike)


def counted(into: Path) -> Fault:
    """No fault; the numbers of calls to the file system and of changes are written to a file."""

    def strike(folder: Path) -> None:
        calls = Calls(folder, lambda count, event: None)
        sys.addaudithook(calls)
        leave = os._exit

        def note(code: int) -> None:
            calls.acting = True
            into.write_text(f"{calls.count} {calls.changes}")
            leave(code)

        os._exit = note  # type: ignore[assignment]

    return Fault("none", strike)


def mount(folder: Path, size: int, flags: int = 0) -> None:
    """Mount a file system in memory of a number of bytes on a folder.

    Raises
    ------
    OSError
        When this process may not mount.
    """
    options = f"size={size}".encode()
    if _libc.mount(b"none", os.fsencode(folder), b"tmpfs", flags, options):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def enlarge(folder: Path) -> None:
    """Give the file system in memory enough space."""
    mount(folder, 1 << 30, MS_REMOUNT)


def unmount(folder: Path) -> None:
    """Unmount what `mount` mounted, if anything."""
    _libc.umount2(os.fsencode(folder), MNT_DETACH)


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder), 1 << 20)
        except OSError:
            return False
        unmount(Path(folder))
    return True


_libc = ctypes.CDLL(None, use_errno=True)
MS_REMOUNT, MNT_DETACH = 32, 2
NO_SPACE, QUOTA, NO_PERMISSION, BAD_DISK = errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EIO
