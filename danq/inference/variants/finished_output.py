"""How a finished output is recognised: sizes and checksums of its files in the table of rejects.

The table has a comment line with a note: what the run depended on, its counts, each file of the
output, and the checksum of the table itself, computed with zeros in its place.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from danq.errors import InputError
from danq.files.open_input import open_raw
from danq.provenance import sha256_of

RUN = "run: "
_START = f"# {RUN}".encode()
_TABLE = "table"
_ZEROS = b"0" * 64
_BUFFER = 1 << 20
_REMEDY = "Restore the file, or score the variants again and allow overwriting (overwrite)"


class FinishedOutput(NamedTuple):
    """The note in a table of rejects.

    Attributes
    ----------
    run
        Checksum of what the run depended on.
    counts
        Counts of the run.
    files
        Size and SHA-256 of each file of the output, by the end of its name.
    """

    run: str
    counts: Mapping[str, int]
    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(
        cls, run: str, counts: Mapping[str, int], out: Path, files: Sequence[Path]
    ) -> FinishedOutput:
        """The note for the files of an output that exist.

        Raises
        ------
        OSError, InputError
            When a file cannot be read.
        """
        states = {
            file.name.removeprefix(out.name): (file.stat().st_size, sha256_of(file))
            for file in files
            if file.exists()
        }
        return cls(run, counts, states)

    def text(self) -> str:
        """The note as the text of a comment line, with zeros for the checksum of the table."""
        return RUN + json.dumps({**self._asdict(), _TABLE: _ZEROS.decode()})

    def check(self, out: Path) -> None:
        """Check that the files of an output are as the run wrote them.

        Raises
        ------
        InputError
            When one is missing or has changed.
        """
        for ending, (size, checksum) in self.files.items():
            file = out.with_name(out.name + ending)
            if not file.is_file():
                raise InputError(
                    "is missing, although the run was complete", file=file, remedy=_REMEDY
                )
            now = file.stat().st_size
            if now != size:
                reason = f"{now:,} bytes instead of {size:,}"
            elif sha256_of(file) != checksum:
                reason = "its checksum differs"
            else:
                continue
            raise InputError(
                f"has changed since the run was complete ({reason})", file=file, remedy=_REMEDY
            )


def seal_table(path: Path, head: bytes) -> None:
    """Write the checksum of a table of rejects into its note.

    Parameters
    ----------
    path
        The table.
    head
        The lines at its start.

    Raises
    ------
    OSError
        When the operating system cannot write.
    """
    at = head.rindex(_ZEROS)
    checksum = sha256_of(path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(checksum.encode())


def read_finished(path: Path) -> FinishedOutput | None:
    """The note in a table of rejects; None if there is none.

    Raises
    ------
    InputError
        When the table has changed since it was written.
    """
    sha = hashlib.sha256()
    found: dict[str, Any] | None = None
    with open_raw(path) as file:
        while (line := file.readline(_BUFFER)).startswith(b"#"):
            if line.startswith(_START):
                found = _parsed(line)
                at = -1 if found is None else line.rfind(str(found[_TABLE]).encode())
                if at >= 0:
                    line = line[:at] + _ZEROS + line[at + len(_ZEROS) :]
            sha.update(line)
        while line:
            sha.update(line)
            line = file.read(_BUFFER)
    if found is None:
        return None
    if found.pop(_TABLE) != sha.hexdigest():
        raise InputError("has changed since the run was complete", file=path, remedy=_REMEDY)
    return FinishedOutput(**found)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        note = json.loads(line[len(_START) :])
    except (ValueError, RecursionError):
        return None
    if not isinstance(note, dict) or set(note) != {*FinishedOutput._fields, _TABLE}:
        return None
    kinds = {"run": str, "counts": dict, "files": dict, _TABLE: str}
    if any(not isinstance(note[name], kind) for name, kind in kinds.items()):
        return None
    states = all(
        isinstance(state, list)
        and len(state) == 2
        and type(state[0]) is int
        and isinstance(state[1], str)
        and "/" not in ending
        for ending, state in note["files"].items()
    )
    counts = all(type(count) is int and count >= 0 for count in note["counts"].values())
    return note if states and counts else None
