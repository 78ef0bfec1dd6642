"""Finished blocks of a long run, kept beside its output until that is whole.

A run that was killed goes on after its last finished block. Each block is a few files, and counts
once its line is in the journal; what a line does not vouch for is thrown away.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from danq.errors import InputError
from danq.output import OVERWRITE, check_folder, os_errors, refusals

MAGIC = "danq-parts"
FORMAT_VERSION = 1
JOURNAL = "journal.jsonl"
ENDING = ".unfinished"
VALUES = "values"


log = logging.getLogger("danq")


class Part(NamedTuple):
    """One finished block.

    Attributes
    ----------
    tables
        Tables by name, with whatever else names and explains the rows.
    values
        ``(V, C)`` float32.
    counts
        Figures of the block.
    """

    tables: Mapping[str, pl.DataFrame]
    values: np.ndarray
    counts: Mapping[str, int]


class Parts:
    """The folder of finished blocks; a context manager that holds it for one process.

    Parameters
    ----------
    out
        The output that the blocks are for; the folder is named after it.
    request
        Everything that the blocks depend on, in words: a run goes on only with the same.
    resume
        Go on with what is there.
    overwrite
        Throw away what is there.

    Attributes
    ----------
    counts
        Figures of the blocks that are finished.

    Raises
    ------
    InputError
        When blocks of another request are there, or blocks at all and neither ``resume`` nor
        ``overwrite`` was asked for; when another process is at them; when the folder cannot be
        written, or is not danq's.
    """

    def __init__(
        self,
        out: Path,
        request: Mapping[str, str],
        *,
        resume: bool = False,
        overwrite: bool = False,
    ) -> None:
        self.folder = folder_of(out)
        self.counts: list[dict[str, int]] = []
        self._request = dict(request)
        check_folder(
            self.folder,
            resume or overwrite,
            objection=_objection,
            remedy="Go on with that run (--resume), or replace it (--overwrite)",
        )
        with refusals(self.folder):
            self.folder.mkdir(exist_ok=True)
            self._journal = (self.folder / JOURNAL).open("a+b")
        try:
            self._lock()
            if not resume:
                self._clear()
            self._take_up()
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.folder.exists():
            if self.counts:
                log.info(
                    "%s: finished blocks are kept, so that the run can be resumed", self.folder
                )
            else:
                self.remove()
        with suppress(OSError):
            self._journal.close()

    def __iter__(self) -> Iterator[Part]:
        for number, counts in enumerate(self.counts):
            tables = {
                file.name.split(".")[1]: pl.read_ipc(file)
                for file in sorted(self.folder.glob(f"{number:06d}.*.arrow"))
            }
            yield Part(tables, self.values(number), counts)

    def values(self, number: int) -> np.ndarray:
        """``(V, C)`` values of a finished block, read where they are touched."""
        return np.load(self._file(number, VALUES, "npy"), mmap_mode="r")

    def total(self, name: str) -> int:
        """Sum of a figure over the finished blocks."""
        return sum(counts.get(name, 0) for counts in self.counts)

    def add(self, part: Part) -> None:
        """Write a block and then its line in the journal.

        Raises
        ------
        InputError
            When the system refuses to write, as on a full disk.
        """
        number = len(self.counts)
        with refusals(self.folder):
            for name, table in part.tables.items():
                with os_errors(PolarsError):
                    table.write_ipc(self._file(number, name, "arrow"))
            np.save(self._file(number, VALUES, "npy"), part.values)
            sizes = {file.name: file.stat().st_size for file in self._files(number)}
            self._note({"counts": dict(part.counts), "sizes": sizes})
        self.counts.append(dict(part.counts))

    def remove(self) -> None:
        """Throw the folder away."""
        self._journal.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(
                "another process is writing this output",
                file=self.folder,
                remedy="Wait for it, or end it",
            ) from error

    def _clear(self) -> None:
        self._journal.truncate(0)
        for file in self.folder.iterdir():
            if file.name != JOURNAL:
                file.unlink()

    def _take_up(self) -> None:
        self._journal.seek(0)
        whole = [line for line in self._journal if line.endswith(b"\n")]
        if not whole:
            self._journal.truncate(0)
            head = {"magic": MAGIC, "format_version": FORMAT_VERSION, "request": self._request}
            with refusals(self.folder):
                self._note(head)
            return
        self._check(_entry(whole[0]))
        kept = len(whole[0])
        for line in whole[1:]:
            entry = _entry(line)
            sizes = entry.get("sizes", {})
            if not sizes or any(_size(self.folder / name) != sizes[name] for name in sizes):
                break
            self.counts.append(entry["counts"])
            kept += len(line)
        self._journal.truncate(kept)

    def _check(self, head: Mapping[str, object]) -> None:
        before = head.get("request")
        if head.get("format_version") != FORMAT_VERSION or not isinstance(before, dict):
            raise InputError(
                "was written by another version of danq", file=self.folder, remedy=OVERWRITE
            )
        for name in {**before, **self._request}:
            was, now = before.get(name, "nothing"), self._request.get(name, "nothing")
            if was != now:
                raise InputError(
                    f"the run that lies here was begun with {name}: {was}; now it is {now}",
                    file=self.folder,
                    remedy="Resume with the options and inputs of that run, or overwrite it",
                )

    def _note(self, entry: Mapping[str, object]) -> None:
        self._journal.write(json.dumps(entry).encode() + b"\n")
        self._journal.flush()

    def _file(self, number: int, name: str, ending: str) -> Path:
        return self.folder / f"{number:06d}.{name}.{ending}"

    def _files(self, number: int) -> list[Path]:
        return sorted(self.folder.glob(f"{number:06d}.*"))


def folder_of(out: Path) -> Path:
    """Folder that holds the finished blocks of an output while it is not whole."""
    return out.with_name(out.name + ENDING)


def digest_of(request: Mapping[str, str]) -> str:
    """SHA-256 of a request, in hexadecimal."""
    return hashlib.sha256(json.dumps(dict(request), sort_keys=True).encode()).hexdigest()


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _objection(folder: Path) -> str | None:
    try:
        with (folder / JOURNAL).open("rb") as journal:
            line = journal.readline()
    except OSError:
        return "holds no unfinished run of danq"
    # A run that was killed at once may not have come to write its first line.
    ours = not line.endswith(b"\n") or MAGIC.encode() in line
    return None if ours else "holds no unfinished run of danq"
