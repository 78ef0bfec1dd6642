"""Checksums of files, and the differences between the settings of two runs, as text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LONG = 160
"""Characters above which two lists are told by what only one of them has."""

FEW = 3
"""Entries of a list that are named."""

_NOUNS = {"models": "model", "variants": "set of variants"}


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def difference(
    before: Mapping[str, str],
    now: Mapping[str, str],
    files: Mapping[str, Sequence[str]],
    *,
    begun: str,
) -> str | None:
    """The first thing in which two settings differ, as a phrase; None where they agree.

    Parameters
    ----------
    before, now
        Settings by name, in words. A file stands there as a digest of its content, several of
        them with ``", "`` between.
    files
        Names of the settings that are files, and what those of ``now`` are called, in the same
        order; none where there is none now. Their digests are never told.
    begun
        What was begun, as "the run began".
    """
    for name in {**now, **before}:
        was, given = before.get(name), now.get(name)
        if was != given:
            if name in files:
                return _files(name, was, given, files[name], begun)
            return _setting(name, was or "nothing", given or "nothing", begun)
    return None


def in_words(**tables: Mapping[str, Any]) -> dict[str, str]:
    """Settings for `difference`: every entry of each table, named by table and entry."""
    return {
        f"{table} {name}": ", ".join(map(str, value))
        if isinstance(value, list | tuple)
        else str(value)
        for table, entries in tables.items()
        for name, value in entries.items()
    }


def _files(name: str, was: str | None, given: str | None, called: Sequence[str], begun: str) -> str:
    noun = _NOUNS.get(name, name)
    if given is None:
        return f"{begun} with a {noun}; now there is none"
    if was is None:
        return f"{begun} without a {noun}; now there is {', '.join(called)}"
    old, new = was.split(", "), given.split(", ")
    if len(old) != len(new):
        verb = "is" if len(new) == 1 else "are"
        plural = "s" * (len(old) != 1)
        return f"{begun} with {len(old)} {noun}{plural}; now there {verb} {len(new)}"
    other = [one for one, a, b in zip(called, old, new, strict=True) if a != b]
    return f"{other[0]} is not the {noun} that {begun} with"


def _setting(name: str, was: str, given: str, begun: str) -> str:
    if len(was) + len(given) <= LONG:
        return f"{begun} with {name}: {was}; now it is {given}"
    old, new = was.split(", "), given.split(", ")
    gone = [one for one in old if one not in set(new)]
    come = [one for one in new if one not in set(old)]
    told = [
        f"{words} {_shown(entries)}"
        for words, entries in (("without", gone), ("with", come))
        if entries
    ]
    return f"{begun} with other {name}; now they are {' and '.join(told) or 'in another order'}"


def _shown(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - FEW:,} more" if len(entries) > FEW else ""
    return ", ".join(entries[:FEW]) + more
