"""Where danq keeps files that it can make again."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from danq.errors import InputError


def cache_folder(kind: str) -> Path:
    """Return the cache's folder for one kind of file, making it first.

    The cache lies where the environment variable ``DANQ_CACHE`` says, or in
    ``~/.cache/danq``.

    Raises
    ------
    InputError
        When the folder cannot be made.
    """
    root = os.environ.get("DANQ_CACHE")
    folder = (Path(root) if root else Path.home() / ".cache" / "danq") / kind
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the cache folder cannot be made ({error.strerror})",
            file=folder,
            remedy="Name a writable folder in the environment variable DANQ_CACHE",
        ) from error
    return folder


def stamped_name(path: Path, ending: str) -> str:
    """Name that changes with the file's place, size and time of writing."""
    resolved = path.resolve()
    state = resolved.stat()
    stamp = f"{resolved}\0{state.st_size}\0{state.st_mtime_ns}"
    return f"{path.name}.{hashlib.sha256(stamp.encode()).hexdigest()[:16]}{ending}"
