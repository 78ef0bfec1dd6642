"""The journal of an unfinished run: numbered lines, each with a checksum.

A line is a JSON object. Its last entry, ``sha256``, is the checksum of the previous line's checksum
and of the text before this entry. A line that was changed or moved, or whose previous line is
missing, therefore has a wrong checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MAGIC = "danq-blocks"
FORMAT_VERSION = 5
VALUES = "values.npy"

_LINE = re.compile(rb'(\{.*), "sha256": "([0-9a-f]{64})"\}\n', re.DOTALL)
_PART = re.compile(r"([0-9]{6,})\.(?:values\.npy|(?:rows|rejects|lines)\.arrow)")


class Line(NamedTuple):
    """A line of a journal.

    Attributes
    ----------
    entry
        Its content.
    checksum
        Its checksum, which the next line depends on.
    end
        Bytes of the journal up to the end of the line.
    """

    entry: Mapping[str, Any]
    checksum: str
    end: int


class Journal(NamedTuple):
    """The lines of a journal up to the first damaged one.

    Attributes
    ----------
    lines
        The head, then one line per block; empty if this is not a journal of danq.
    damaged
        1-based number of the damaged line; None if there is none. An incomplete line at the end is
        not damaged: a killed process leaves one.
    blocks
        Upper limit of the number of blocks that may have files.
    """

    lines: Sequence[Line]
    damaged: int | None
    blocks: int


def journal_line(entry: Mapping[str, object], before: str) -> tuple[bytes, str]:
    """The bytes of a line, and its checksum.

    Parameters
    ----------
    entry
        Content of the line.
    before
        Checksum of the previous line; empty for the first.
    """
    text = json.dumps(entry)[:-1].encode()
    checksum = _checksum(text, before)
    return text + f', "sha256": "{checksum}"}}\n'.encode(), checksum


def head_line(identity: Mapping[str, Any]) -> tuple[bytes, str]:
    """The bytes of the first line of a journal, and its checksum.

    Parameters
    ----------
    identity
        `danq.provenance.Provenance.identity` of the run.
    """
    head = {"magic": MAGIC, "format_version": FORMAT_VERSION, "line": 1, "identity": identity}
    return journal_line(head, "")


def read_journal(content: bytes) -> Journal:
    """Read the lines of a journal and compare their checksums."""
    texts = content.split(b"\n")
    texts = [text + b"\n" for text in texts[:-1]] + ([texts[-1]] if texts[-1] else [])
    lines: list[Line] = []
    checksum, end = "", 0
    for number, text in enumerate(texts, start=1):
        line = _line(text, checksum, number, end + len(text))
        if line is None:
            damaged = number if text.endswith(b"\n") else None
            # Damage may have joined two lines.
            return Journal(lines, damaged, len(texts) + 1)
        lines.append(line)
        checksum, end = line.checksum, line.end
    return Journal(lines, None, len(texts))


def is_of_another_version(content: bytes) -> bool:
    """Whether a journal was written by another version of danq."""
    try:
        head = json.loads(content.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return False
    if not isinstance(head, dict) or head.get("magic") != MAGIC:
        return False
    return head.get("format_version") != FORMAT_VERSION


def part_number(name: str) -> int | None:
    """Number of the block that a file belongs to, by its name; None for other files."""
    match = _PART.fullmatch(name)
    return int(match[1]) if match else None


def _line(text: bytes, before: str, number: int, end: int) -> Line | None:
    match = _LINE.fullmatch(text)
    if match is None or _checksum(match[1], before) != match[2].decode():
        return None
    try:
        entry = json.loads(match[1] + b"}")
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("line") != number:
        return None
    fits = _is_head(entry) if number == 1 else _is_block(entry, number - 2)
    return Line(entry, match[2].decode(), end) if fits else None


def _is_head(entry: Mapping[str, Any]) -> bool:
    identity = entry.get("identity")
    return (
        entry.get("magic") == MAGIC
        and entry.get("format_version") == FORMAT_VERSION
        and isinstance(identity, dict)
        and all(isinstance(identity.get(name), dict) for name in ("settings", "inputs"))
    )


def _is_block(entry: Mapping[str, Any], block: int) -> bool:
    counts, files = entry.get("counts"), entry.get("files")
    return (
        isinstance(counts, dict)
        and all(type(count) is int and count >= 0 for count in counts.values())
        and isinstance(files, dict)
        and any(name.endswith(VALUES) for name in files)
        and all(part_number(name) == block for name in files)
        and all(isinstance(checksum, str) for checksum in files.values())
    )


def _checksum(text: bytes, before: str) -> str:
    return hashlib.sha256(before.encode() + text).hexdigest()
