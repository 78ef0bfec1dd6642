"""One error hierarchy for the whole package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class DanqError(Exception):
    """Base of every error that danq raises on purpose."""


class InputError(DanqError, ValueError):
    """Something the user gave cannot be used.

    The message reads ``FILE, line N: PROBLEM. REMEDY``. The parts stay available as
    attributes, so that callers and tests need not parse text.

    Parameters
    ----------
    problem
        What is wrong, with the offending value and the limit it breaks, as a phrase
        without a final full stop.
    file
        The file it is in.
    line
        1-based line of that file.
    record
        Name of the record (FASTA entry, track, variant) when a line says less.
    remedy
        What the user can do about it, as a sentence without a final full stop.
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
        place = ", ".join(
            part
            for part in (
                self.file,
                None if line is None else f"line {line}",
                None if record is None else f"record '{record}'",
            )
            if part
        )
        text = f"{place}: {problem}" if place else problem
        super().__init__(f"{text}. {remedy}." if remedy else f"{text}.")


def told(error: ValidationError) -> str:
    """What pydantic complains of, on one line: each field and what is wrong with it."""
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
