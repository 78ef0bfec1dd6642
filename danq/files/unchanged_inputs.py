"""Detect that an input file was written to or replaced while a run reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from danq.errors import InputError

State = tuple[int, int, int, int]


class UnchangedInputs(NamedTuple):
    """Files, and the device, inode, size and time stamp of each at the start of a run.

    Attributes
    ----------
    states
        State of each file by its path.
    """

    states: Mapping[Path, State] = MappingProxyType({})

    @classmethod
    def of(cls, paths: Iterable[object]) -> UnchangedInputs:
        """The states of the regular files among some arguments; others are ignored."""
        files = [Path(path) for path in paths if isinstance(path, str | Path)]
        return cls({file: state for file in files if (state := _state(file)) is not None})

    def check(self) -> None:
        """Check that no file has changed; one that was deleted is still read to its end.

        Raises
        ------
        InputError
            When a file was written to or replaced.
        """
        for file, before in self.states.items():
            now = _state(file)
            if now is not None and now != before:
                raise InputError(
                    "has changed while danq was reading it",
                    file=file,
                    remedy="Run the command again when the file is complete",
                )


def _state(path: Path) -> State | None:
    try:
        if not path.is_file():
            return None
        state = path.stat()
    except (OSError, ValueError):
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
