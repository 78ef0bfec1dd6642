"""Output files and folders that are written whole or not at all.

An output is written under a temporary name in the same folder, then renamed.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from danq.errors import InputError, escaped
from danq.typing import Location

Objection = Callable[[Path], str | None]
"""Returns why danq cannot have written a folder, such as "holds no truth.json", or None."""

OVERWRITE = "Choose another name, or allow overwriting (overwrite)"

REJECTED = ".rejected.tsv"
"""End of the name of the table of rejects beside an output."""

LONGEST_NAME = 255
"""Bytes of the longest file name on common file systems."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DEVICES = ("/dev", "/dev/fd", "/proc/self/fd")
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")
_NUMBER = re.compile(r"(?:os error|Errno|errno =) (\d+)")


def is_leftover(path: Path) -> bool:
    """Whether this is the temporary file or folder of a process that was killed."""
    return _LEFTOVER.fullmatch(path.name) is not None


def writable(folder: Path) -> bool:
    """Whether files may be created in a folder.

    A folder without any write permission counts as read-only for root too.
    """
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK | os.X_OK)


def check_target(
    path: Location, overwrite: bool = False, *, remedy: str = "Choose another folder"
) -> Path:
    """Check that an output file can be written.

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
        When the file exists and ``overwrite`` is false; the path is a folder, a pipe or a device,
        or ``-``; or the parent folder is missing or not writable.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is a folder", file=path, remedy="Name a file")
    _refuse_stream(path)
    if path.exists() and not overwrite:
        raise InputError("exists already", file=path, remedy=OVERWRITE)
    _check_parent(path.parent, path, remedy)
    return path


def check_not_input(path: Location, inputs: Iterable[Location]) -> None:
    """Check that an output, or the table of rejects beside it, is none of the input files.

    Parameters
    ----------
    path
        The output.
    inputs
        Files that are read.

    Raises
    ------
    InputError
        When an input is the same file, also by another name or a link.
    """
    written = [Path(path), Path(f"{path}{REJECTED}")]
    for source in map(Path, inputs):
        for target in written:
            if source.is_file() and target.is_file() and source.samefile(target):
                raise InputError(
                    "is an input of the same command, and the output would replace it",
                    file=source,
                    remedy="Choose another name for the output",
                )


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
        Called with an existing folder that is not empty. A folder that danq did not write is
        never replaced.
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
        When the path is a file, a pipe or a device, or ``-``; the folder is not empty and
        ``overwrite`` is false or danq did not write it; or the folder or its parent is missing or
        not writable.
    """
    path = Path(path)
    _refuse_stream(path)
    if path.exists() and not path.is_dir():
        raise InputError(
            "is a file, not a folder", file=path, remedy="Give the folder another name"
        )
    if path.is_dir():
        _check_parent(path, path, "Choose another folder")
        foreign = objection(path) if any(path.iterdir()) else None
        if any(path.iterdir()) and not overwrite:
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
    parent = absolute.parent
    while parents and not parent.exists():
        parent = parent.parent
    _check_parent(parent, path, "Choose another folder")
    return absolute


@contextmanager
def replacing(
    path: Location, overwrite: bool = False, *, remedy: str | None = None
) -> Iterator[Path]:
    """Yield a temporary file name, and rename that file to ``path`` when the block succeeds.

    When the block raises, the temporary file is removed and ``path`` is unchanged.

    Parameters
    ----------
    path
        The output file.
    overwrite
        Whether an existing file may be replaced.
    remedy
        What to do when it cannot be written; None for the default advice.

    Raises
    ------
    InputError
        As `check_target`; and when the operating system cannot write, for example on a full disk.
    """
    advice = {} if remedy is None else {"remedy": remedy}
    target = check_target(path, overwrite, **advice)
    temporary = _temporary(target, "part")
    try:
        with write_errors(target, **advice):
            yield temporary
            check_target(target, overwrite, **advice)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(
    path: Location, overwrite: bool = False, *, objection: Objection
) -> Iterator[Path]:
    """Yield a new temporary folder, and rename it to ``path`` when the block succeeds.

    When the block raises, the new folder is removed and ``path`` is unchanged.

    Parameters
    ----------
    path, overwrite, objection
        As in `check_folder`. All files of an existing folder are replaced.

    Raises
    ------
    InputError
        As `check_folder`; and when the operating system cannot write, for example on a full disk.
    """
    # The target of a link, so that the link is kept.
    target = check_folder(path, overwrite, objection=objection).resolve()
    fresh, old = _temporary(target, "part"), _temporary(target, "old")
    opened = None
    try:
        with write_errors(Path(path)):
            fresh.mkdir()
            # An open folder is removed when a signal ends the process.
            opened = os.open(fresh, os.O_RDONLY | os.O_CLOEXEC)
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
        if opened is not None:
            os.close(opened)


@contextmanager
def write_errors(target: Path, *, remedy: str | None = None) -> Iterator[None]:
    """Turn an OSError while writing into an error that names the output.

    Parameters
    ----------
    target
        The output.
    remedy
        What to do; None for the default advice.

    Raises
    ------
    InputError
        When the block raises an OSError.
    """
    try:
        yield
    except OSError as error:
        # Some libraries drop the error number when the disk is full.
        full = error.errno is None or error.errno in _FULL
        default = "Make room, or choose another disk" if full else "Choose another folder"
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"cannot be written: {reason}", file=target, remedy=remedy or default
        ) from error


@contextmanager
def os_errors(*kinds: type[BaseException]) -> Iterator[None]:
    """Turn a library's exception about a failed write into an OSError with its error number.

    Parameters
    ----------
    kinds
        Exceptions of the library. Those without an error number in their text are raised
        unchanged.

    Raises
    ------
    OSError
        With the error number and its name.
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


def comment_lines(about: Mapping[str, object], *notes: str) -> bytes:
    r"""Comment lines of a table, with ``\n`` and the like for characters that cannot be printed.

    Parameters
    ----------
    about
        Values by name, for lines ``# name: value``, with ``-`` for a missing value.
    notes
        Texts of further lines ``# text``.
    """
    texts = {name: "-" if value is None or value == "" else value for name, value in about.items()}
    lines = [*(f"{name}: {value}" for name, value in texts.items()), *notes]
    return "".join(f"# {escaped(line)}\n" for line in lines).encode()


def _temporary(target: Path, ending: str) -> Path:
    end = f".{secrets.token_hex(4)}.{ending}"
    # The name of the file may be as long as a name may be.
    name = os.fsencode(target.name)[: LONGEST_NAME - 1 - len(end)].decode(errors="ignore")
    return target.with_name(f".{name}{end}")


def _refuse_stream(path: Path) -> None:
    other = path.exists() and not path.is_file() and not path.is_dir()
    if other or path.name == "-" or os.path.abspath(path.parent) in _DEVICES:
        raise InputError(
            "is standard output, a pipe or a device, and an output is a file",
            file=path,
            remedy="Name a file",
        )


def _check_parent(folder: Path, path: Path, remedy: str) -> None:
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", file=path, remedy="Create it first")
    if not writable(folder):
        raise InputError(f"the folder {folder} is not writable", file=path, remedy=remedy)
