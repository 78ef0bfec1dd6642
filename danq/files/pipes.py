"""Pipes as input: a pipe can be read only once, so its content is copied to a temporary file."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from danq.errors import InputError
from danq.files.inputs_in_use import note_input

_BUFFER = 1 << 20

_STANDARD_INPUT = Path("/dev/stdin")


class _Copies:
    """Temporary files with the content of pipes, by device and inode of the pipe."""

    def __init__(self) -> None:
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.files: dict[tuple[int, int], Path] = {}
        self.lock = threading.Lock()

    def copy_of(self, path: Path, state: os.stat_result) -> Path:
        key = (state.st_dev, state.st_ino)
        with self.lock:
            if key not in self.files:
                self.files[key] = self._copy(path)
            return self.files[key]

    def _copy(self, path: Path) -> Path:
        try:
            if self.folder is None:
                self.folder = tempfile.TemporaryDirectory(prefix="danq-")
            # Readers look at extensions, so the copy keeps the name.
            target = Path(self.folder.name) / str(len(self.files)) / path.name
            target.parent.mkdir()
            # A socket, which some programs give as standard input, has no path to open.
            source = os.dup(0) if path == _STANDARD_INPUT else path
            with open(source, "rb") as pipe, target.open("wb") as file:
                shutil.copyfileobj(pipe, file, _BUFFER)
        except OSError as error:
            raise InputError(
                f"the pipe cannot be copied to a temporary file ({error.strerror})",
                file=path,
                remedy="Set the environment variable TMPDIR to a folder with enough space, or "
                "write the data to a file",
            ) from error
        return target

    def remove(self) -> None:
        if self.folder is not None:
            self.folder.cleanup()


_copies: _Copies | None = None


@contextmanager
def copied_pipes() -> Iterator[None]:
    """Copy each pipe that is opened within the block to a temporary file, which is read instead.

    All readers of one pipe get its whole content. The files are deleted at the end of the block.
    """
    global _copies
    before, _copies = _copies, _Copies()
    try:
        yield
    finally:
        _copies.remove()
        _copies = before


def remove_copies() -> None:
    """Delete all copies, when the process is about to end."""
    if _copies is not None:
        _copies.remove()


def is_pipe(path: str | Path) -> bool:
    """Whether a path is a pipe or a socket: its content can be read only once.

    Raises
    ------
    OSError
        When there is no such file.
    """
    mode = os.stat(path).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def local_path(path: str | Path) -> Path:
    """The path at which a file's content can be read any number of times.

    Parameters
    ----------
    path
        File, folder or pipe (``<(...)`` of a shell, a named pipe, ``/dev/stdin``).

    Returns
    -------
    Path
        The path itself, or inside `copied_pipes` the copy of a pipe's content.

    Raises
    ------
    InputError
        When it is a pipe outside `copied_pipes`, a device, or a pipe that cannot be copied.
    """
    path = Path(path)
    try:
        state = path.stat()
    except OSError:
        # The reader reports what is wrong with its file.
        return path
    mode = state.st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        note_input(path)
        return path
    read_once = stat.S_ISFIFO(mode) or (stat.S_ISSOCK(mode) and path == _STANDARD_INPUT)
    if read_once and _copies is not None:
        return _copies.copy_of(path, state)
    if read_once:
        raise InputError(
            "is a pipe, which can be read only once",
            file=path,
            remedy="Write its content to a file, and give that file",
        )
    raise InputError(
        "is a device or a socket, not a file", file=path, remedy="Give the path of a file"
    )
