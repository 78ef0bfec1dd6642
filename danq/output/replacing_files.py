"""Output files that appear whole, several of them together, or not at all.

An output is written under a temporary name in the same folder, then renamed. Without permission to
overwrite, it gets its name only if no file has it, also if one was created meanwhile.

Several outputs get their names one after the other, the main one last. Until then the files that
they replace are kept under temporary names: an error restores them, and after the end of a killed
process the next call does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from danq.errors import InputError
from danq.files.inputs_in_use import check_unchanged, note_written
from danq.output.targets import already, check_distinct, check_target, real_path
from danq.output.temporary_names import (
    OLD,
    leftovers,
    locked,
    new_file,
    temporary_name,
)
from danq.output.write_errors import write_errors
from danq.typing import Location

_NO_HARD_LINKS = (
    errno.EPERM,
    errno.EACCES,
    errno.EMLINK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EXDEV,
)


@dataclass(frozen=True)
class OutputFile:
    """One of several files of an output.

    Attributes
    ----------
    path
        The file.
    recognised
        Whether an existing file may be one that danq wrote, by its content. For files whose names
        the user did not give; None for the others.
    optional
        Whether it may not be written. An existing one is then removed, because it would belong to
        the output that is replaced.
    """

    path: Path
    recognised: Callable[[Path], bool] | None = None
    optional: bool = False


def check_files(
    files: Sequence[OutputFile], overwrite: bool = False, *, remedy: str | None = None
) -> None:
    """Check that output files can be written; first complete what a killed process left.

    Parameters
    ----------
    files
        The files, the main one last.
    overwrite
        Whether existing files may be replaced.
    remedy
        What to do when the folder is not writable; None for the default advice.

    Raises
    ------
    InputError
        As `check_target` and `check_distinct`; when a file whose name the user did not give
        exists and is not recognised.
    """
    check_distinct(one.path for one in files)
    recover_files([one.path for one in files])
    for one in files:
        advice = {} if remedy is None else {"remedy": remedy}
        check_target(one.path, overwrite, **advice)
        if one.recognised is not None and one.path.exists() and not one.recognised(one.path):
            raise InputError(
                "would be replaced, and danq did not write it",
                file=one.path,
                remedy="Move it, or choose another name for the output",
            )


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
    with replacing_files([OutputFile(Path(path))], overwrite, remedy=remedy) as temporaries:
        yield temporaries[0]


@contextmanager
def replacing_files(
    files: Sequence[OutputFile], overwrite: bool = False, *, remedy: str | None = None
) -> Iterator[list[Path]]:
    """As `replacing`, for files that all appear or none.

    Parameters
    ----------
    files
        The files, the main one last.
    overwrite, remedy
        As in `replacing`.

    Yields
    ------
    list
        Temporary names, in that order. The files exist and are empty.

    Raises
    ------
    InputError
        As `check_files`; and when the operating system cannot write.
    """
    check_files(files, overwrite, remedy=remedy)
    targets = [real_path(one.path) for one in files]
    with ExitStack() as stack:
        temporaries: list[Path] = []
        for one, target in zip(files, targets, strict=True):
            with write_errors(one.path, remedy=remedy):
                temporaries.append(stack.enter_context(new_file(target)))
                note_written(temporaries[-1])
        with write_errors(files[-1].path, remedy=remedy):
            yield temporaries
            check_files(files, overwrite, remedy=remedy)
            check_unchanged(targets[-1])
            _place(files, targets, temporaries, overwrite)


def _place(
    files: Sequence[OutputFile],
    targets: Sequence[Path],
    temporaries: Sequence[Path],
    overwrite: bool,
) -> None:
    """Give the files their names; restore the old state if that fails."""
    absent = [
        one.optional and temporary.stat().st_size == 0
        for one, temporary in zip(files, temporaries, strict=True)
    ]
    new = [_inode(temporary) for temporary in temporaries]
    with ExitStack() as locks:
        olds: dict[Path, Path] = {}
        try:
            if len(files) > 1:
                # The main one first: `_recover` relies on that.
                for target in reversed(targets):
                    if target.exists():
                        olds[target] = temporary_name(target, OLD)
                        _keep(target, olds[target])
                        locks.enter_context(locked(olds[target]))
            for one, target, temporary, missing in zip(
                files, targets, temporaries, absent, strict=True
            ):
                if missing:
                    target.unlink(missing_ok=True)
                elif overwrite:
                    os.replace(temporary, target)
                else:
                    _name_new(temporary, target, one.path)
                note_written(target)
        except BaseException:
            for target, inode in zip(targets, new, strict=True):
                old = olds.get(target)
                if old is not None and old.exists():
                    _restore(old, target)
                elif old is None and _inode(target) == inode:
                    target.unlink()
            raise
        for old in olds.values():
            old.unlink(missing_ok=True)


def _name_new(temporary: Path, target: Path, path: Path) -> None:
    """Rename a file, unless another file has the name."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError as error:
        raise already(path) from error
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _name_without_link(temporary, target, path)


def _name_without_link(temporary: Path, target: Path, path: Path) -> None:
    try:
        # Of two processes, only one creates it.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except FileExistsError as error:
        raise already(path) from error
    try:
        os.replace(temporary, target)
    except BaseException:
        target.unlink()
        raise


def _keep(target: Path, old: Path) -> None:
    """Give the file of an output another name; with hard links, it keeps its own, too."""
    try:
        os.link(target, old, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        os.rename(target, old)


def recover_files(paths: Sequence[Path]) -> None:
    """Restore the files that a killed process was replacing, or remove them if it had replaced all.

    Parameters
    ----------
    paths
        The files of an output. The last one, the main one, is replaced last, and its old file is
        removed first.
    """
    if len(paths) < 2:
        return
    targets = [real_path(path) for path in paths]
    olds = {target: found[0] for target in targets if (found := leftovers(target, OLD))}
    if not olds:
        return
    main = targets[-1]
    unplaced = _inode(main) in (None, _inode(olds.get(main)))
    with suppress(OSError):
        for target, old in olds.items():
            if unplaced:
                _restore(old, target)
        for old in reversed(olds.values()):
            old.unlink(missing_ok=True)


def _restore(old: Path, target: Path) -> None:
    # A rename keeps two names of one file, and a full disk refuses it.
    if _inode(old) != _inode(target):
        os.replace(old, target)
    old.unlink(missing_ok=True)


def _inode(path: Path | None) -> tuple[int, int] | None:
    try:
        state = os.lstat(path) if path is not None else None
    except OSError:
        return None
    return (state.st_dev, state.st_ino) if state is not None else None
