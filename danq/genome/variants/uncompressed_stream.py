"""Read uncompressed bytes of a file, a pipe or standard input; truncation is an error."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from danq.errors import InputError
from danq.files.open_input import (
    BGZF_END,
    LineLengths,
    check_file,
    empty,
    gzip_errors,
    is_bgzip,
    is_gzip,
    open_raw,
    refuse_cut_bgzip,
    refuse_unreadable,
    truncated,
    unopened,
)
from danq.files.pipes import is_pipe
from danq.files.recognise import GZIP_MAGIC, HEAD

STDIN = "-"
BUFFER = 1 << 18
BCF = b"BCF"
MAX_LINE = 1 << 27
"""Largest number of bytes of a line: some records have the genotypes of a million samples."""

CONTROL = (b"\0", b"\x1b")
"""Characters that no text holds, and that terminals obey."""


def name_of(path: str | Path) -> str:
    """Name of an input in messages."""
    return "standard input" if str(path) == STDIN else str(path)


@contextmanager
def open_stream(path: str | Path) -> Iterator[io.BufferedReader[Any]]:
    """Open plain, gzip or bgzip input to read its uncompressed bytes in order.

    Parameters
    ----------
    path
        File, named pipe or ``-`` for standard input.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty or not readable; when its first bytes are those
        of a format other than text and BCF; when a gzip stream is damaged or truncated; and when
        the end-of-file block of BGZF is missing, which is checked at once for files and after the
        last byte for pipes.
    """
    raw = _raw(path)
    try:
        tail = _Tail(raw)
        handle = _buffered(tail)
        begin = handle.peek(HEAD)
        if not begin:
            raise empty(name_of(path))
        if begin[:2] != GZIP_MAGIC:
            _check_format(handle, path)
            _guard_text(handle, path)
            yield handle
            return
        bgzf = is_bgzip(begin)
        if bgzf and raw.seekable() and str(path) != STDIN:
            position = raw.tell()
            refuse_cut_bgzip(raw, path)
            raw.seek(position)
        unzipped = _buffered(_Unzip(handle, name_of(path)))
        _check_format(unzipped, path)
        _guard_text(unzipped, path)
        yield unzipped
        if bgzf and not unzipped.peek(1) and tail.last != BGZF_END:
            raise truncated(name_of(path))
    finally:
        if str(path) != STDIN:
            raw.close()


def open_parts(parts: io.RawIOBase, path: str | Path) -> io.BufferedReader[Any]:
    """Reader of the text of parts of a file, which is checked as by `open_stream`."""
    handle = _buffered(parts)
    _check_format(handle, path)
    _guard_text(handle, path)
    return handle


def _raw(path: str | Path) -> BinaryIO:
    if str(path) == STDIN:
        return sys.stdin.buffer
    if check_file(path).is_file():
        is_gzip(path)
    if not is_pipe(path):
        return open_raw(path)
    # A pipe is read once, while it is written.
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise unopened(path, error) from error


def _check_format(handle: io.BufferedReader[Any], path: str | Path) -> None:
    head = handle.peek(HEAD)[:HEAD]
    if not head.startswith(BCF):
        refuse_unreadable(head, name_of(path))


def _guard_text(handle: io.BufferedReader[Any], path: str | Path) -> None:
    """Check all further pieces of text that are read."""
    if not handle.peek(len(BCF)).startswith(BCF):
        handle.raw.guard = _TextGuard(name_of(path))


class _TextGuard:
    """Refuses control characters and lines without end in pieces of text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lengths = LineLengths(name, MAX_LINE)

    def check(self, piece: bytes) -> None:
        for character in CONTROL:
            if character in piece:
                raise InputError(
                    f"has a control character ({character.decode()!a})",
                    file=self.name,
                    remedy="Remove it, or make the file again",
                )
        self.lengths.add(piece)


def _buffered(raw: io.RawIOBase) -> io.BufferedReader[Any]:
    """Reader of which ``peek`` returns the first `HEAD` bytes, or all of fewer."""
    head = b""
    while len(head) < HEAD and (piece := raw.read(HEAD - len(head))):
        head += piece
    return io.BufferedReader(_Rejoined(head, raw), BUFFER)


class _Rejoined(io.RawIOBase):
    """Bytes that were read before, and then the rest of the raw file."""

    def __init__(self, head: bytes, raw: io.RawIOBase) -> None:
        self.head, self.raw = head, raw
        self.guard: _TextGuard | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        if not self.head:
            size = self.raw.readinto(buffer)
            if self.guard is not None and size:
                self.guard.check(bytes(buffer[:size]))
            return size
        size = min(len(buffer), len(self.head))
        buffer[:size], self.head = self.head[:size], self.head[size:]
        return size


class _Tail(io.RawIOBase):
    """Raw file that remembers the last bytes read."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.last = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        # Standard input waits in `read` until all bytes are there.
        read = getattr(self.raw, "read1", self.raw.read)
        data = read(len(buffer))
        buffer[: len(data)] = data
        self.last = (self.last + data[-len(BGZF_END) :])[-len(BGZF_END) :]
        return len(data)


class _Unzip(io.RawIOBase):
    """Uncompressed bytes of a gzip stream, with errors that name the input."""

    def __init__(self, handle: io.BufferedReader[Any], name: str) -> None:
        self.zipped = gzip.GzipFile(fileobj=handle, mode="rb")
        self.name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        with gzip_errors(self.name):
            return self.zipped.readinto(buffer)
