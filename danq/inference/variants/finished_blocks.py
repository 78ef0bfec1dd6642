"""Completed blocks of a variant run, stored next to its output until the output is complete.

An interrupted run resumes after its last completed block. A block is a few files. It is complete
once the journal has a line with the checksums of its files, which are on disk before the line.
Files are compared with their checksums whenever they are read.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from danq.errors import InputError
from danq.file_lock import FileLock
from danq.inference.variants.block_folder import (
    JOURNAL,
    check_unfinished,
    delete_folder,
    delete_leftovers,
    folder_of,
    make_folder,
    read_bytes,
    sync_folder,
    write_new,
)
from danq.inference.variants.block_journal import (
    VALUES,
    head_line,
    journal_line,
    part_number,
    read_journal,
)
from danq.inference.variants.stored_columns import StoredColumns
from danq.output import os_errors, write_errors
from danq.provenance import Provenance

_TABLE = ".arrow"

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
    """The folder of completed blocks: a context manager that locks it for one process.

    Parameters
    ----------
    out
        Output of the run; the folder is named after it.
    provenance
        What the blocks depend on: a run is resumed only if its provenance agrees.
    resume
        Continue with the stored blocks. Those from the first damaged file or line on are deleted,
        with a warning.
    overwrite
        Discard the stored blocks.

    Raises
    ------
    InputError
        When there are blocks of another run, or any blocks and neither ``resume`` nor
        ``overwrite`` is set; when another process uses them; when the folder cannot be written, or
        a file in it was not written by danq.
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
        self._files: list[dict[str, str]] = []
        self._stored_columns: dict[int, StoredColumns] = {}
        self._provenance = provenance
        self._removed = False
        self._checksum = ""
        # A block is written while the next one is scored.
        self._worker = ThreadPoolExecutor(1)
        self._writing: Future[tuple[dict[str, int], dict[str, str]]] | None = None
        delete_leftovers(self.folder)
        self._lock = self._locked(out, resume, overwrite)
        self._journal: BinaryIO | None = None
        try:
            self._journal = self._open_journal()
            self._read_journal(self._journal)
        except BaseException:
            self._close()
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
            self._close()

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
            yield FinishedBlock(self.tables(number), self.values(number), counts)

    def tables(self, number: int) -> dict[str, pl.DataFrame]:
        """Tables of a completed block, by name.

        Raises
        ------
        InputError
            When a file of the block is missing or damaged.
        """
        self._settle()
        found = {}
        for name in self._files[number]:
            if name.endswith(_TABLE):
                content = self._part(number, name)
                with self.readable(name):
                    found[name.split(".")[1]] = pl.read_ipc(content)
        return found

    def values(self, number: int) -> np.ndarray:
        """``(V, C)`` values of a completed block.

        Raises
        ------
        InputError
            When the file is missing or damaged.
        """
        self._settle()
        name = f"{number:06d}.{VALUES}"
        content = self._part(number, name)
        with self.readable(name):
            values = np.load(io.BytesIO(content), allow_pickle=False)
            if values.ndim != 2 or values.dtype != np.float32:
                raise ValueError(f"values are {values.dtype} of shape {values.shape}")
        return values

    def columns(self, number: int, columns: slice) -> np.ndarray:
        """Some columns of the values of a completed block.

        If the values are stored in column-major order, only these columns are read, except the
        first time.

        Raises
        ------
        InputError
            When the file is missing or damaged.
        """
        known = self._stored_columns.get(number)
        if known is None:
            values = self.values(number)
            if values.flags.f_contiguous:
                self._stored_columns[number] = StoredColumns.of(values)
            return values[:, columns]
        name = f"{number:06d}.{VALUES}"
        with self.readable(name):
            return known.read(self.folder / name, columns)

    @contextmanager
    def readable(self, name: str = JOURNAL) -> Iterator[None]:
        """Name the file of the folder that cannot be interpreted.

        Parameters
        ----------
        name
            The file.

        Raises
        ------
        InputError
            When the block raises an error of numpy or polars, or a KeyError.
        """
        try:
            yield
        except (PolarsError, PanicException, ValueError, KeyError, OSError, EOFError) as error:
            if isinstance(error, InputError):
                raise
            raise self._damaged(name, str(error).partition("\n")[0]) from error

    def add(self, block: FinishedBlock) -> None:
        """Write a block and then its journal line, in the background.

        Raises
        ------
        InputError
            When the operating system could not write the previous block, for example on a full
            disk. For the last block, the next method call or the end of the ``with`` raises.
        """
        self._writing = self._worker.submit(self._write, len(self.counts), block)

    def remove(self) -> None:
        """Delete the folder."""
        with suppress(InputError):
            self._settle()
        self._removed = True
        self._close_journal()
        delete_folder(self.folder, self._lock)

    def _write(self, number: int, block: FinishedBlock) -> tuple[dict[str, int], dict[str, str]]:
        files = {}
        with write_errors(self.folder):
            for name, table in block.tables.items():
                buffer = io.BytesIO()
                with os_errors(PolarsError):
                    table.write_ipc(buffer)
                files[f"{number:06d}.{name}{_TABLE}"] = buffer.getbuffer()
            buffer = io.BytesIO()
            np.save(buffer, block.values)
            files[f"{number:06d}.{VALUES}"] = buffer.getbuffer()
            for name, content in files.items():
                write_new(self.folder / name, content)
            sync_folder(self.folder)
            checksums = {name: _sha256(content) for name, content in files.items()}
            counts = dict(block.counts)
            self._note({"line": number + 2, "counts": counts, "files": checksums})
        return counts, checksums

    def _settle(self) -> None:
        """Wait until the journal has a line for each block."""
        if (writing := self._writing) is not None:
            # After an interrupt here, the block must still be waited for.
            wait([writing])
            self._writing = None
            counts, files = writing.result()
            self._counts.append(counts)
            self._files.append(files)

    def _locked(self, out: Path, resume: bool, overwrite: bool) -> FileLock:
        """Make the folder or find it, and lock it."""
        head, _ = head_line(self._provenance.identity())
        while True:
            check_unfinished(out, resume or overwrite)
            if not self.folder.exists() or not any(self.folder.iterdir()):
                lock = make_folder(self.folder, head)
                if lock is not None:
                    return lock
                continue
            try:
                lock = FileLock(self.folder / JOURNAL, self.folder)
            except FileNotFoundError:  # the other process has deleted it
                continue
            except OSError as error:
                raise InputError(
                    f"cannot be opened ({error.strerror})",
                    file=self.folder,
                    remedy="Check its permissions",
                ) from error
            if resume:
                return lock
            delete_folder(self.folder, lock)

    def _open_journal(self) -> BinaryIO:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        with write_errors(self.folder):
            return os.fdopen(os.open(self.folder / JOURNAL, flags), "r+b")

    def _read_journal(self, file: BinaryIO) -> None:
        """Take over the completed blocks; delete those from the first damaged file or line on."""
        with write_errors(self.folder):
            journal = read_journal(read_bytes(self.folder / JOURNAL))
            if not journal.lines:
                raise self._damaged(JOURNAL, "line 1")
            self._check(journal.lines[0].entry["identity"])
            problem = None
            if journal.damaged is not None:
                problem = f"{self.folder / JOURNAL}, line {journal.damaged}: is damaged"
            kept = journal.lines[0]
            for line in journal.lines[1:]:
                files = line.entry["files"]
                bad = next((name for name in files if not self._is_sound(name, files[name])), None)
                if bad is not None:
                    problem = f"{self.folder / bad}: is missing or damaged"
                    break
                self._counts.append(line.entry["counts"])
                self._files.append(files)
                kept = line
            if problem is not None:
                log.warning(
                    "%s; the records after the first %s are scored again",
                    problem,
                    f"{sum(counts.get('records', 0) for counts in self._counts):,}",
                )
            for name in os.listdir(self.folder):
                number = part_number(name)
                if number is not None and number >= len(self._counts):
                    os.unlink(self.folder / name)
            file.truncate(kept.end)
            os.fsync(file.fileno())
            self._checksum = kept.checksum

    def _is_sound(self, name: str, checksum: str) -> bool:
        try:
            return _sha256(read_bytes(self.folder / name)) == checksum
        except OSError:
            return False

    def _part(self, number: int, name: str) -> bytes:
        """Content of a file of a completed block, which has its checksum."""
        try:
            content = read_bytes(self.folder / name)
        except OSError as error:
            raise self._damaged(name, error.strerror or str(error)) from error
        if _sha256(content) != self._files[number].get(name):
            raise self._damaged(name, "its checksum is wrong")
        return content

    def _damaged(self, name: str, reason: str) -> InputError:
        return InputError(
            f"is missing or damaged ({reason})",
            file=self.folder / name,
            remedy="Continue the run (resume), which scores these records again, or discard it "
            "(overwrite)",
        )

    def _check(self, before: Mapping[str, Any]) -> None:
        changed = self._provenance.difference(before)
        if changed is not None:
            raise InputError(
                changed,
                file=self.folder,
                remedy="Use the settings and inputs of that run, or discard it (overwrite)",
            )

    def _note(self, entry: Mapping[str, object]) -> None:
        assert self._journal is not None
        line, checksum = journal_line(entry, self._checksum)
        self._journal.write(line)
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._checksum = checksum

    def _close_journal(self) -> None:
        if self._journal is not None:
            with suppress(OSError):
                self._journal.close()

    def _close(self) -> None:
        self._close_journal()
        self._lock.close()


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()
