"""Standard output as an output, named ``-``: rows are written as soon as they are known."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from danq.errors import InputError
from danq.output.write_errors import write_errors
from danq.typing import Location

STANDARD_OUTPUT = "-"


def is_standard_output(path: Location) -> bool:
    """Whether an output is named ``-``."""
    return str(path) == STANDARD_OUTPUT


def name_of_output(path: Location) -> str:
    """Name of an output for messages: its path, or ``standard output``."""
    return "standard output" if is_standard_output(path) else str(path)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """A stream to standard output, which stays open at the end.

    Raises
    ------
    InputError
        When standard output takes no bytes, as in a notebook, or the operating system refuses to
        write.
    BrokenPipeError
        When the reader of a pipe ended.
    """
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        raise InputError("standard output takes no bytes here", remedy="Name a file")
    with write_errors(Path("standard output")):
        sys.stdout.flush()
        stream = _Stream(buffer)
        yield cast(BinaryIO, stream)
        stream.flush()


class _Stream(io.RawIOBase):
    """Bytes for another stream, which is flushed instead of closed."""

    def __init__(self, target: BinaryIO) -> None:
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._target.write(data)
        return len(data)

    def flush(self) -> None:
        if not self.closed:
            self._target.flush()
