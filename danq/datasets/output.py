"""Write an output under a temporary name beside its place, then rename it."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.errors import InputError


def check_target(path: str | Path, overwrite: bool = False) -> Path:
    """Refuse a place where an output may not or cannot be written.

    Parameters
    ----------
    path
        Where the output shall lie.
    overwrite
        Whether a file that lies there may be replaced.

    Raises
    ------
    InputError
        When something lies there already and ``overwrite`` is false, it is a folder, or the
        folder around it is missing or not writable.
    """
    path = Path(path)
    folder = path.parent
    if path.is_dir():
        raise InputError("is a folder", file=path, remedy="Name a file")
    if path.exists() and not overwrite:
        raise InputError(
            "exists already", file=path, remedy="Choose another name, or ask for overwriting it"
        )
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", file=path, remedy="Make it first")
    # Root may write anywhere; a folder that nobody may write to is still meant to be left alone.
    if not os.access(folder, os.W_OK | os.X_OK) or not folder.stat().st_mode & 0o222:
        raise InputError(
            f"the folder {folder} is not writable", file=path, remedy="Choose another folder"
        )
    return path


@contextmanager
def replacing(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary name beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the temporary file is removed and ``path`` is as it was.

    Parameters
    ----------
    path
        Where the output shall lie.
    overwrite
        Whether a file that lies there may be replaced.

    Raises
    ------
    InputError
        As :func:`check_target`; and when the operating system refuses to write, as on a full
        disk.
    """
    target = check_target(path, overwrite)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        check_target(target, overwrite)
        os.replace(temporary, target)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise InputError(
            f"cannot be written: {reason}",
            file=target,
            remedy="Make room, or choose another disk" if full else "Choose another place",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
