"""Check and open input files, plain or gzip, with errors that name the file."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import Any, BinaryIO, cast

from danq.errors import InputError
from danq.files.inputs_in_use import note_input
from danq.files.pipes import local_path
from danq.files.recognise import GZIP_MAGIC, HEAD, Format, unreadable_format
from danq.files.urls import refuse_url

BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""End-of-file block of BGZF (SAM specification, section 4.1.2)."""

BGZF_HEAD = 18
"""Bytes of a BGZF block up to the size of the block."""

GZIP_ENDINGS = (".gz", ".bgz")

MAX_LINE = 1 << 24
"""Largest number of bytes of a line of text, except lines of VCF."""

MAX_RATIO = 200
"""Largest ratio of the sizes of a table, unpacked and compressed, above `UNPACKED_ANYWAY` bytes."""

UNPACKED_ANYWAY = 1 << 28

_PIECE = 1 << 16


class UnreadableFormat(InputError):
    """A file of a format that is not text.

    Attributes
    ----------
    format
        The format.
    """

    def __init__(self, format: Format, path: str | Path) -> None:
        self.format = format
        super().__init__(f"is {format.name}", file=path, remedy=format.remedy)


def check_file(path: str | Path) -> Path:
    """Return the path of a file that exists and is not empty.

    Raises
    ------
    InputError
        When there is no such file, it is a folder, it is empty, or its folder must not be
        read.
    """
    path = Path(path)
    try:
        state = path.stat()
    except ValueError as error:
        raise InputError("a path cannot have a NUL", file=path, remedy="Check the path") from error
    except OSError as error:
        refuse_url(path)
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        problem = "no such file" if missing else f"cannot be read ({error.strerror})"
        raise InputError(problem, file=path, remedy="Check the path") from error
    if stat.S_ISDIR(state.st_mode):
        raise InputError(
            "is a folder, not a file", file=path, remedy="Give the path of a file in it"
        )
    if state.st_size == 0 and stat.S_ISREG(state.st_mode):
        raise empty(path)
    note_input(path)
    return path


def is_gzip(path: str | Path) -> bool:
    """Whether a file is gzip by its first two bytes; bgzip is gzip, too.

    Raises
    ------
    InputError
        As :func:`check_file`; when the file cannot be opened; and when its name ends with
        ``.gz`` or ``.bgz`` but it is not gzip.
    """
    path = check_file(path)
    with open_raw(path) as handle:
        zipped = handle.read(2) == GZIP_MAGIC
    if not zipped and path.name.lower().endswith(GZIP_ENDINGS):
        raise InputError(
            f"has the extension {path.suffix} but is not gzip",
            file=path,
            remedy="Rename it, or compress it with gzip or bgzip",
        )
    return zipped


@contextmanager
def open_bytes(path: str | Path) -> Iterator[BinaryIO]:
    """Open a text file, plain, gzip or bgzip, for reading its uncompressed bytes.

    Raises
    ------
    InputError
        As :func:`is_gzip`; when the first bytes are those of a format that is not text, such as
        HDF5, bzip2 or UTF-16; and, while it is being read, when the gzip stream is cut short or
        damaged.
    """
    path = Path(path)
    zipped = is_gzip(path)
    with open_raw(path) as raw:
        if not zipped:
            head = raw.read(HEAD)
            if not head:
                raise empty(path)
            refuse_unreadable(head, path)
            raw.seek(0)
            yield raw
            return
        refuse_cut_bgzip(raw, path)
        with gzip_errors(path), gzip.GzipFile(fileobj=raw, mode="rb") as handle:
            refuse_unreadable(handle.read(HEAD), path)
            handle.seek(0)
            yield cast(BinaryIO, handle)


def read_limited(handle: BinaryIO, path: str | Path, most: int | None = None) -> bytes:
    """Read the uncompressed bytes of a text file to its end, within limits.

    Parameters
    ----------
    handle
        The file, at its first byte.
    path
        Its path.
    most
        Largest number of bytes; None for large tables, which are limited by `MAX_RATIO`.

    Raises
    ------
    InputError
        When the text is larger than ``most``, has a line of more than `MAX_LINE` bytes, or unpacks
        to more than `MAX_RATIO` times the size of the file.
    """
    pieces: list[bytes] = []
    lines = LineLengths(path)
    while piece := handle.read(_PIECE):
        lines.add(piece)
        pieces.append(piece)
        if most is not None and lines.passed > most:
            raise too_large(path, most)
        lines.check_ratio()
    return b"".join(pieces)


