"""Names of tracks, contigs, motifs, samples and classes: what they may contain.

A name becomes a column of tables, an identifier in headers, part of file names and text of pages.
Each is checked where it is read, so that no output has to change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from danq.errors import InputError
from danq.typing import Location

MAX_NAME = 255
"""Largest number of characters of a name."""

_PARTS = re.compile(r"[/\\]")
_SHOWN = 40


def name_problem(name: object) -> str | None:
    """What makes a text useless as a name, or None.

    A name has 1 to `MAX_NAME` characters, all of which can be printed: no line feed, tab or other
    control character, no invisible character, no mark of text direction, no surrogate. Blanks and
    letters of any language are allowed. A name is not a path: it does not start with ``/``, and no
    part of it between ``/`` is ``.`` or ``..``.
    """
    if not isinstance(name, str):
        return f"has the type {type(name).__name__}, not text"
    if not name or name.isspace():
        return "is empty"
    if len(name) > MAX_NAME:
        return f"has {len(name):,} characters; at most {MAX_NAME} are allowed"
    if not name.isprintable():
        character = next(one for one in name if not one.isprintable())
        if "\ud800" <= character <= "\udfff":
            return "is not UTF-8"
        return f"contains {character!a} (U+{ord(character):04X}), which cannot be printed"
    if name[0] == "/" or ("." in name and not {".", ".."}.isdisjoint(_PARTS.split(name))):
        return "is a path"
    return None


def check_name(
    name: object, kind: str, *, file: Location | None = None, line: int | None = None
) -> None:
    """Refuse what is not a name.

    Parameters
    ----------
    name
        The text.
    kind
        What has the name, such as "track"; for the message.
    file, line
        Where the name is.

    Raises
    ------
    InputError
        As `name_problem` describes.
    """
    problem = name_problem(name)
    if problem is not None:
        text = str(name)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise InputError(
            f"the name {shown!r} of a {kind} {problem}",
            file=file,
            line=line,
            remedy=f"Give it a name of 1 to {MAX_NAME} characters that can be printed and are "
            "not a path",
        )


def check_names(names: Iterable[object], kind: str, *, file: Location | None = None) -> None:
    """Refuse a list that has something else than names, as `check_name` does for one."""
    for name in names:
        if name_problem(name):
            check_name(name, kind, file=file)
