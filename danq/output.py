"""Write an output under a temporary name beside its place, then rename it."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from danq.errors import InputError

Objection = Callable[[Path], str | None]
"""Says why a folder is none that danq wrote, as "holds no truth.json"; None when it is one."""

OVERWRITE = "Choose another name, or replace it (--overwrite)"

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_NUMBER = re.compile(r"(?:os error|Errno|errno =) (\d+)")


def is_leftover(path: Path) -> bool:
    """Tell whether a process that was killed left this file or folder half written."""
    return _LEFTOVER.fullmatch(path.name) is not None


def writable(folder: Path) -> bool:
    """Tell whether files may be made in a folder.

    A folder without any write permission counts as read-only for root as well: whoever
    took the permissions away wants nothing written there.
    """
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def check_target(
    path: str | Path, overwrite: bool = False, *, remedy: str = "Choose another folder"
) -> Path:
    """Refuse a place where a file may not or cannot be written.

    Parameters
    ----------
    path
        Where the file shall lie.
    overwrite
        Whether a file that lies there may be replaced.
    remedy
        What to do when the folder around it is not writable.

    Raises
    ------
    InputError
        When something lies there already and ``overwrite`` is false, it is a folder, or the
        folder around it is missing or not writable.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is a folder", file=path, remedy="Name a file")
    if path.exists() and not overwrite:
        raise InputError("exists already", file=path, remedy=OVERWRITE)
    _check_around(path.parent, path, remedy)
    return path


def check_folder(
    path: str | Path,
    overwrite: bool = False,
    *,
    objection: Objection,
    parents: bool = False,
    remedy: str = OVERWRITE,
) -> Path:
    """Refuse a place where a folder of results may not or cannot be written.

    Parameters
    ----------
    path
        Where the folder shall lie. An empty one that is there is no hindrance.
    overwrite
        Whether a folder that lies there may be replaced.
    objection
        Asked of a folder that lies there: only those that danq wrote are ever replaced.
    parents
        Whether the folders above it may be missing.
    remedy
        What to do when a folder of danq's lies there and ``overwrite`` is false.

    Returns
    -------
    Path
        Where the folder shall lie, from the root.

    Raises
    ------
    InputError
        When a file lies there; a folder lies there that is not empty and ``overwrite`` is
        false, or that danq did not write; or it or the folder around it is missing or not
        writable.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise InputError(
            "is a file, not a folder", file=path, remedy="Give the folder another name"
        )
    if path.is_dir():
        _check_around(path, path, "Choose another folder")
        strange = objection(path) if any(path.iterdir()) else None
        if any(path.iterdir()) and not overwrite:
            raise InputError(
                "exists already and is not empty",
                file=path,
                remedy="Choose another name" if strange else remedy,
            )
        if strange:
            raise InputError(
                f"{strange}, so it is not replaced",
                file=path,
                remedy="Choose another folder, or remove this one yourself",
            )
    place = path.absolute()
    around = place.parent
    while parents and not around.exists():
        around = around.parent
    _check_around(around, path, "Choose another folder")
    return place


@contextmanager
def replacing(
    path: str | Path, overwrite: bool = False, *, remedy: str | None = None
) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the temporary file is removed and ``path`` is as it was.

    Parameters
    ----------
    path
        Where the file shall lie.
    overwrite
        Whether a file that lies there may be replaced.
    remedy
        What to do when it cannot be written; None for the usual advice.

    Raises
    ------
    InputError
        As `check_target`; and when the operating system refuses to write, as on a full disk.
    """
    advice = {} if remedy is None else {"remedy": remedy}
    target = check_target(path, overwrite, **advice)
    temporary = _beside(target, "part")
    try:
        with refusals(target, **advice):
            yield temporary
            check_target(target, overwrite, **advice)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(
    path: str | Path, overwrite: bool = False, *, objection: Objection
) -> Iterator[Path]:
    """Give a new folder beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the new folder is removed and ``path`` is as it was.

    Parameters
    ----------
    path, overwrite, objection
        As for `check_folder`. A folder that is replaced is replaced whole.

    Raises
    ------
    InputError
        As `check_folder`; and when the operating system refuses to write, as on a full disk.
    """
    # Where a link leads to, so that the link stays.
    target = check_folder(path, overwrite, objection=objection).resolve()
    fresh, old = _beside(target, "part"), _beside(target, "old")
    try:
        with refusals(Path(path)):
            fresh.mkdir()
            yield fresh
            check_folder(path, overwrite, objection=objection)
            if target.exists():
                target.rename(old)
            fresh.rename(target)
    finally:
        if old.exists() and not target.exists():
            with suppress(OSError):
                old.rename(target)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def refusals(target: Path, *, remedy: str | None = None) -> Iterator[None]:
    """Turn a refusal of the operating system to write into an error that names the output.

    Parameters
    ----------
    target
        What is being written.
    remedy
        What to do; None for the usual advice.

    Raises
    ------
    InputError
        When the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        # Libraries that lose the number lose it when the disk is full.
        full = error.errno is None or error.errno in _FULL
        usual = "Make room, or choose another disk" if full else "Choose another place"
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"cannot be written: {reason}", file=target, remedy=remedy or usual
        ) from error


@contextmanager
def os_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turn what a library raises when the system refuses to write into a proper OSError.

    Parameters
    ----------
    kinds
        Exceptions of the library; one whose text holds no error number is passed on as it
        is, as are all others.

    Raises
    ------
    OSError
        With the number and its name.
    """
    try:
        yield
    except (OSError, *kinds) as error:
        match = _NUMBER.search(str(error))
        number = getattr(error, "errno", None) or (match and int(match[1]))
        if not number:
            raise
        reason = errno.errorcode.get(number, str(number))
        raise OSError(number, f"{reason}: {error}") from error


def comment_lines(about: Mapping[str, object]) -> bytes:
    """Lines ``# name: value`` that head a table, with ``-`` where there is no value."""
    words = {name: "-" if value is None or value == "" else value for name, value in about.items()}
    return "".join(f"# {name}: {value}\n" for name, value in words.items()).encode()


def _beside(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.{ending}")


def _check_around(folder: Path, path: Path, remedy: str) -> None:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", file=path, remedy="Make it first")
    if not writable(folder):
        raise InputError(f"the folder {folder} is not writable", file=path, remedy=remedy)
