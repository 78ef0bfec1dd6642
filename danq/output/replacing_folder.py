"""Output folders that appear whole or not at all, with a marker of what danq wrote into them."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from danq.errors import InputError
from danq.files.inputs_in_use import check_unchanged, input_within
from danq.output.folder_marker import mark_folder, marked, read_marker, remove_marked
from danq.output.targets import check_folder, real_path
from danq.output.temporary_names import (
    OLD,
    leftovers,
    locked,
    new_folder,
    remove_leftovers,
    temporary_name,
)
from danq.output.write_errors import write_errors
from danq.typing import Location


@contextmanager
def replacing_folder(
    path: Location, overwrite: bool = False, *, kind: str, patterns: Iterable[str] = ()
) -> Iterator[Path]:
    """Yield a new temporary folder, and rename it to ``path`` when the block succeeds.

    When the block raises, the new folder is removed and ``path`` is unchanged. The new folder gets
    a marker that lists its files; see `danq.output.folder_marker`.

    Parameters
    ----------
    path
        The output folder.
    overwrite
        Whether an existing folder may be replaced: one of this kind, which contains nothing but
        files that danq wrote.
    kind
        What the folder is: "evaluation".
    patterns
        Files that danq writes into it later; see `danq.output.folder_marker.mark_folder`.

    Raises
    ------
    InputError
        As `check_output_folder`; and when the operating system cannot write, for example on a
        full disk.
    """
    check_output_folder(path, overwrite, kind=kind)
    target = real_path(Path(path)).absolute()
    old = temporary_name(target, OLD)
    with ExitStack() as locks, write_errors(Path(path)):
        try:
            fresh = locks.enter_context(new_folder(target))
            yield fresh
            mark_folder(fresh, kind, patterns)
            check_output_folder(path, overwrite, kind=kind)
            check_unchanged(target)
            if overwrite and target.exists():
                locks.enter_context(locked(target))
                target.rename(old)
            _place(fresh, target, Path(path))
        finally:
            if old.exists() and not target.exists():
                with suppress(OSError):
                    old.rename(target)
            if target.exists():
                _remove_old(old)


def check_output_folder(path: Location, overwrite: bool = False, *, kind: str) -> Path:
    """As `danq.output.check_folder`, for a folder of a kind that `replacing_folder` writes.

    A folder that a killed process had moved aside is first put back.

    Raises
    ------
    InputError
        As `danq.output.check_folder`; when the folder contains an input of the same call.
    """
    path = Path(path)
    recover_folder(path)
    absolute = check_folder(path, overwrite, objection=marked(kind))
    refuse_input_within(path)
    return absolute


def recover_folder(path: Path) -> None:
    """Put a folder back that a killed process had moved aside, and remove what it was writing."""
    target = real_path(path)
    remove_leftovers(target)
    for old in leftovers(target, OLD):
        with suppress(OSError):
            if read_marker(old) is None:
                old.rmdir()  # if it is empty
            elif target.exists():
                _remove_old(old)
            else:
                old.rename(target)


def refuse_input_within(folder: Path) -> None:
    """Refuse to replace or empty a folder with an input of the same call.

    Raises
    ------
    InputError
        When an input is in the folder.
    """
    source = input_within(folder) if folder.is_dir() else None
    if source is not None:
        raise InputError(
            f"is an input of the same command, and is in the folder {folder}, which the output "
            "would replace",
            file=source,
            remedy="Choose another name for the output",
        )


def _place(fresh: Path, target: Path, path: Path) -> None:
    try:
        # Replaces an empty folder only.
        fresh.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise InputError(
            "was created by another process meanwhile", file=path, remedy="Choose another name"
        ) from error


def _remove_old(old: Path) -> None:
    with suppress(OSError):
        remove_marked(old)
