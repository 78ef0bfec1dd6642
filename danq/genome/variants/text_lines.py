"""Read lines of text one after the other, and skip many of them at once."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from danq.typing import IntRow

PIECE = 1 << 18
SNIFFED = 1 << 16
"""Bytes in which a line end is searched."""

SPACE, DELETE, COMMENT = 0x20, 0x7F, ord("#")


class TextLines:
    r"""Iterator over the numbers and texts of lines, without their ``\n``.

    Lines end with ``\n``, or with ``\r`` in a file that has no other line end.

    Parameters
    ----------
    handle
        Uncompressed input at its first byte.
    other
        Called with the number and the text of a line that is not ASCII, in which `surrogateescape`
        marks bytes that are not UTF-8; returns the text to use.
    """

    def __init__(self, handle: io.BufferedReader[Any], other: Callable[[int, str], str]) -> None:
        self._handle, self._other = handle, other
        sniffed = handle.peek(SNIFFED)[:SNIFFED]
        self._end = b"\r" if b"\r" in sniffed and b"\n" not in sniffed else b"\n"
        self._rest = b""
        self._chunk = b""
        self._passed = 0
        """Lines before the chunk."""
        self._at = self._count = 0
        """Index of the next line in the chunk, and number of its lines."""
        self._texts: list[str] = []
        self._first = 0
        """Decoded lines, and the index of the first in the chunk."""
        self._starts: IntRow | None = None
        self._unusual: IntRow | None = None

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self._at < self._count or self._load(self._decode):
            if not self._texts:
                self._decode()
            line = self._texts[self._at - self._first]
            self._at += 1
            if not line.isascii():
                line = self._other(self._passed + self._at, line)
            yield self._passed + self._at, line

    def skip_plain(self, most: int, header: str | None = None) -> int:
        """Skip lines that begin with a letter, a digit or another visible ASCII character.

        Stops before any other line: a comment, a blank line, or one that begins with a space.

        Parameters
        ----------
        most
            Largest number of lines to skip.
        header
            Text of a line; no line is skipped where it occurs nearby.

        Returns
        -------
        int
            Number of lines that were skipped; less than ``most`` before another line, and at the
            end of a piece of the text.
        """
        if self._at == self._count and not self._load(self._find_lines):
            return 0
        if self._unusual is None:
            self._find_lines()
        assert self._starts is not None
        assert self._unusual is not None
        if header is not None and header.encode(errors="surrogateescape") in self._chunk:
            return 0
        stop = int(self._unusual[np.searchsorted(self._unusual, self._at)])
        skipped = min(most, stop - self._at)
        self._at += skipped
        return skipped

    def _load(self, read: Callable[[], None]) -> bool:
        """Read the next chunk, of complete lines, and its lines; False at the end of the text."""
        self._passed += self._count
        pieces, self._rest = [self._rest], b""
        while piece := self._handle.read1(PIECE):
            cut = piece.rfind(self._end) + 1
            pieces.append(piece[:cut] if cut else piece)
            if cut:
                self._rest = piece[cut:]
                break
        self._chunk = b"".join(pieces)
        self._at = self._count = 0
        self._texts, self._starts, self._unusual = [], None, None
        if self._chunk:
            read()
        return self._count > 0

    def _decode(self) -> None:
        """Decode the rest of the chunk."""
        chunk, self._first = self._chunk, self._at
        if self._at and self._starts is not None:
            chunk = chunk[self._starts[self._at] :]
        text = chunk.removesuffix(self._end).decode("utf-8", "surrogateescape")
        self._texts = text.split(self._end.decode())
        self._count = self._first + len(self._texts)

    def _find_lines(self) -> None:
        """Find the starts of lines, and those that do not begin with a visible ASCII character."""
        data = np.frombuffer(self._chunk, dtype=np.uint8)
        self._starts = np.append(0, np.flatnonzero(data[:-1] == self._end[0]) + 1)
        begin = data[self._starts]
        usual = (begin > SPACE) & (begin < DELETE) & (begin != COMMENT)
        self._count = len(self._starts)
        self._unusual = np.append(np.flatnonzero(~usual), self._count)