class LineLengths:
    """Checks the lengths of lines, and how far a text unpacks, while it is read piece by piece.

    Parameters
    ----------
    path
        The file, for errors and for its size.
    most
        Largest number of bytes of a line.
    """

    def __init__(self, path: str | Path, most: int = MAX_LINE) -> None:
        self.path, self.most = path, most
        self.passed = self._open = 0
        self._allowed: int | None = None

    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Count the bytes of the next piece.

        Raises
        ------
        InputError
            When a line is longer than allowed.
        """
        piece = bytes(piece)
        self.passed += len(piece)
        last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        if last < 0:
            self._open += len(piece)
        else:
            self._open = len(piece) - last - 1
        if self._open > self.most:
            raise InputError(
                f"a line has more than {self.most >> 20} MiB",
                file=self.path,
                remedy="Check that it is the right file, and that its lines end",
            )

    def check_ratio(self) -> None:
        """Refuse a file that unpacks to much more than a table of this field.

        Raises
        ------
        InputError
            As `read_limited`.
        """
        if self.passed <= UNPACKED_ANYWAY:
            return
        if self._allowed is None:
            size = local_path(self.path).stat().st_size
            self._allowed = max(UNPACKED_ANYWAY, MAX_RATIO * size)
        if self.passed > self._allowed:
            raise InputError(
                f"unpacks to more than {MAX_RATIO} times its size",
                file=self.path,
                remedy="Check its content; if it is right, unpack it and give the unpacked file",
            )


def too_large(path: str | Path, most: int) -> InputError:
    """Make the error for a text file that is larger than any of its kind."""
    return InputError(
        f"has more than {most >> 20} MiB of text, the limit for files of this kind",
        file=path,
        remedy="Check that it is the right file",
    )


@contextmanager
def gzip_errors(path: str | Path) -> Iterator[None]:
    """Name the file when its gzip stream is cut short or damaged.

    Raises
    ------
    InputError
        When gzip reports such an error within the block.
    """
    try:
        yield
    except EOFError as error:
        raise truncated(path) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, error) from error


def is_bgzip(head: bytes) -> bool:
    """Whether the first `BGZF_HEAD` bytes are those of bgzip, which allows random access."""
    return len(head) >= BGZF_HEAD and head[:4] == BGZF_END[:4] and head[12:16] == BGZF_END[12:16]


def refuse_cut_bgzip(raw: BinaryIO, path: str | Path) -> None:
    """Refuse a bgzip file without its last block, which is cut although every block is complete.

    Afterwards the file is at its first byte.

    Raises
    ------
    InputError
        When the end-of-file block is missing.
    """
    raw.seek(0)
    if is_bgzip(raw.read(BGZF_HEAD)):
        raw.seek(-min(len(BGZF_END), raw.seek(0, os.SEEK_END)), os.SEEK_END)
        if raw.read() != BGZF_END:
            raise truncated(path)
    raw.seek(0)


def refuse_unreadable(head: bytes, path: str | Path) -> None:
    """Refuse a file whose first bytes are those of a format that is not text.

    Parameters
    ----------
    head
        First `danq.files.recognise.HEAD` bytes of the file, uncompressed.
    path
        The file.

    Raises
    ------
    UnreadableFormat
        With the name of the format, and how to convert it.
    """
    found = unreadable_format(head)
    if found is not None:
        raise UnreadableFormat(found, path)


def open_raw(path: str | Path) -> BufferedReader:
    """Open a file for reading its bytes as stored; a pipe is opened as its copy.

    Raises
    ------
    InputError
        When it cannot be opened; and, while it is being read, when the operating system reports an
        error.
    """
    try:
        return BufferedReader(_Input(local_path(path), path), _PIECE)  # type: ignore[arg-type]
    except OSError as error:
        raise unopened(path, error) from error


class _Input(FileIO):
    """A file whose name is in the errors of its reads: they could be taken for errors of outputs.

    Parameters
    ----------
    local
        File to read.
    path
        Its name in messages.
    """

    def __init__(self, local: Path, path: str | Path) -> None:
        super().__init__(local, "rb")
        self._path = path

    def readinto(self, buffer: Any, /) -> int | None:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise unread(self._path, error) from error

    def readall(self) -> bytes | None:  # type: ignore[override]
        try:
            return super().readall()
        except OSError as error:
            raise unread(self._path, error) from error


def read_at(file: int, start: int, end: int, path: str | Path) -> bytes:
    """Bytes of an open file from ``start`` to ``end``, or less at its end.

    Parameters
    ----------
    file
        Its descriptor.
    start, end
        Offsets, half-open.
    path
        Its name in messages.

    Raises
    ------
    InputError
        When the operating system reports an error.
    """
    try:
        return os.pread(file, end - start, start)
    except OSError as error:
        raise unread(path, error) from error


def unread(path: str | Path, error: OSError) -> InputError:
    """Make the error for a file that was opened and cannot be read."""
    return InputError(
        f"cannot be read ({error.strerror})",
        file=path,
        remedy="Check its disk or network, or copy it to another disk",
    )


def unopened(path: str | Path, error: OSError) -> InputError:
    """Make the error for a file that cannot be opened."""
    return InputError(
        f"cannot be opened ({error.strerror})", file=path, remedy="Check its permissions"
    )


def empty(path: str | Path) -> InputError:
    """Make the error for an empty file."""
    return InputError("is empty (0 bytes)", file=path, remedy="Make, copy or download it again")


def truncated(path: str | Path) -> InputError:
    """Make the error for a gzip file that ends too early."""
    return InputError(
        "the gzip stream ends too early, so the file is truncated",
        file=path,
        remedy="Copy or download it again; 'gzip -t' checks it",
    )


def damaged(path: str | Path, error: Exception) -> InputError:
    """Make the error for a damaged gzip file."""
    return InputError(
        f"the gzip stream is damaged ({error})",
        file=path,
        remedy="Copy or download it again; 'gzip -t' checks it",
    )
