"""A folder of blocks: what danq wrote in it, and how it is made and deleted.

The folder has its final name only while it holds a journal. It is made under a temporary name, and
gets one again before its files are deleted.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from danq.errors import InputError
from danq.file_lock import FileLock
from danq.inference.blocks.journal import (
    MAGIC,
    Journal,
    is_of_another_version,
    part_number,
    read_journal,
)
from danq.inference.blocks.shard import Shard, is_shard_name, shard_folders
from danq.output import check_folder, write_errors
from danq.output.temporary_names import PART, leftovers, locked, temporary_name

JOURNAL = "journal.jsonl"
ENDING = ".unfinished"

_LONGEST = 1 << 30
"""Bytes of a journal above which it is not danq's."""

_KEPT_BY_NFS = ".nfs"
"""Start of the names of deleted files that a process still has open on NFS."""

log = logging.getLogger("danq")


def folder_of(out: Path, shard: Shard | None = None) -> Path:
    """Folder of the completed blocks of an output, or of a shard of it.

    Raises
    ------
    InputError
        When the output is named by its place only, such as ``.``.
    """
    if out.name in ("", ".."):
        raise InputError(
            "is not a name, and blocks are stored beside the output under its name",
            file=out,
            remedy="Name the output, for example as ../tracks",
        )
    return out.with_name(out.name + ENDING) if shard is None else shard.folder(out)


def check_unfinished(out: Path, replace: bool, shard: Shard | None = None) -> None:
    """Check that the folder of completed blocks of an output can be written.

    Parameters
    ----------
    out
        The output.
    replace
        Whether the folder may exist, because the run is continued or discarded.
    shard
        The shard of the run that is computed; None for all blocks.

    Raises
    ------
    InputError
        As `danq.output.check_folder`; when the folder is a link, or another process uses it; when
        there are shards of the same output with another number of shards.
    """
    folder = folder_of(out, shard)
    if folder.is_symlink():
        raise InputError(
            "is a link, and danq stores completed blocks in a separate folder",
            file=folder,
            remedy="Remove the link, or choose another output",
        )
    if shard is not None:
        _check_other_shards(out, shard)
    if objection(folder) is None:
        with suppress(OSError):
            FileLock(folder / JOURNAL, folder).close()
    check_folder(
        folder,
        replace,
        objection=objection,
        remedy="Continue that run (resume) or discard it (overwrite)",
    )


def check_not_both(out: Path, what: str, *, resume: bool, overwrite: bool) -> None:
    """Check that stored blocks are not to be continued and discarded at the same time.

    Parameters
    ----------
    out
        The output.
    what
        What the blocks belong to: a run or a shard.
    resume, overwrite
        What is asked for.

    Raises
    ------
    InputError
        When both are set.
    """
    if resume and overwrite:
        raise InputError(
            "resume and overwrite are both set",
            file=out,
            remedy=f"Use resume to continue an unfinished {what}, overwrite to discard it",
        )


def _check_other_shards(out: Path, shard: Shard) -> None:
    """Refuse shards of which `danq.merge` could not say which belong together."""
    with suppress(OSError):
        for other, path in shard_folders(out).items():
            if other.count != shard.count and objection(path) is None:
                raise InputError(
                    f"is a shard of the same output, one of {other.count} instead of {shard.count}",
                    file=path,
                    remedy=f"Use {other.count} shard{'s' * (other.count != 1)}, choose another "
                    "output, or remove this shard",
                )


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file of the folder, never through a link.

    Raises
    ------
    OSError
        When the file cannot be opened, or is a link or not a regular file.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return os.fdopen(number, "rb")


