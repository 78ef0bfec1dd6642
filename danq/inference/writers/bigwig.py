"""Predictions as a folder of bigWig files, one a track."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pybigtools

from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import Layout, Values, Writer
from danq.output import os_errors
from danq.typing import IntRow

ENDING = ".bw"
INDEX = "danq.json"
MAGIC = struct.pack("<I", 0x888FFC26)

_UNSAFE = re.compile(r"[^\w.+-]+")


class Block(NamedTuple):
    """Where rows of one contig lie in the scratch file.

    Attributes
    ----------
    contig
        Their contig.
    rows
        How many.
    offset
        Byte of the start positions; the end positions follow (both int64), then for each
        column its values (float32).
    """

    contig: str
    rows: int
    offset: int


class BigWigWriter(Writer):
    """One bigWig a column, named by it, and ``danq.json`` with the provenance.

    A bigWig is written in one go, so the values of all columns lie in a scratch file in the
    folder until the last row is there: 4 bytes a value. Rows must come contig by contig,
    ascending and without overlap; contigs may come in any order.

    Parameters
    ----------
    path
        Folder to fill; it is made if it is not there.
    layout
        Columns and provenance, with the contigs' lengths.

    Raises
    ------
    InputError
        When the layout has no contigs, or two columns would get one file name.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        if layout.contigs is None:
            raise InputError(
                "bigWig output needs places on a genome, which the records of a FASTA are not",
                remedy="Tile a genome, give a BED file with its genome, or choose an output that "
                "ends with .tsv, .h5 or .parquet",
            )
        self.layout, self.path = layout, path
        self.contigs = layout.contigs
        self.files = file_names(layout.columns)
        self.path.mkdir(exist_ok=True)
        self._blocks: list[Block] = []
        self._scratch_path = self.path / ".values"
        self._scratch: BinaryIO = self._scratch_path.open("w+b")

    def write(self, rows: Rows, values: Values) -> None:
        names = np.array(rows.names, dtype=object)
        breaks = np.flatnonzero(names[1:] != names[:-1]) + 1
        for part in np.split(np.arange(len(names)), breaks):
            if part.size == 0:
                continue
            piece = slice(int(part[0]), int(part[-1]) + 1)
            block = Block(str(names[part[0]]), part.size, self._scratch.tell())
            self._scratch.write(rows.start[piece].astype("<i8").tobytes())
            self._scratch.write(rows.end[piece].astype("<i8").tobytes())
            self._scratch.write(np.ascontiguousarray(values[piece].T, dtype="<f4").tobytes())
            self._blocks.append(block)

    def finish(self) -> None:
        self._scratch.flush()
        # The index of a bigWig goes by contigs in the order of their names.
        blocks = sorted(self._blocks, key=lambda block: block.contig)
        sizes = {name: int(self.contigs[name]) for name in sorted(self.contigs)}
        for column, file in enumerate(self.files):
            self._write_track(self.path / file, column, blocks, sizes)
        self._scratch.close()
        self._scratch_path.unlink()
        index = {
            "provenance": dict(self.layout.provenance),
            "tracks": dict(zip(self.layout.columns, self.files, strict=True)),
        }
        (self.path / INDEX).write_text(json.dumps(index, indent=1) + "\n")

    def release(self) -> None:
        # The error that led here is the one to tell; what closing adds is its echo.
        with suppress(OSError):
            self._scratch.close()

    def _write_track(
        self, path: Path, column: int, blocks: list[Block], sizes: dict[str, int]
    ) -> None:
        feed = _Feed(self._entries(column, blocks))
        with os_errors():
            try:
                pybigtools.open(str(path), "w").write(sizes, feed)
            except BaseException as error:
                if feed.error is not None:
                    raise feed.error from None
                # The library panics, with an exception of its own outside Exception, when the
                # disk is full.
                if type(error).__name__ != "PanicException" and not isinstance(error, Exception):
                    raise
                raise _unfinished(path) from error
        if feed.error is not None:
            raise feed.error
        if not feed.ended or not _complete(path):
            raise _unfinished(path)

    def _entries(self, column: int, blocks: list[Block]) -> Iterator[tuple[str, int, int, float]]:
        for contig, rows, offset in blocks:
            start, end = self._read(offset, 2 * rows, "<i8").reshape(2, rows)
            values = self._read(offset + 16 * rows + 4 * rows * column, rows, "<f4")
            for entry in zip(start.tolist(), end.tolist(), values.tolist(), strict=True):
                yield contig, *entry

    def _read(self, offset: int, count: int, dtype: str) -> IntRow:
        size = count * np.dtype(dtype).itemsize
        return np.frombuffer(os.pread(self._scratch.fileno(), size, offset), dtype=dtype)


class _Feed:
    """An iterator that keeps the error that ends it: the library swallows those."""

    def __init__(self, entries: Iterator[tuple[str, int, int, float]]) -> None:
        self.entries = entries
        self.error: BaseException | None = None
        self.ended = False

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> tuple[str, int, int, float]:
        try:
            return next(self.entries)
        except StopIteration:
            self.ended = True
            raise
        except BaseException as error:
            self.error = error
            raise


def file_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """File of each column: its name, with ``_`` for what is unsafe in a file's name.

    Raises
    ------
    InputError
        When two columns get one name, also where only case tells them apart.
    """
    files = [_UNSAFE.sub("_", name).lstrip(".") + ENDING for name in columns]
    seen: dict[str, str] = {}
    for name, file in zip(columns, files, strict=True):
        other = seen.setdefault(file.lower(), name)
        if other != name:
            raise InputError(
                f"tracks '{other}' and '{name}' would both be written to {file}",
                remedy="Name the tracks that you want so as to leave one out, or choose an "
                "output that ends with .tsv, .h5 or .parquet",
            )
    return tuple(files)


def objection(folder: Path) -> str | None:
    """Say why a folder is none of this writer's; None when it holds what that makes alone."""
    names = [entry.name for entry in folder.iterdir()]
    if INDEX in names and all(name == INDEX or name.endswith(ENDING) for name in names):
        return None
    return "holds other files than bigWig files of danq"


def _complete(path: Path) -> bool:
    """Whether the file starts and ends with the magic number, as a whole bigWig does."""
    if not path.is_file() or path.stat().st_size < 2 * len(MAGIC):
        return False
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
        file.seek(-len(MAGIC), os.SEEK_END)
        return head == MAGIC and file.read() == MAGIC


def _unfinished(path: Path) -> OSError:
    free = shutil.disk_usage(path.parent).free
    return OSError(f"{path.name} could not be completed; {free / 1e6:,.0f} MB are free on the disk")
