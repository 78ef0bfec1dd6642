"""Tables as text: encoding, line ends, comments and quotes, the same for every file.

Files are UTF-8, with or without a byte-order mark. Lines end in LF, CRLF or CR. Blank lines and
lines that start with ``#`` are skipped. Fields are separated by tabs; blanks around a field, double
quotes around a whole field, and empty fields at the end of a line are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.errors import InputError
from danq.files.open_input import LineLengths, open_bytes, read_limited

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MISSING = frozenset({"", ".", "na", "n/a", "nan", "null", "none", "<na>"})
"""Texts that mean a missing value, in lower case; any case is read."""

MAX_TEXT = 1 << 25
"""Largest number of bytes of lists, sheets, configurations and files of motifs, unpacked."""

MAX_ROWS = 1_000_000
"""Largest number of rows of lists and sheets."""

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}([,' ][0-9]{3})+")
_SHOWN = 40
_PIECE = 1 << 18
_TAB, _LF, _BLANK = 9, 10, 32


class TextRow(NamedTuple):
    """A line of a table: its 1-based number in the file, its fields, and its text."""

    number: int
    fields: list[str]
    text: str


def read_text_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Read a whole text file, plain or gzip, as UTF-8 with lines that end in LF.

    Parameters
    ----------
    path
        The file.
    most
        Largest number of bytes, unpacked; None for tables of any size.

    Returns
    -------
    bytes
        The text without byte-order mark. Lines keep their numbers.

    Raises
    ------
    InputError
        As `danq.files.open_input.open_bytes` and `danq.files.open_input.read_limited`; and at the
        first line that is not UTF-8 or has a control character.
    """
    path = Path(path)
    with open_bytes(path) as handle:
        data = read_limited(handle, path, most)
    return normalise(data, path)


def text_blocks(path: str | Path, size: int = 1 << 22) -> Iterator[bytes]:
    """Yield the text of `read_text_bytes` in blocks of whole lines.

    Parameters
    ----------
    path
        The file.
    size
        Bytes after which a block ends at the next line end.

    Raises
    ------
    InputError
        As `read_text_bytes`, while the blocks are read.
    """
    lengths, line, rest = LineLengths(path), 1, b""
    with open_bytes(path) as handle:
        while piece := handle.read(size):
            if not piece.endswith(b"\n"):
                piece += handle.readline(size)
            lengths.add(piece)
            lengths.check_ratio()
            data = rest + piece if rest else piece
            end = len(data)
            if not data.endswith(b"\n"):
                # LF may follow after a CR at the end.
                end = 1 + max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1))
            block, rest = (data, b"") if end == len(data) else (data[:end], data[end:])
            if block:
                block = normalise(block, path, line)
                yield block
                line += block.count(b"\n")
    if rest:
        yield normalise(rest, path, line)


def first_line(path: str | Path, skipped: tuple[str, ...] = ("#",)) -> str | None:
    """The first line that is not blank; None if there is none. The file may have any size.

    Parameters
    ----------
    path
        The file.
    skipped
        Beginnings of lines that are left out, such as comments.

    Raises
    ------
    InputError
        As `text_blocks`.
    """
    for block in text_blocks(path):
        for _, _, line in byte_lines(block):
            text = line.decode("utf-8")
            if text.strip() and not text.startswith(skipped):
                return text
    return None


def normalise(data: bytes, path: str | Path, first: int = 1) -> bytes:
    """Text as UTF-8 without byte-order mark, with lines that end in LF.

    Parameters
    ----------
    data
        The text.
    path
        Its file, for errors.
    first
        1-based number of its first line.

    Raises
    ------
    InputError
        At the first line that is not UTF-8, or has a control character.
    """
    data = data.removeprefix(BYTE_ORDER_MARK)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(path, first + data.count(b"\n", 0, error.start)) from error
    if has_control(data):
        refuse_control(data, path, first)
    return data


def has_control(data: bytes) -> bool:
    """Whether text has bytes below 32 other than tabs and line ends, or the byte 127.

    It may be true for form feeds and vertical tabs, which `refuse_control` allows.
    """
    for at in range(0, len(data), _PIECE):
        piece = np.frombuffer(data, np.uint8, min(_PIECE, len(data) - at), at)
        ends = np.count_nonzero(piece == _TAB) + np.count_nonzero(piece == _LF)
        if np.count_nonzero(piece < _BLANK) != ends:
            return True
    return b"\x7f" in data


def refuse_control(data: bytes, path: str | Path, first: int = 1) -> None:
    """Refuse text with control characters other than tabs, form feeds and line ends.

    Raises
    ------
    InputError
        At the first line with one.
    """
    found = _CONTROL.search(data)
    if found is not None:
        raise InputError(
            f"the line has a control character ({found[0].decode()!a})",
            file=path,
            line=first + data.count(b"\n", 0, found.start()),
            remedy="Remove it, or make the file again",
        )


