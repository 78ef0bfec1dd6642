"""The journal of a folder of blocks: numbered lines, each with a checksum.

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

from danq.errors import InputError
from danq.inference.blocks.shard import WHOLE, Shard
from danq.provenance import Inputs, Provenance

MAGIC = "danq-blocks"
FORMAT_VERSION = 6

_LINE = re.compile(rb'(\{.*), "sha256": "([0-9a-f]{64})"\}\n', re.DOTALL)
_PART = re.compile(r"([0-9]{6,})\.([a-z]+(?:_[a-z]+)*\.(?:arrow|npy))")


class Head(NamedTuple):
    """The first line: which run the blocks are of.

    Attributes
    ----------
    kind
        Kind of the run, such as ``variants``.
    identity
        `danq.provenance.Provenance.identity` of the run.
    input_names
        Names of the inputs, as the identity holds their checksums.
    out
        Name of the output, without its folder.
    shard
        The shard; None for a run without shards.
    """

    kind: str
    identity: Mapping[str, Any]
    input_names: Mapping[str, Sequence[str]]
    out: str
    shard: Shard | None = None

    @classmethod
    def of(cls, kind: str, provenance: Provenance, out: str, shard: Shard | None) -> Head:
        """The head of a run."""
        names = {noun: list(files.names) for noun, files in provenance.inputs.items()}
        return cls(kind, provenance.identity(), names, out, shard)

    @property
    def part(self) -> Shard:
        """Which blocks of the run the folder holds."""
        return WHOLE if self.shard is None else self.shard

    def provenance(self) -> Provenance:
        """Settings and inputs of the run, without its header."""
        inputs = {
            noun: Inputs(self.input_names.get(noun, ["?"] * len(checksums)), checksums)
            for noun, checksums in self.identity["inputs"].items()
        }
        return Provenance(settings=self.identity["settings"], inputs=inputs)


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
    head
        The first line; None if this is not a journal of danq.
    start
        The same, as a line, in a list.
    blocks
        A line per block.
    complete
        The line that is written after the last block; None if there is none.
    damaged
        1-based number of the damaged line; None if there is none. An incomplete line at the end is
        not damaged: a killed process leaves one.
    most
        Upper limit of the number of blocks that may have files.
    """

    head: Head | None
    start: Sequence[Line]
    blocks: Sequence[Line]
    complete: Line | None
    damaged: int | None
    most: int

    def may_have(self, number: int) -> bool:
        """Whether the folder may have files of a block."""
        if self.head is None:
            return False
        part = self.head.part
        return part.owns(number) and number < part.number(self.most)


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


def head_line(head: Head) -> tuple[bytes, str]:
    """The bytes of the first line of a journal, and its checksum."""
    shard = None if head.shard is None else [head.shard.index, head.shard.count]
    entry = {"magic": MAGIC, "format_version": FORMAT_VERSION, "line": 1}
    return journal_line(entry | head._asdict() | {"shard": shard}, "")


def block_entry(
    line: int, number: int, counts: Mapping[str, int], files: Mapping[str, str]
) -> dict[str, object]:
    """Content of the line of a block.

    Parameters
    ----------
    line
        1-based number of the line.
    number
        Number of the block.
    counts
        Counts of the block.
    files
        SHA-256 of each file of the block, by its name.
    """
    return {"line": line, "block": number, "counts": dict(counts), "files": dict(files)}


def complete_entry(line: int, content: Mapping[str, Any]) -> dict[str, object]:
    """Content of the line after the last block."""
    return {"line": line, "complete": dict(content)}


def read_journal(content: bytes) -> Journal:
    """Read the lines of a journal and compare their checksums."""
    texts = content.split(b"\n")
    texts = [text + b"\n" for text in texts[:-1]] + ([texts[-1]] if texts[-1] else [])
    head: Head | None = None
    lines: list[Line] = []
    complete: Line | None = None
    damaged: int | None = None
    checksum, end = "", 0
    for number, text in enumerate(texts, start=1):
        line = None if complete is not None else _line(text, checksum, number, end + len(text))
        if line is not None and head is None:
            head = _head(line.entry)
            line = line if head is not None else None
        elif line is not None and isinstance(line.entry.get("complete"), dict):
            complete = line
        elif line is not None and head is not None:
            fits = _is_block(line.entry, head.part.number(number - 2))
            line = line if fits else None
        if line is None:
            torn = complete is None and not text.endswith(b"\n")
            damaged = None if torn else number
            break
        lines.append(line)
        checksum, end = line.checksum, line.end
    broken = len(lines) < len(texts)
    blocks = lines[1:] if complete is None else lines[1:-1]
    # Damage may have joined two lines.
    return Journal(head, lines[:1], blocks, complete, damaged, len(texts) + broken)


def is_of_another_version(content: bytes) -> bool:
    """Whether a journal was written by another version of danq."""
    try:
        head = json.loads(content.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return False
    if not isinstance(head, dict) or head.get("magic") != MAGIC:
        return False
    return head.get("format_version") != FORMAT_VERSION


def part_name(number: int, name: str) -> str:
    """Name of a file of a block.

    Parameters
    ----------
    number
        Number of the block.
    name
        Name of the table or array in lower-case letters and ``_``, with ``.arrow`` or ``.npy``.
    """
    return f"{number:06d}.{name}"


def part_number(name: str) -> int | None:
    """Number of the block that a file belongs to, by its name; None for other files."""
    match = _PART.fullmatch(name)
    return int(match[1]) if match else None


def part_of(name: str) -> str:
    """The name that `part_name` made a file's name of."""
    return name.partition(".")[2]


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
    return Line(entry, match[2].decode(), end)


def _head(entry: Mapping[str, Any]) -> Head | None:
    """The content of a first line; None for other lines."""
    if entry.get("magic") != MAGIC or entry.get("format_version") != FORMAT_VERSION:
        return None
    kind, out = entry.get("kind"), entry.get("out")
    identity, names = entry.get("identity"), entry.get("input_names")
    if not (isinstance(kind, str) and isinstance(out, str) and isinstance(names, dict)):
        return None
    if not isinstance(identity, dict):
        return None
    if not all(isinstance(identity.get(name), dict) for name in ("settings", "inputs")):
        return None
    if not all(isinstance(value, str | list) for value in identity["settings"].values()):
        return None
    if not all(
        isinstance(value, list) for value in [*identity["inputs"].values(), *names.values()]
    ):
        return None
    try:
        shard = None if entry["shard"] is None else Shard(*entry["shard"])
    except (KeyError, TypeError, InputError):
        return None
    if shard is not None and {type(shard.index), type(shard.count)} != {int}:
        return None
    return Head(kind, identity, names, out, shard)


def _is_block(entry: Mapping[str, Any], block: int) -> bool:
    counts, files = entry.get("counts"), entry.get("files")
    return (
        entry.get("block") == block
        and isinstance(counts, dict)
        and all(type(count) is int and count >= 0 for count in counts.values())
        and isinstance(files, dict)
        and all(part_number(name) == block for name in files)
        and all(isinstance(checksum, str) for checksum in files.values())
    )


def _checksum(text: bytes, before: str) -> str:
    return hashlib.sha256(before.encode() + text).hexdigest()
