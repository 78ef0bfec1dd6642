"""The errors that danq raises on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


LONGEST_WORD = 300
"""Characters of a word in a message; of a longer one, the middle is left out."""

LONGEST_TEXT = 2000
"""Characters of a message; of a longer one, the middle is left out."""

_LONG_WORD = re.compile(rf"[^\s]{{{LONGEST_WORD + 1},}}")


class DanqError(Exception):
    """Base class of every error that danq raises on purpose.

    Attributes
    ----------
    reported
        Whether another process of the same training shows the error, or one that caused it.
    """

    reported = False


class Stopped(DanqError):
    """The work ended before its end, as a signal asked for; it can be continued."""


class InputError(DanqError, ValueError):
    """An input that cannot be used.

    The message reads ``FILE, line N: PROBLEM. REMEDY``, as `printable` returns it. Each part is
    also an attribute.

    Parameters
    ----------
    problem
        What is wrong, with the invalid value and the limit, as a phrase without a final full
        stop.
    file
        The file that has the problem.
    line
        1-based line of that file.
    record
        Name of the record (FASTA entry, track, variant), where it locates the problem better
        than a line.
    remedy
        What the user can do about it, as a sentence without the final full stop.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        record: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.file = None if file is None else str(file)
        self.line = line
        self.record = record
        self.remedy = remedy
        location = ", ".join(
            part
            for part in (
                self.file,
                None if line is None else f"line {line}",
                None if record is None else f"record '{record}'",
            )
            if part
        )
        text = f"{location}: {problem}" if location else problem
        text += "" if text.endswith("?") else "."
        super().__init__(printable(f"{text} {remedy}." if remedy else text))


class MissingPackage(InputError):
    """A package of an optional extra that is not installed."""


@contextmanager
def needs_package(problem: str, extra: str) -> Iterator[None]:
    """Context that imports a package of an optional extra.

    Parameters
    ----------
    problem
        What needs the package, and its name: "reading images requires Pillow".
    extra
        The extra of danq.

    Raises
    ------
    MissingPackage
        When it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise MissingPackage(
            f"{problem}, which is not installed",
            remedy=f"Install it with pip install 'danq[{extra}]'",
        ) from error


def printable(text: str) -> str:
    r"""Text of a message that a terminal shows as it is, on one line.

    Files may put anything into names and fields. Characters that cannot be printed are written as
    in Python, such as ``\n`` or ``\x1b``: a terminal would obey some, and hide others. The middle
    of a word of more than `LONGEST_WORD` or a text of more than `LONGEST_TEXT` characters is left
    out.
    """
    if len(text) > LONGEST_WORD:
        text = _shortened(text, LONGEST_TEXT)
        text = _LONG_WORD.sub(lambda word: _shortened(word[0], LONGEST_WORD // 2), text)
    return escaped(text)


def escaped(text: str) -> str:
    r"""Text in which characters that cannot be printed are written as in Python, such as ``\n``."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    end = length // 3
    return f"{text[: length - end]}...{text[-end:]}"


def first_line(error: BaseException) -> str:
    """First line of the message of a library's error, or the name of its type."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def few(names: Iterable[str], shown: int = 3, separator: str = ", ") -> str:
    """The first names of a list, and how many more there are: "a, b, c and 7 more"."""
    names = list(names)
    rest = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return separator.join(names[:shown]) + rest


def describe_validation_error(error: ValidationError) -> str:
    """Each invalid field of a pydantic model and what is wrong with it, on one line."""
    return "; ".join(
        ": ".join(filter(None, [".".join(map(str, item["loc"])), _plain(item["msg"])]))
        for item in error.errors()
    )


def _plain(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "there is no setting of this name"
    # The text of an InputError is a sentence.
    return message.removeprefix("Value error, ").removesuffix(".")
