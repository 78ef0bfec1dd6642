"""Completed blocks of a run, stored next to its output until the output is complete.

An interrupted run resumes after its last completed block. A block is complete once the journal has
a line with the checksums of its files, which are on disk before the line.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from polars.exceptions import PolarsError

from danq.errors import InputError
from danq.file_lock import FileLock
from danq.inference.blocks.folder import (
    JOURNAL,
    check_unfinished,
    delete_folder,
    delete_leftovers,
    folder_of,
    journal_in,
    make_folder,
    read_bytes,
    sync_folder,
    write_new,
)
from danq.inference.blocks.journal import (
    Head,
    block_entry,
    complete_entry,
    head_line,
    journal_line,
    part_name,
    part_number,
    read_journal,
)
from danq.inference.blocks.shard import WHOLE, Shard, shard_folders
from danq.inference.blocks.stored_blocks import ARRAY, TABLE, FinishedBlock, StoredBlocks, sha256
from danq.output import os_errors, write_errors
from danq.provenance import Provenance

log = logging.getLogger("danq")


class FinishedBlocks(StoredBlocks):
    """The folder of completed blocks: a context manager that locks it for one process.

    Parameters
    ----------
    out
        Output of the run; the folder is named after it.
    provenance
        What the blocks depend on: a run is resumed only if its provenance agrees.
    kind
        Kind of the run, such as ``variants``: what their content is.
    shard
        The shard that is computed; None for all blocks.
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
        kind: str,
        shard: Shard | None = None,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        super().__init__(
            folder_of(out, shard),
            WHOLE if shard is None else shard,
            remedy="Continue the run (resume), which computes these blocks again, or discard it "
            "(overwrite)",
        )
        self._head = Head.of(kind, provenance, out.name, shard)
        self._provenance = provenance
        self._content: Mapping[str, Any] | None = None
        self._removed = False
        self._checksum = ""
        # A block is written while the next one is computed.
        self._worker = ThreadPoolExecutor(1)
        self._writing: Future[tuple[Mapping[str, int], Mapping[str, str]]] | None = None
        delete_leftovers(self.folder)
        self._lock = self._locked(out, resume, overwrite)
        self._journal: BinaryIO | None = None
        try:
            self._journal = self._open_journal()
            self._read_journal(self._journal)
        except BaseException:
            self._close()
            raise
        if shard is not None:
            self._compare_with_other_shards(out, shard)

    def _compare_with_other_shards(self, out: Path, shard: Shard) -> None:
        """Warn at the start if a merge would refuse this shard beside another one."""
        for other, folder in shard_folders(out).items():
            head = None
            with suppress(OSError):
                head = None if other == shard else journal_in(folder).head
            if head is None:
                continue
            changed = self._provenance.difference(
                head.identity, began=f"shard {other} was computed", now="here"
            )
            if changed is not None:
                log.warning(
                    "%s: %s. Shards that differ cannot be merged: compute all of them with the "
                    "same settings and inputs",
                    self.folder,
                    changed,
                )
            return

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
    def next(self) -> int:
        """Number of the block that `add` takes next."""
        return self.part.number(len(self.counts))

    @property
    def completed(self) -> Mapping[str, Any] | None:
        """Content of the line after the last block; None while blocks may be missing."""
        return self._content

    def add(self, block: FinishedBlock) -> None:
        """Write block number `next` and then its journal line, in the background.

        Raises
        ------
        InputError
            When the operating system could not write the previous block, for example on a full
            disk. For the last block, the next method call or the end of the ``with`` raises.
        """
        assert self._content is None
        self._writing = self._worker.submit(self._write, self.next, block)

    def complete(self, content: Mapping[str, Any]) -> None:
        """Write the line after the last block.

        Parameters
        ----------
        content
            What the merge needs in addition to the blocks, as JSON can store it. It must be the
            same for all shards of a run, except the names of inputs
            (`danq.inference.blocks.stored_layout.HEADER`).

        Raises
        ------
        InputError
            When the operating system cannot write.
        """
        line = len(self.counts) + 2
        with write_errors(self.folder):
            self._note(complete_entry(line, content))
        self._content = content

    def remove(self) -> None:
        """Delete the folder, unless that was done before."""
        with suppress(InputError):
            self._settle()
        if self._removed:
            return
        self._removed = True
        self._close_journal()
        delete_folder(self.folder, self._lock)

    def _write(
        self, number: int, block: FinishedBlock
    ) -> tuple[Mapping[str, int], Mapping[str, str]]:
        files = {}
        with write_errors(self.folder):
            for name, table in block.tables.items():
                buffer = io.BytesIO()
                with os_errors(PolarsError):
                    table.write_ipc(buffer)
                files[part_name(number, name + TABLE)] = buffer.getbuffer()
            for name, array in block.arrays.items():
                buffer = io.BytesIO()
                np.save(buffer, array, allow_pickle=False)
                files[part_name(number, name + ARRAY)] = buffer.getbuffer()
            assert all(part_number(name) == number for name in files)
            for name, content in files.items():
                write_new(self.folder / name, content)
            sync_folder(self.folder)
            checksums = {name: sha256(content) for name, content in files.items()}
            counts = dict(block.counts)
            self._note(block_entry(len(self._counts) + 2, number, counts, checksums))
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
        head, _ = head_line(self._head)
        while True:
            check_unfinished(out, resume or overwrite, self._head.shard)
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
            if journal.head is None:
                raise self._damaged(JOURNAL, "line 1")
            self._check(journal.head)
            problem = None
            if journal.damaged is not None:
                problem = f"{self.folder / JOURNAL}, line {journal.damaged}: is damaged"
            [kept] = journal.start
            for line in journal.blocks:
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
                    "%s; what follows the first %s blocks is computed again",
                    problem,
                    f"{len(self._counts):,}",
                )
            elif journal.complete is not None:
                kept, self._content = journal.complete, journal.complete.entry["complete"]
            for name in os.listdir(self.folder):
                number = part_number(name)
                if number is not None and number >= self.part.number(len(self._counts)):
                    os.unlink(self.folder / name)
            file.truncate(kept.end)
            os.fsync(file.fileno())
            self._checksum = kept.checksum

    def _is_sound(self, name: str, checksum: str) -> bool:
        try:
            return sha256(read_bytes(self.folder / name)) == checksum
        except OSError:
            return False

    def _check(self, before: Head) -> None:
        changed = self._provenance.difference(before.identity)
        if before.kind != self._head.kind:
            changed = f"the run began as one of {before.kind}, and this one is of {self._head.kind}"
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
