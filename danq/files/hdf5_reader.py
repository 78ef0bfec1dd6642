"""The processes that read HDF5 files for this one, so that no file can crash or stop it."""

from __future__ import annotations

import atexit
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from danq.files import hdf5_process
from danq.files.hdf5_process import receive, send

SECONDS = 2
"""Computing time that HDF5 may take for a request."""

RATE = 5_000_000
"""Bytes of values that HDF5 reads at least in a second of computing."""

MEMORY = 1 << 29
"""Bytes of memory that HDF5 may take for a request, in addition to the values."""

_CODE = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)
_KEPT = 3


class Refused(Exception):
    """HDF5 cannot read a file; the text says why."""


class FileLocked(Refused):
    """Another process is writing the file."""


class WrongContent(Refused):
    """The file is HDF5, but has not the content that was asked for."""


class Hdf5Reader:
    """A process that reads one HDF5 file at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", _CODE, hdf5_process.__file__]
            self._process = subprocess.Popen(
                [*command, json.dumps(sys.path)],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self._lock = threading.Lock()
        self.usable = True

    def ask(
        self, do: str, /, *, values: int = 0, descriptor: int | None = None, **request: object
    ) -> Any:
        """Send a request, and wait for its answer.

        Parameters
        ----------
        do
            A method of `danq.files.hdf5_process.Server`.
        values
            Bytes of values that HDF5 reads from the file for it.
        descriptor
            A file that is sent with the request.
        request
            Arguments of the method.

        Raises
        ------
        Refused
            When the library cannot read the file; crashes, takes more than `SECONDS` and the time
            for the values at `RATE`, or takes more memory than the values and `MEMORY`.
        """
        seconds = SECONDS + values // RATE
        message = {"do": do, "seconds": seconds, "bytes": 3 * values + MEMORY, **request}
        with self._lock:
            if not self.usable:
                raise Refused("its reader has ended")
            try:
                send(self._ours, message, descriptor)
                answer, _ = receive(self._ours)
            except (OSError, EOFError):
                raise Refused(self._reason(seconds)) from None
            except BaseException:
                # The answer that still comes would be taken for that of the next request.
                self.end()
                raise
        problem = answer.get("problem", "").partition("\n")[0][:200]
        match answer.get("error"):
            case None:
                return answer["answer"]
            case "locked":
                raise FileLocked
            case "memory":
                raise Refused(f"more than {message['bytes'] >> 20:,} MiB of memory are needed")
            case "library":
                raise Refused(problem)
            case _:
                raise WrongContent(problem)

    def read(
        self, name: str, selection: list[tuple[int, int]], dtype: np.dtype, covered: int
    ) -> np.ndarray:
        """Read a part of an array, not empty; ``covered`` is the bytes of the chunks with it.

        Raises
        ------
        Refused
            As `ask`.
        """
        shape = [stop - start for start, stop in selection]
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        with _memory(size) as descriptor:
            self.ask(
                "read",
                values=max(size, covered),
                descriptor=descriptor,
                name=name,
                selection=selection,
            )
            shared = mmap.mmap(descriptor, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        return np.frombuffer(shared, dtype).reshape(shape)

    def end(self) -> None:
        """End the process."""
        if self.usable:
            self.usable = False
            self._ours.close()
            self._process.kill()
            self._process.wait()

    def forget(self) -> None:
        """Leave the process to the one that started it, of which this one is a fork."""
        self.usable = False
        self._ours.close()
        self._process.returncode = 0

    def _reason(self, seconds: int) -> str:
        self.usable = False
        self._ours.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"HDF5 does not finish within {seconds} seconds of computing"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"HDF5 crashes ({name})"


_idle: list[Hdf5Reader] = []
_all: list[Hdf5Reader] = []
_guard = threading.Lock()


def start_reader() -> None:
    """Start a process that will be needed soon, unless one is idle."""
    with _guard:
        if not _idle:
            _idle.append(_new())


@contextmanager
def borrowed_reader() -> Iterator[Hdf5Reader]:
    """A process for one file; it is kept for the next file afterwards."""
    with _guard:
        reader = _idle.pop() if _idle else _new()
    try:
        yield reader
    finally:
        _give_back(reader)


def _give_back(reader: Hdf5Reader) -> None:
    """Keep a process for the next file, or end it."""
    closed = False
    try:
        with suppress(Refused):
            reader.ask("close")
            closed = True
    finally:
        with _guard:
            if closed and len(_idle) < _KEPT:
                _idle.append(reader)
            else:
                reader.end()
                if reader in _all:
                    _all.remove(reader)


def _new() -> Hdf5Reader:
    reader = Hdf5Reader()
    _all.append(reader)
    return reader


@contextmanager
def _memory(size: int) -> Iterator[int]:
    """Descriptor of new memory that another process can map."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("danq")
    else:
        with tempfile.TemporaryFile(prefix="danq-") as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, size)
        yield descriptor
    finally:
        os.close(descriptor)


def _end_all() -> None:
    while _all:
        _all.pop().end()


def _forget_all() -> None:
    global _guard
    _guard = threading.Lock()
    _idle.clear()
    while _all:
        _all.pop().forget()


atexit.register(_end_all)
os.register_at_fork(after_in_child=_forget_all)
