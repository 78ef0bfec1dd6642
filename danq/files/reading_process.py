"""Read HDF5 and Parquet files on behalf of another process.

Their libraries can crash, or run forever, on files that are damaged or made to deceive. This module
is the program of the process that opens them. It imports nothing of danq. Requests and answers are
JSON on standard input, which is a socket; values are written to memory that the other process
shares with each request.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py
import numpy as np

MOST_OBJECTS = 10_000
"""Largest number of arrays and groups of a file."""

_LOCKED = "unable to lock file"
_ROWS = 256
"""Texts read at once."""

Message = dict[str, Any]


class Locked(Exception):
    """Another process is writing the file."""


def send(connection: socket.socket, message: Message, descriptor: int | None = None) -> None:
    """Send a message, and the descriptor of an open file."""
    data = json.dumps(message).encode()
    length = struct.pack("<Q", len(data))
    if descriptor is None:
        connection.sendall(length)
    else:
        socket.send_fds(connection, [length], [descriptor])
    connection.sendall(data)


def receive(connection: socket.socket) -> tuple[Message, int | None]:
    """Wait for a message, and the descriptor that came with it.

    Raises
    ------
    EOFError
        When the other process has closed the connection.
    """
    head, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
    head += _exactly(connection, 8 - len(head))
    data = _exactly(connection, struct.unpack("<Q", head)[0])
    return json.loads(data), descriptors[0] if descriptors else None


def _exactly(connection: socket.socket, size: int) -> bytearray:
    out = bytearray(size)
    view, done = memoryview(out), 0
    while done < size:
        count = connection.recv_into(view[done:])
        if not count:
            raise EOFError
        done += count
    return out


class Server:
    """One open file, and the answers to requests about it."""

    def __init__(self) -> None:
        self.file: h5py.File | None = None
        self.size = 0
        self.shared: mmap.mmap | None = None

    def answer(self, request: Message, descriptor: int | None) -> Any:
        """Answer a request; its ``do`` is the name of a method.

        Raises
        ------
        Locked
            When another process is writing the file.
        Exception
            Any error of the library.
        """
        _limit(request["seconds"], request["bytes"])
        values = {key: request[key] for key in request.keys() - {"do", "seconds", "bytes"}}
        if descriptor is not None:
            values["descriptor"] = descriptor
        return getattr(self, f"do_{request['do']}")(**values)

    def do_open(self, path: str) -> None:
        """Open a file, without a lock where the file system refuses locks."""
        self.do_close()
        self.size = os.stat(path).st_size
        self.file = open_unlocked(path)

    def do_close(self) -> None:
        """Close the file."""
        file, self.file = self.file, None
        if file is not None:
            file.close()

    def do_attributes(self, name: str) -> dict[str, Any] | None:
        """Whole numbers, numbers and texts; None for others. None if there is no such group."""
        found = self._find(name)
        if found is None:
            return None
        return {key: _plain(value) for key, value in found.attrs.items()}

    def do_describe(self, name: str) -> Message | None:
        """Shape, type and storage of an array; None if there is none of this name."""
        found = self._find(name)
        return _description(found) if isinstance(found, h5py.Dataset) else None

    def do_list(self) -> dict[str, Message]:
        """Descriptions of all arrays by their names."""
        return {
            name: _description(item)
            for name, item in walk(self._open)
            if isinstance(item, h5py.Dataset)
        }

    def do_share(self, size: int, descriptor: int) -> None:
        """Use memory for the values of further requests."""
        self.shared = mmap.mmap(descriptor, size)

    def do_read(self, name: str, selection: list[list[int]], offset: int) -> None:
        """Read a part of an array into the shared memory."""
        array = self._array(name)
        parts = tuple(slice(*part) for part in selection)
        shape = [part.stop - part.start for part in parts]
        assert self.shared is not None
        out = np.frombuffer(self.shared, array.dtype, math.prod(shape), offset)
        array.read_direct(out.reshape(shape), parts or None)

    def do_texts(self, name: str) -> list[str]:
        """Read a list of texts; they have no more bytes than the file and the list."""
        array = self._array(name)
        most, texts, total = self.size + array.nbytes, array.asstr(), 0
        found: list[str] = []
        for first in range(0, len(array), _ROWS):
            part = list(texts[first : first + _ROWS])
            total += sum(map(len, part))
            if total > most:
                raise ValueError(f"the texts of {name} are longer than the file")
            found += part
        return found

    def do_parquet(self, path: str, descriptor: int, rows: int | None) -> None:
        """Write the first rows of a Parquet file, or all, to a file in Arrow's format."""
        import polars as pl  # few readers need it

        try:
            with open(descriptor, "wb", closefd=False) as out:
                pl.read_parquet(path, n_rows=rows).write_ipc(out)
        except pl.exceptions.PanicException as error:
            raise ValueError(str(error)) from None

    def do_parquet_notes(self, path: str) -> dict[str, str]:
        """Texts that a Parquet file stores by name."""
        import polars as pl  # few readers need it

        try:
            return pl.read_parquet_metadata(path)
        except pl.exceptions.PanicException as error:
            raise ValueError(str(error)) from None

    @property
    def _open(self) -> h5py.File:
        assert self.file is not None
        return self.file

    def _array(self, name: str) -> h5py.Dataset:
        found = self._find(name)
        if not isinstance(found, h5py.Dataset):
            raise KeyError(name)
        return found

    def _find(self, name: str) -> h5py.Group | h5py.Dataset | None:
        """An object of this file by its path; links to others are not followed."""
        found: Any = self._open
        for part in name.split("/") if name else ():
            if not isinstance(found, h5py.Group) or part not in found or not _is_hard(found, part):
                return None
            found = found[part]
        return found


