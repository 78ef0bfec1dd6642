"""The errors that danq raises on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class DanqError(Exception):
    """Base class of every error that danq raises on purpose."""


class InputError(DanqError, ValueError):
    """An input that cannot be used.

    The message reads ``FILE, line N: PROBLEM. REMEDY``. Each part is also an attribute.

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
        super().__init__(f"{text} {remedy}." if remedy else text)


class MissingPackage(InputError):
    """A package of an optional extra that is not installed."""


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
    return message.removeprefix("Value error, ")
