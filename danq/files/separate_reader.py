"""The processes that read HDF5 and Parquet files for this one: no file can crash or stop it."""

from __future__ import annotations

import json
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import numpy as np

from danq.files import reading_process
from danq.files.kept_processes import KeptProcesses
from danq.files.reading_process import receive, send

SECONDS = 2
"""Computing time that a library may take for a request."""

RATE = 5_000_000
"""Bytes of values that a library reads at least in a second of computing."""

PIECE = 1 << 25
"""Bytes that are read at once, rounded to the chunks of the file."""

MEMORY = 1 << 29
"""Bytes of memory that a library may take for a request, in addition to the values."""

_CODE = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "runpy.run_path(sys.argv[1], run_name='__main__')"
)
_KEPT = 3

Selection = Sequence[tuple[int, int]]


class Refused(Exception):
    """A library cannot read a file; the text says why."""


class FileLocked(Refused):
    """Another process is writing the file."""


class WrongContent(Refused):
    """The file is HDF5, but has not the content that was asked for."""


class SeparateReader:
    """A process that reads one file at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", _CODE, reading_process.__file__]
            self._process = subprocess.Popen(
                [*command, json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "RUST_BACKTRACE": "0"},
            )
        self._lock = threading.Lock()
        self._shared: mmap.mmap | None = None
        self._waiting = self._seconds = self._most = 0
        self.usable = True

    def ask(
        self, do: str, /, *, values: int = 0, descriptor: int | None = None, **request: object
    ) -> Any:
        """Send a request, and wait for its answer.

        Parameters
        ----------
        do
            A method of `danq.files.reading_process.Server`.
        values
            Bytes of values that the library reads from the file for it.
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
        with self._lock:
            self._send(do, values, descriptor, **request)
            return self._receive()

    def read(
        self, name: str, selection: Selection, dtype: np.dtype, chunk: Sequence[int]
    ) -> np.ndarray:
        """Read a part of an array.

        The process reads each piece while this one copies the piece before it.

        Parameters
        ----------
        name
            Path of the array.
        selection
            First index of each axis, and the index after the last; none is empty.
        dtype
            Type of the array.
        chunk
            Sizes of what HDF5 reads at once.

        Raises
        ------
        Refused
            As `ask`.
        """
        shape = [stop - start for start, stop in selection]
        out = np.empty(shape, dtype)
        flat = out.reshape(shape or 1)
        (first, last), *others = selection or [(0, 1)]
        rows, *widths = chunk or [1]
        line = flat[0].nbytes
        covered = dtype.itemsize * math.prod(
            (-(-stop // width) - start // width) * width
            for (start, stop), width in zip(others, widths, strict=True)
        )
        step = max(1, PIECE // max(1, line) // rows) * rows
        # The first piece ends where a chunk ends.
        cuts = [first, *range(first - first % rows + step, last, step), last]
        pieces = list(pairwise(cut - first for cut in cuts))
        room = _rounded(line * max(stop - start for start, stop in pieces))
        with self._lock:
            shared = self._memory(2 * room)
            for number, (start, stop) in enumerate([*pieces, (0, 0)]):
                if start < stop:
                    part = [(first + start, first + stop), *others] if selection else []
                    self._send(
                        "read",
                        covered * (stop - start + 2 * rows),
                        name=name,
                        selection=part,
                        offset=number % 2 * room,
                    )
                if number:
                    self._receive()
                    start, stop = pieces[number - 1]
                    found = np.frombuffer(
                        shared, dtype, flat[start:stop].size, (number + 1) % 2 * room
                    )
                    flat[start:stop] = found.reshape(flat[start:stop].shape)
        return out

    def _memory(self, size: int) -> mmap.mmap:
        """Memory that is shared with the process, at least of a size."""
        if self._shared is None or len(self._shared) < size:
            with new_memory(size) as descriptor:
                self._send("share", 0, descriptor, size=size)
                self._receive()
                self._shared = mmap.mmap(descriptor, size)
        return self._shared

    def _send(self, do: str, values: int, descriptor: int | None = None, **request: object) -> None:
        if not self.usable:
            raise Refused("its reader has ended")
        self._seconds = SECONDS + values // RATE
        self._most = 3 * values + MEMORY
        message = {"do": do, "seconds": self._seconds, "bytes": self._most, **request}
        self._waiting += 1
        try:
            send(self._ours, message, descriptor)
        except OSError:
            raise Refused(self._reason()) from None
        except BaseException:
            self.end()
            raise

    def _receive(self) -> Any:
        try:
            answer, _ = receive(self._ours)
        except (OSError, EOFError):
            raise Refused(self._reason()) from None
        except BaseException:
            # The answer that still comes would be taken for that of the next request.
            self.end()
            raise
        self._waiting -= 1
        if "error" in answer and self._waiting:
            self.end()
        problem = answer.get("problem", "").partition("\n")[0][:200]
        match answer.get("error"):
            case None:
                return answer["answer"]
            case "locked":
                raise FileLocked
            case "memory":
                raise Refused(f"more than {self._most >> 20:,} MiB of memory are needed")
            case "library":
                raise Refused(problem)
            case _:
                raise WrongContent(problem)

    @property
    def keeps_little(self) -> bool:
        """Whether the memory that it shares has the usual size."""
        return self._shared is None or len(self._shared) <= 2 * PIECE

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

    def _reason(self) -> str:
        self.usable = False
        self._ours.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return f"the library does not finish within {self._seconds} seconds of computing"
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the library crashes ({name})"


def _rounded(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


_kept = KeptProcesses[SeparateReader]()


def start_reader() -> None:
    """Start a process that will be needed soon, unless one is idle."""
    with _kept.guard:
        if not _kept.idle:
            _kept.idle.append(_kept.add(SeparateReader()))


@contextmanager
def borrowed_reader() -> Iterator[SeparateReader]:
    """A process for one file; it is kept for the next file afterwards."""
    with _kept.guard:
        reader = _kept.idle.pop() if _kept.idle else _kept.add(SeparateReader())
    try:
        yield reader
    finally:
        _give_back(reader)


def _give_back(reader: SeparateReader) -> None:
    """Keep a process for the next file, or end it."""
    closed = False
    try:
        with suppress(Refused):
            reader.ask("close")
            closed = reader.keeps_little
    finally:
        with _kept.guard:
            if closed and len(_kept.idle) < _KEPT:
                _kept.idle.append(reader)
            else:
                _kept.end(reader)


@contextmanager
def new_memory(size: int = 0) -> Iterator[int]:
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