def open_unlocked(path: str) -> h5py.File:
    """Open a file for reading, without a lock where the file system refuses locks.

    Raises
    ------
    Locked
        When another process is writing it.
    OSError
        When it cannot be opened.
    """
    try:
        return h5py.File(path, "r")
    except BlockingIOError as error:
        if _LOCKED in str(error):
            raise Locked from error
        raise
    except OSError as error:
        if _LOCKED not in str(error):
            raise
    return h5py.File(path, "r", locking=False)


def walk(file: h5py.File) -> Iterator[tuple[str, h5py.HLObject]]:
    """Paths and objects of a file, each once; links to others are not followed.

    Raises
    ------
    ValueError
        When there are more than `MOST_OBJECTS`.
    """
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    seen = {_address(file)}
    while waiting:
        path, group = waiting.pop()
        for name in map(str, group):
            if not _is_hard(group, name):
                continue
            item = group[name]
            if _address(item) in seen:
                continue
            seen.add(_address(item))
            if len(seen) > MOST_OBJECTS:
                raise ValueError(f"more than {MOST_OBJECTS:,} arrays and groups")
            yield f"{path}{name}", item
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}{name}/", item))


def _is_hard(group: h5py.Group, name: str) -> bool:
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _address(item: h5py.HLObject) -> int:
    return h5py.h5o.get_info(item.id).addr  # type: ignore[attr-defined]


def _description(array: h5py.Dataset) -> Message:
    dtype, text = array.dtype, h5py.check_string_dtype(array.dtype)
    numeric = dtype.kind in "biuf" and array.shape is not None
    return {
        "shape": array.shape or (),
        "dtype": dtype.str if numeric else None,
        "type": str(dtype),
        "text": None if text is None else text.length or -1,
        "itemsize": dtype.itemsize,
        "chunk": array.chunks,
        "stored": array.id.get_storage_size(),
        "elsewhere": bool(array.external) or array.is_virtual,
        "matlab": "MATLAB_class" in array.attrs,
    }


def _plain(value: object) -> object:
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    return value if isinstance(value, int | float | str) else None


def _limit(seconds: int, size: int) -> None:
    """End this process when an answer takes longer, or needs more memory."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + seconds, most))
    with suppress(OSError, ValueError):  # macOS has no such file, and does not keep this limit
        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * mmap.PAGESIZE
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + size, most))


def serve(connection: socket.socket) -> None:
    """Answer requests until the connection is closed."""
    server = Server()
    while True:
        try:
            request, descriptor = receive(connection)
        except EOFError:
            return
        try:
            answer = {"answer": server.answer(request, descriptor)}
        except Locked:
            answer = {"error": "locked"}
        except MemoryError:
            answer = {"error": "memory"}
        except Exception as error:
            kind = "library" if isinstance(error, OSError) else "content"
            answer = {"error": kind, "problem": str(error) or type(error).__name__}
        finally:
            if descriptor is not None:
                os.close(descriptor)
        send(connection, answer)


if __name__ == "__main__":
    # The other process ends this one, also after Ctrl-C.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with socket.socket(fileno=sys.stdin.fileno()) as standard_input:
        serve(standard_input)
