"""Completed blocks of a variant run, stored next to its output until the output is complete.

An interrupted run resumes after its last completed block. A block is a few files. It is complete
once the journal has an entry with the checksums of its files, which are on disk before the entry.
Files without an entry are deleted.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from danq.errors import InputError
from danq.output import OVERWRITE, check_folder, os_errors, write_errors
from danq.provenance import Provenance, sha256_of

MAGIC = "danq-blocks"
FORMAT_VERSION = 4
JOURNAL = "journal.jsonl"
ENDING = ".unfinished"
VALUES = "values"


log = logging.getLogger("danq")


class FinishedBlock(NamedTuple):
    """One completed block.

    Attributes
    ----------
    tables
        Tables by name: rows, rejects, and for VCF output the input lines.
    values
        ``(V, C)`` float32.
    counts
        Counts of the block.
    """

    tables: Mapping[str, pl.DataFrame]
    values: np.ndarray
    counts: Mapping[str, int]


class FinishedBlocks:
    """The directory of completed blocks: a context manager that locks it for one process.

    Parameters
    ----------
    out
        Output of the run; the directory is named after it.
    provenance
        What the blocks depend on: a run is resumed only if its provenance agrees.
    resume
        Continue with the stored blocks.
    overwrite
        Discard the stored blocks.

    Raises
    ------
    InputError
        When there are blocks of another run, or any blocks and neither ``resume`` nor
        ``overwrite`` is set; when another process uses them; when the directory cannot be written
        or was not made by danq.
    """

    def __init__(
        self,
        out: Path,
        provenance: Provenance,
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder = folder_of(out)
        self._counts: list[dict[str, int]] = []
        self._provenance = provenance
        check_unfinished(out, resume or overwrite)
        self._removed = False
        # A block is written while the next one is scored.
        self._worker = ThreadPoolExecutor(1)
        self._writing: Future[Mapping[str, int]] | None = None
        self._journal = self._locked()
        try:
            if not resume:
                self._clear()
            self._read_journal()
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> FinishedBlocks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        ended_well = kind is None
        try:
            self._settle()
        except InputError:
            if ended_well:
                ended_well = False
                raise
        finally:
            self._worker.shutdown()
            if not (ended_well or self._removed):
                self._leave()
            with suppress(OSError):
                self._journal.close()

    def _leave(self) -> None:
        if self.counts:
            log.info("%s: completed blocks are kept, so that the run can be resumed", self.folder)
        else:
            self.remove()

    @property
    def counts(self) -> list[dict[str, int]]:
        """Counts of the completed blocks."""
        self._settle()
        return self._counts

    def __iter__(self) -> Iterator[FinishedBlock]:
        for number, counts in enumerate(self.counts):
            tables = {
                file.name.split(".")[1]: pl.read_ipc(file)
                for file in sorted(self.folder.glob(f"{number:06d}.*.arrow"))
            }
            yield FinishedBlock(tables, self.values(number), counts)

    def values(self, number: int) -> np.ndarray:
        """``(V, C)`` values of a completed block, memory-mapped."""
        self._settle()
        return np.load(self._file(number, VALUES, "npy"), mmap_mode="r")

    def add(self, block: FinishedBlock) -> None:
        """Write a block and then its journal entry, in the background.

        Raises
        ------
        InputError
            When the operating system could not write the previous block, for example on a full
            disk. For the last block, the next method call or the end of the ``with`` raises.
        """
        self._writing = self._worker.submit(self._write, len(self.counts), block)

    def remove(self) -> None:
        """Delete the directory."""
        with suppress(InputError):
            self._settle()
        # Locked until it is deleted, so that no other process resumes from it.
        shutil.rmtree(self.folder, ignore_errors=True)
        self._removed = True
        self._journal.close()
        # NFS keeps a deleted file, and so its directory, until the file is closed.
        with suppress(OSError):
            self.folder.rmdir()

    def _write(self, number: int, block: FinishedBlock) -> Mapping[str, int]:
        with write_errors(self.folder):
            for name, table in block.tables.items():
                with os_errors(PolarsError):
                    table.write_ipc(self._file(number, name, "arrow"))
            np.save(self._file(number, VALUES, "npy"), block.values)
            files = self._files(number)
            checksums = {file.name: sha256_of(file) for file in files}
            for path in (*files, self.folder):
                _sync(path)
            self._note({"counts": dict(block.counts), "files": checksums})
        return dict(block.counts)

    def _settle(self) -> None:
        """Wait until the journal has an entry for each block."""
        if (writing := self._writing) is not None:
            # After an interrupt here, the block must still be waited for.
            wait([writing])
            self._writing = None
            self._counts.append(dict(writing.result()))

    def _locked(self) -> BinaryIO:
        """Open and lock the journal."""
        while True:
            with write_errors(self.folder):
                self.folder.mkdir(exist_ok=True)
                journal = (self.folder / JOURNAL).open("a+b")
            try:
                fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                journal.close()
                raise InputError(
                    "another process is writing this output",
                    file=self.folder,
                    remedy="Wait for it, or stop it",
                ) from error
            except OSError as error:
                log.warning(
                    "%s: the file system has no locks (%s), so danq cannot see whether another "
                    "process writes this output; run only one",
                    self.folder,
                    error.strerror,
                )
            if os.fstat(journal.fileno()).st_nlink:
                return journal
            # Another process deleted the directory before this one got the lock.
            journal.close()

    def _clear(self) -> None:
        self._journal.truncate(0)
        for file in self.folder.iterdir():
            if file.name != JOURNAL:
                file.unlink()

    def _read_journal(self) -> None:
        self._journal.seek(0)
        whole = [line for line in self._journal if line.endswith(b"\n")]
        if not whole:
            self._journal.truncate(0)
            head = {
                "magic": MAGIC,
                "format_version": FORMAT_VERSION,
                "identity": self._provenance.identity(),
            }
            with write_errors(self.folder):
                self._note(head)
            return
        self._check(_entry(whole[0]))
        kept = len(whole[0])
        for line in whole[1:]:
            entry = _entry(line)
            files = entry.get("files", {})
            if not files or any(_checksum(self.folder / name) != files[name] for name in files):
                break
            self._counts.append(entry["counts"])
            kept += len(line)
        self._journal.truncate(kept)

    def _check(self, head: Mapping[str, object]) -> None:
        before = head.get("identity")
        if head.get("format_version") != FORMAT_VERSION or not isinstance(before, dict):
            raise InputError(
                "was written by another version of danq", file=self.folder, remedy=OVERWRITE
            )
        changed = self._provenance.difference(before)
        if changed is not None:
            raise InputError(
                changed,
                file=self.folder,
                remedy="Use the settings and inputs of that run, or discard it (overwrite)",
            )

    def _note(self, entry: Mapping[str, object]) -> None:
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _file(self, number: int, name: str, ending: str) -> Path:
        return self.folder / f"{number:06d}.{name}.{ending}"

    def _files(self, number: int) -> list[Path]:
        return sorted(self.folder.glob(f"{number:06d}.*"))


def folder_of(out: Path) -> Path:
    """Directory of the completed blocks of an output."""
    return out.with_name(out.name + ENDING)


def check_unfinished(out: Path, replace: bool) -> None:
    """Check that the directory of completed blocks of an output can be written.

    Parameters
    ----------
    out
        The output.
    replace
        Whether the directory may exist, because the run is continued or discarded.

    Raises
    ------
    InputError
        As `danq.output.check_folder`.
    """
    check_folder(
        folder_of(out),
        replace,
        objection=_objection,
        remedy="Continue that run (resume) or discard it (overwrite)",
    )


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some network file systems cannot flush the names in a directory.
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP, errno.EACCES)):
            raise
    finally:
        os.close(number)


def _checksum(path: Path) -> str:
    try:
        return sha256_of(path)
    except (InputError, OSError):
        return ""


def _objection(folder: Path) -> str | None:
    try:
        with (folder / JOURNAL).open("rb") as journal:
            line = journal.readline()
    except OSError:
        return "is not an unfinished run of danq"
    # A run that was killed early may not have written its first line.
    ours = not line.endswith(b"\n") or MAGIC.encode() in line
    return None if ours else "is not an unfinished run of danq"
