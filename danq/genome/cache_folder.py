"""The cache folder, for files that danq can make again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from danq.errors import InputError


def cache_folder(kind: str) -> Path:
    """Return the cache folder for one kind of file; it is made if it does not exist.

    The cache is the folder in the environment variable ``DANQ_CACHE``, or ``~/.cache/danq``.

    Raises
    ------
    InputError
        When the folder cannot be created.
    """
    root = os.environ.get("DANQ_CACHE")
    folder = (Path(root) if root else Path.home() / ".cache" / "danq") / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the cache folder cannot be created ({error.strerror})",
            file=folder,
            remedy="Set the environment variable DANQ_CACHE to a writable folder",
        ) from error
    return folder


def stamped_name(path: Path, ending: str) -> str:
    """Name that changes with the file's path, size and modification time."""
    resolved = path.resolve()
    state = resolved.stat()
    stamp = f"{resolved}\0{state.st_size}\0{state.st_mtime_ns}"
    return f"{path.name}.{hashlib.sha256(stamp.encode()).hexdigest()[:16]}{ending}"
