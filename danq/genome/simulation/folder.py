"""Write a whole folder under a temporary name beside its place, then rename it."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.errors import InputError


@contextmanager
def replacing_folder(path: str | Path, overwrite: bool, mark: str) -> Iterator[Path]:
    """Give a new folder beside ``path``; rename it to ``path`` when the block ends well.

    When the block raises, the new folder is removed and ``path`` is as it was.

    Parameters
    ----------
    path
        Where the folder shall lie. An empty folder there is replaced.
    overwrite
        Whether a folder that lies there may be replaced. It must hold a file named ``mark``,
        so that no folder of another kind is ever removed.
    mark
        Name of a file that every such folder holds.

    Raises
    ------
    InputError
        When something lies there that may not be replaced, the folder around it is missing or
        not writable, or the operating system refuses to write, as on a full disk.
    """
    target = Path(path)
    _check(target, overwrite, mark)
    token = secrets.token_hex(4)
    fresh = target.with_name(f".{target.name}.{token}.part")
    old = target.with_name(f".{target.name}.{token}.old")
    try:
        fresh.mkdir()
        yield fresh
        if target.exists():
            target.rename(old)
        fresh.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise InputError(
            f"cannot be written ({reason})",
            file=target,
            remedy="Choose another place, or make room",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)


def _check(target: Path, overwrite: bool, mark: str) -> None:
    if target.exists() and not target.is_dir():
        raise InputError("is a file, not a folder", file=target, remedy="Name another folder")
    if target.is_dir() and any(target.iterdir()):
        if not overwrite:
            raise InputError(
                "exists already",
                file=target,
                remedy="Choose another name, or ask for overwriting it",
            )
        if not (target / mark).is_file():
            raise InputError(
                f"holds no {mark}, so it is left as it is",
                file=target,
                remedy="Choose another name, or remove the folder yourself",
            )
    parent = target.absolute().parent
    if not parent.is_dir():
        raise InputError(f"there is no folder {parent}", file=target, remedy="Make it first")
    # Root may write anywhere; a folder that nobody may write to is still meant to be left alone.
    if not os.access(parent, os.W_OK | os.X_OK) or not parent.stat().st_mode & 0o222:
        raise InputError(
            f"the folder {parent} is not writable", file=target, remedy="Choose another place"
        )
