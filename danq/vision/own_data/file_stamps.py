"""Whether files are as they were when they were first read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from danq.errors import InputError


def stamp_of(paths: Sequence[str]) -> tuple[int, int]:
    """Size of files in bytes, and the latest time of a change in nanoseconds.

    Of a folder, its files count, without those of folders in it.

    Raises
    ------
    InputError
        When one is missing.
    """
    size = latest = 0
    for path in paths:
        try:
            for found in _states(path):
                size, latest = size + found.st_size, max(latest, found.st_mtime_ns)
        except FileNotFoundError as error:
            raise InputError("no such file", file=path, remedy="Check the path") from error
    return size, latest


def refuse_changed(source: Any, stamp: Sequence[int]) -> None:
    """Check that the files of an example have the stamp that they had.

    Parameters
    ----------
    source
        A path, or a mapping with the ``path`` of a clip and perhaps of its ``sound``.
    stamp
        As `stamp_of` returned it.

    Raises
    ------
    InputError
        When they have not.
    """
    paths = paths_of(source)
    if stamp_of(paths) != tuple(stamp):
        raise InputError(
            "has changed since danq first read it",
            file=paths[0],
            remedy="Leave the files as they are while danq reads them, and start again",
        )


def paths_of(source: Any) -> list[str]:
    """Paths of the files of an example."""
    if isinstance(source, Mapping):
        return list(dict.fromkeys(source[name] for name in ("path", "sound") if name in source))
    return [source]


def _states(path: str) -> Iterator[os.stat_result]:
    if os.path.isdir(path):
        with os.scandir(path) as entries:
            yield from (one.stat() for one in entries if one.is_file())
    else:
        yield os.stat(path)
