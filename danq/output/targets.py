"""Check, before any work, that an output file or folder can be written.

Rules for every output:

- It is a regular file or a folder. Devices, pipes, sockets and names in ``/dev``, ``/proc`` and
  ``/sys`` are refused.
- A link to a file or folder is followed: what it leads to is replaced, and the link stays. A link
  that leads nowhere is refused. The folders above an output may be links.
- Of a file with several hard links, only the named one is replaced; the other names keep the old
  content.
- No output is an input of the same call, and no folder with such an input is replaced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from danq.errors import InputError
from danq.files.inputs_in_use import input_that_is
from danq.output.folder_marker import Objection
from danq.output.standard_output import is_standard_output
from danq.output.temporary_names import remove_leftovers
from danq.typing import Location

OVERWRITE = "Choose another name, or allow overwriting (overwrite)"

_SYSTEM = ("/dev", "/proc", "/sys")
_MEMORY = "/dev/shm"
"""A folder for files in memory, not a device."""

_MOST_LINKS = 40
"""Links that lead to each other; the limit of Linux."""


def writable(folder: Path) -> bool:
    """Whether files may be created in a folder.

    A folder without any write permission counts as read-only for root too.
    """
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def check_target(
    path: Location, overwrite: bool = False, *, remedy: str = "Choose another folder"
) -> Path:
    """Check that an output file can be written; remove what killed processes left of it.

    Parameters
    ----------
    path
        The output file.
    overwrite
        Whether an existing file may be replaced.
    remedy
        What to do when the parent folder is not writable.

    Raises
    ------
    InputError
        When the file exists and ``overwrite`` is false; the path is a folder, a pipe, a device, a
        link that leads nowhere, or ``-``; the file is an input of the same call; or the parent
        folder is missing or not writable.
    """
    path = Path(path)
    real = real_path(path)
    if real.is_dir():
        raise InputError("is a folder", file=path, remedy="Name a file")
    remove_leftovers(real)
    if real.exists() and not overwrite:
        raise already(path)
    refuse_input(real)
    _check_parent(real.parent, path, remedy)
    return path


def check_folder(
    path: Location,
    overwrite: bool = False,
    *,
    objection: Objection,
    parents: bool = False,
    remedy: str = OVERWRITE,
) -> Path:
    """Check that an output folder can be written.

    Parameters
    ----------
    path
        The output folder. It may exist if it is empty.
    overwrite
        Whether an existing folder may be replaced.
    objection
        Called with an existing folder that is not empty, such as `danq.output.marked`. A folder
        that danq did not write is never replaced.
    parents
        Whether the parent folders may be missing.
    remedy
        What to do when danq wrote the existing folder and ``overwrite`` is false.

    Returns
    -------
    Path
        The absolute path of the folder.

    Raises
    ------
    InputError
        When the path is a file, a pipe, a device, a link that leads nowhere, or ``-``; the folder
        is not empty and ``overwrite`` is false or danq did not write it; or the folder or its
        parent is missing or not writable.
    """
    path = Path(path)
    real = real_path(path)
    if real.exists() and not real.is_dir():
        raise InputError(
            "is a file, not a folder", file=path, remedy="Give the folder another name"
        )
    if real.is_dir():
        _check_parent(real, path, "Choose another folder")
        filled = any(real.iterdir())
        foreign = objection(real) if filled else None
        if filled and not overwrite:
            raise InputError(
                "exists already and is not empty",
                file=path,
                remedy="Choose another name" if foreign else remedy,
            )
        if foreign:
            raise InputError(
                f"{foreign}, so it is not replaced",
                file=path,
                remedy="Choose another folder, or remove this one yourself",
            )
    absolute = path.absolute()
    parent = real.parent if path.is_symlink() else absolute.parent
    while parents and not parent.exists():
        parent = parent.parent
    _check_parent(parent, path, "Choose another folder")
    return absolute


def check_distinct(paths: Iterable[Location]) -> None:
    """Check that the outputs of one call are different files.

    Raises
    ------
    InputError
        When two of them are the same file, also by another name or a link.
    """
    seen: dict[tuple[int, int] | str, Path] = {}
    for path in map(Path, paths):
        if is_standard_output(path):
            continue
        real = real_path(path)
        try:
            state = os.stat(real)
            key: tuple[int, int] | str = (state.st_dev, state.st_ino)
        except OSError:
            key = os.path.join(os.path.realpath(real.parent), real.name)
        if key in seen:
            also = "" if seen[key] == path else f", also as {seen[key]}"
            raise InputError(
                f"is named for two outputs of the same command{also}",
                file=path,
                remedy="Give each output another name",
            )
        seen[key] = path


def real_path(path: Path) -> Path:
    """The file or folder that is replaced: the path itself, or what a link leads to.

    Raises
    ------
    InputError
        When the path cannot be a name of a file, leads nowhere, or leads to a device, a pipe or a
        socket.
    """
    real = path
    for _ in range(_MOST_LINKS):
        _refuse_device(real, path)
        if not real.is_symlink():
            return real
        real = real.parent / os.readlink(real)
        if _mode(real, path) is None:
            raise InputError(
                f"is a link to {real}, which does not exist",
                file=path,
                remedy="Remove the link, or choose another name",
            )
    raise InputError(
        "is a link that leads to itself", file=path, remedy="Remove it, or choose another name"
    )


def refuse_input(path: Path) -> None:
    """Refuse an output that is an input of the same call.

    Raises
    ------
    InputError
        When it is.
    """
    source = input_that_is(path)
    if source is not None:
        raise InputError(
            f"is an input of the same command, and the output {path} would replace it",
            file=source,
            remedy="Choose another name for the output",
        )


def already(path: Path) -> InputError:
    """Make the error for an output that exists."""
    return InputError("exists already", file=path, remedy=OVERWRITE)


def _refuse_device(real: Path, path: Path) -> None:
    folder = os.path.realpath(real.parent)
    system = any(folder == one or folder.startswith(f"{one}/") for one in _SYSTEM)
    system = system and not (folder == _MEMORY or folder.startswith(f"{_MEMORY}/"))
    if path.name == "-" or system or _is_special(real, path):
        raise InputError(
            "is standard output, a pipe or a device, and an output is a file",
            file=path,
            remedy="Name a file",
        )


def _is_special(real: Path, path: Path) -> bool:
    # Asked once, because another process may remove the file meanwhile.
    mode = _mode(real, path)
    return mode is not None and not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _mode(real: Path, path: Path) -> int | None:
    """Kind and permissions of what has a name; None if nothing has it."""
    try:
        return os.lstat(real).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot be the name of an output: {reason}", file=path, remedy="Choose another name"
        ) from error


def _check_parent(folder: Path, path: Path, remedy: str) -> None:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", file=path, remedy="Create it first")
    if not writable(folder):
        raise InputError(f"the folder {folder} is not writable", file=path, remedy=remedy)