def read_text(path: str | Path, most: int = MAX_TEXT) -> str:
    """Read a whole text file as `read_text_bytes` does, decoded."""
    return read_text_bytes(path, most).decode("utf-8")


def text_lines(path: str | Path) -> list[str]:
    """Lines of a text file, without line ends. Only LF, CRLF and CR end a line."""
    return read_text(path).removesuffix("\n").split("\n")


def byte_lines(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield 1-based number, offset and text of each line of `read_text_bytes`."""
    at, number = 0, 0
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        number += 1
        yield number, at, data[at:end]
        at = end + 1


def text_rows(path: str | Path) -> Iterator[TextRow]:
    """Yield the lines of a table that are neither blank nor comments, with their fields.

    Raises
    ------
    InputError
        As `read_text_bytes`; at a field whose double quotes do not end; and when there are more
        than `MAX_ROWS` rows.
    """
    rows = 0
    for number, line in enumerate(text_lines(path), start=1):
        if line.strip() and not line.startswith("#"):
            rows += 1
            if rows > MAX_ROWS:
                raise too_many_rows(path, number)
            yield TextRow(number, split_fields(line, path, number), line)


def too_many_rows(path: str | Path, line: int) -> InputError:
    """Make the error for a list or sheet with more than `MAX_ROWS` rows."""
    return InputError(
        f"has more than {MAX_ROWS:,} rows, the limit for files of this kind",
        file=path,
        line=line,
        remedy="Check that it is the right file",
    )


def split_fields(line: str, path: str | Path, number: int) -> list[str]:
    """Fields of a line, unquoted and without blanks around them.

    Raises
    ------
    InputError
        When double quotes begin in a field and do not end in the same field or line.
    """
    fields = line.split("\t")
    if '"' in line:
        fields = _unquote(fields, path, number, line)
    fields = [field.strip() for field in fields]
    while len(fields) > 1 and not fields[-1]:
        fields.pop()
    return fields


def _unquote(fields: list[str], path: str | Path, number: int, line: str) -> list[str]:
    """Remove quotes as RFC 4180 has them: tabs may be inside, and ``""`` is a quote."""
    found: list[str] = []
    rest = iter(fields)
    for field in rest:
        text = field.strip()
        if text.startswith('"'):
            while text.count('"') % 2:
                more = next(rest, None)
                if more is None:
                    raise InputError(
                        f"a field begins with a double quote that does not end ({line[:_SHOWN]!r})",
                        file=path,
                        line=number,
                        remedy="End the quote in the same line, or remove it",
                    )
                text = f"{text}\t{more}".rstrip()
            text = text[1:-1].replace('""', '"') if text.endswith('"') else text
        found.append(text)
    return found


def separator_problem(text: str, columns: int) -> tuple[str, str] | None:
    """Problem and remedy for a line whose fields are separated by something else than tabs.

    Parameters
    ----------
    text
        The line.
    columns
        Least number of columns that are expected.

    Returns
    -------
    tuple or None
        None when the line has enough tabs, or no other separator either.
    """
    if len(text.split("\t")) >= columns:
        return None
    shown = f"({text[:_SHOWN]!r})"
    for name, fields, command in (
        ("commas", text.split(","), "tr ',' '\\t'"),
        ("semicolons", text.split(";"), "tr ';' '\\t'"),
        ("spaces", text.split(), "tr -s ' ' '\\t'"),
    ):
        if len(fields) >= columns:
            return (
                f"the fields are separated by {name}, not tabs {shown}",
                f"Convert the {name} to tabs, for example with: {command}",
            )
    return None


def number_problem(text: str) -> str | None:
    """What is unusual in a text that is not a plain number, or None if nothing is known.

    Recognises a decimal comma, separators of thousands, and whole numbers in floating-point form.
    """
    if _THOUSANDS.fullmatch(text):
        return "it has separators of thousands; write the digits alone"
    if _DECIMAL_COMMA.fullmatch(text):
        return "it has a decimal comma; write a decimal point"
    if re.fullmatch(r"[0-9]+(\.[0-9]*([eE]\+?[0-9]+)?|[eE]\+?[0-9]+)", text):
        return "it is in floating-point form; write all digits, without a point"
    return None


def is_missing(text: str) -> bool:
    """Whether a text means a missing value."""
    return text.lower() in MISSING


def repeated_column(name: str, path: str | Path | None, line: int | None = None) -> InputError:
    """Make the error for a table in which several columns have one name."""
    return InputError(
        f"has several columns named {name!r}",
        file=path,
        line=line,
        remedy="Remove all but one of them",
    )


def not_utf8(path: str | Path, line: int) -> InputError:
    """Make the error for a line that is not UTF-8."""
    return InputError(
        "the line is not UTF-8 text",
        file=path,
        line=line,
        remedy="Convert the file, for example with: iconv -f latin1 -t utf-8",
    )
