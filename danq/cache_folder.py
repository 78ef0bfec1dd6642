"""The cache folder, for files that danq can make again."""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from danq.errors import InputError

VARIABLE = "DANQ_CACHE"
"""Environment variable that names the cache folder."""

_REMEDY = f"Set the environment variable {VARIABLE} to a writable folder"

_SAMPLES, _SAMPLE = 16, 1 << 12
"""Samples of a file, and bytes of each."""

log = logging.getLogger("danq")


def cache_folder(kind: str) -> Path:
    """Return the cache folder for one kind of file; it is made if it does not exist.

    The cache is the folder in the environment variable ``DANQ_CACHE``, or ``danq`` in the folder
    in ``XDG_CACHE_HOME``, or ``~/.cache/danq``. If ``DANQ_CACHE`` is not set and the folder is not
    writable, as in a container without a home directory, the cache is a temporary folder. It is
    deleted when the process ends, and a notice names it.

    Raises
    ------
    InputError
        When the folder in ``DANQ_CACHE`` is not writable, or no temporary folder can be made.
    """
    folder = _root()
    if folder is not None and (problem := _problem(folder / kind)) is None:
        return folder / kind
    if folder is not None and os.environ.get(VARIABLE):
        raise InputError(
            f"the cache folder cannot be created ({problem})", file=folder / kind, remedy=_REMEDY
        )
    temporary = _temporary_root() / kind
    temporary.mkdir(exist_ok=True)
    return temporary


def lasting_cache_folder(kind: str) -> Path | None:
    """As `cache_folder`, but None where the folder would be temporary or is not writable."""
    folder = _root()
    return None if folder is None or _problem(folder / kind) else folder / kind


def stamped_name(path: Path, ending: str) -> str:
    """Name that changes with a file's path, size, modification time and samples of its content.

    The samples include the end of the file, where gzip stores the checksum of the content.
    """
    resolved = path.resolve()
    with resolved.open("rb") as handle:
        state = os.fstat(handle.fileno())
        stamp = hashlib.sha256(f"{resolved}\0{state.st_size}\0{state.st_mtime_ns}".encode())
        for number in range(_SAMPLES):
            last = max(0, state.st_size - _SAMPLE)
            stamp.update(os.pread(handle.fileno(), _SAMPLE, last * number // (_SAMPLES - 1)))
    return f"{path.name}.{stamp.hexdigest()[:16]}{ending}"


def accepts_files(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made if it does not exist."""
    return _problem(folder) is None


def _root() -> Path | None:
    if given := os.environ.get(VARIABLE):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification ignores a relative path
        return Path(base) / "danq"
    try:
        return Path.home() / ".cache" / "danq"
    except RuntimeError:  # no HOME, and the system does not know the user
        return None


def _problem(folder: Path) -> str | None:
    """Why files cannot be made in a folder; permissions do not show a read-only file system."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


@lru_cache(maxsize=1)
def _temporary_root() -> Path:
    try:
        folder = tempfile.mkdtemp(prefix="danq-cache-")
    except OSError as error:
        raise InputError(
            f"no cache folder and no temporary folder is writable ({error})", remedy=_REMEDY
        ) from error
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    log.info(
        "The cache folder is not writable, so files go to %s until the process ends. Set the "
        "environment variable %s to keep them",
        folder,
        VARIABLE,
    )
    return Path(folder)