def read_bytes(path: Path) -> bytes:
    """Content of a file, opened with `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def write_new(path: Path, content: bytes | memoryview) -> None:
    """Write a new file and flush it to disk.

    Raises
    ------
    OSError
        When the file exists or cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where the file system can do so."""
    try:
        number = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


def make_folder(folder: Path, head: bytes) -> FileLock | None:
    """Make the folder with the first line of its journal, and lock it.

    Parameters
    ----------
    folder
        The folder; it may exist if it is empty.
    head
        First line of the journal.

    Returns
    -------
    FileLock or None
        The lock of the journal; None if another process made the folder at the same time.

    Raises
    ------
    InputError
        When the operating system cannot write.
    """
    fresh = temporary_name(folder)
    lock = None
    with write_errors(folder):
        try:
            fresh.mkdir()
            with locked(fresh):
                write_new(fresh / JOURNAL, head)
                lock = FileLock(fresh / JOURNAL, folder)
                sync_folder(fresh)
                os.rename(fresh, folder)
            sync_folder(folder.parent)
        except BaseException as error:
            _delete_files(fresh)
            if lock is not None:
                lock.close()
            with suppress(OSError):
                fresh.rmdir()
            taken = isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            if not taken:
                raise
            return None
    return lock


def delete_folder(folder: Path, lock: FileLock) -> None:
    """Delete the files that danq wrote in a locked folder, then free the lock and delete it.

    A folder that cannot be deleted, or has a file of somebody else, is a warning.
    """
    gone = folder
    try:
        if foreign_file(folder, journal_in(folder)) is None:
            gone = temporary_name(folder)
            os.rename(folder, gone)
        _delete_files(gone)
    except OSError as error:
        log.warning("%s: cannot be deleted (%s)", folder, error.strerror)
    # NFS keeps a deleted file, and so its folder, until the file is closed.
    lock.close()
    try:
        gone.rmdir()
    except OSError as error:
        if error.errno != errno.ENOENT:
            log.warning("%s: cannot be deleted (%s)", gone, error.strerror)


def delete_leftovers(folder: Path) -> None:
    """Delete the folders that a killed process was making or deleting."""
    for other in leftovers(folder, PART):
        with suppress(OSError, InputError):
            if objection(other) is None:
                with FileLock(other / JOURNAL, other):
                    _delete_files(other)
            other.rmdir()


def foreign_file(folder: Path, journal: Journal) -> str | None:
    """Name of a file in the folder that danq did not write; None if there is none."""
    for name in sorted(os.listdir(folder)):
        number = part_number(name)
        ours = name == JOURNAL or (number is not None and journal.may_have(number))
        if name.startswith(_KEPT_BY_NFS):
            continue
        if not ours or not _is_regular(folder / name):
            return name
    return None


def journal_in(folder: Path) -> Journal:
    """The journal of a folder.

    Raises
    ------
    OSError
        When it cannot be read.
    """
    return read_journal(read_bytes(folder / JOURNAL))


def _is_regular(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)


def _delete_files(folder: Path) -> None:
    """Delete blocks, and the journal last, which shows that danq wrote them."""
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            if part_number(name) is not None and _is_regular(folder / name):
                os.unlink(folder / name)
        (folder / JOURNAL).unlink(missing_ok=True)


def objection(folder: Path) -> str | None:
    """Why danq cannot have written a folder; None if it did."""
    what = "a shard" if is_shard_name(folder.name) else "an unfinished run"
    try:
        if folder.is_symlink() or (folder / JOURNAL).lstat().st_size > _LONGEST:
            return f"is not {what} of danq"
        content = read_bytes(folder / JOURNAL)
        journal = read_journal(content)
        if journal.head is None:
            return _strange_head(content, what)
        own, shard = folder_of(Path(journal.head.out), journal.head.shard).name, journal.head.shard
        if own != folder.name and (what == "a shard" or (shard and folder.name.endswith(ENDING))):
            name = "an unfinished run" if shard is None else f"shard {shard}"
            return f"is {name} of '{journal.head.out}' under another name"
        name = foreign_file(folder, journal)
    except OSError:
        return f"is not {what} of danq"
    return None if name is None else f"has a file '{name}' that danq did not write"


def _strange_head(content: bytes, what: str) -> str:
    if is_of_another_version(content):
        return "was written by another version of danq"
    if f'"magic": "{MAGIC}"'.encode() in content[:100]:
        return f"has a damaged {JOURNAL} (line 1)"
    return f"is not {what} of danq"
