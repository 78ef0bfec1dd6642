"""Random access to a plain, gzip or bgzip FASTA through an index that was compared with it."""

from __future__ import annotations

import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np

from danq.cache_folder import cache_folder, lasting_cache_folder, stamped_name
from danq.errors import InputError
from danq.files.open_input import is_gzip, open_bytes, open_raw
from danq.files.pipes import local_path
from danq.genome.bgzip_blocks import (
    HEAD,
    BlockReader,
    Blocks,
    check_end,
    find_blocks,
    is_bgzip,
    read_gzi,
)
from danq.genome.fasta_errors import changed
from danq.genome.fasta_index import FastaIndex, Read, mismatch, read_fai
from danq.genome.fasta_scan import scan
from danq.output import replacing, writable

log = logging.getLogger("danq")

ELSEWHERE = "Free some space, or set the environment variable DANQ_CACHE to another folder"
SHORT = 1 << 12
"""Mean bytes of a contig below which a scan is as fast as the comparison with an index."""

Stored = TypeVar("Stored")


class IndexedFasta:
    """An open FASTA whose contigs can be read from any position.

    An index next to the file (``.fai``, with ``.gzi`` for bgzip), or in the cache, is used when it
    describes this file: time stamps are not considered. Otherwise the index is built, and written
    next to the file if no other index is there and the folder is writable, else to the cache.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. A gzip file is unpacked once into the cache.

    Attributes
    ----------
    index : FastaIndex
        Where the contigs are.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, or a truncated or damaged gzip; as
        `danq.genome.fasta_scan.scan`; or when a gzip file cannot be unpacked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        zipped = is_gzip(path)
        if zipped and not _is_bgzip(path):
            self._handle, self._read, self.index = _unpacked(path)
        else:
            self._handle = open_raw(path)
            with _closed_on_error(self._handle):
                self._read, size = _reader(path, self._handle.fileno(), zipped)
                self.index = _index(path, self._read, size)
        lines = np.stack([self.index.offset, self.index.bases, self.index.width], axis=1)
        self._lines: list[list[int]] = lines.tolist()
        self._file = self._handle.fileno()
        self._state = _state(self._file)
        weakref.finalize(self, self._handle.close)

    def close(self) -> None:
        """Close the file."""
        self._handle.close()
        self._file = -1

    def check_unchanged(self) -> None:
        """Refuse to read further from a file that was written to after it was opened.

        Raises
        ------
        InputError
            When its size or time stamp changed, or it was closed.
        """
        if self._file < 0:
            raise InputError("the file is closed", file=self.path, remedy="Open it again")
        if _state(self._file) != self._state:
            raise changed(self.path)

    def read(self, number: int, low: int, high: int) -> bytes:
        """Bytes that hold an interval of a contig; line ends may be among them.

        Parameters
        ----------
        number
            Index of the contig.
        low, high
            Interval, 0-based half-open, not empty, inside the contig.

        Raises
        ------
        InputError
            When a block of a bgzip file is damaged.
        """
        offset, bases, width = self._lines[number]
        first = offset + low // bases * width + low % bases
        last = offset + (high - 1) // bases * width + (high - 1) % bases
        return self._read(first, last + 1)


def check_complete(path: Path) -> None:
    """Refuse a bgzip file that is cut short at the end of a block, which no gzip reader notices.

    Raises
    ------
    InputError
        As `danq.genome.input_files.is_gzip`, and when the file is cut short.
    """
    if is_gzip(path) and _is_bgzip(path):
        with open_raw(path) as handle:
            check_end(handle.fileno(), path)


def _reader(path: Path, file: int, zipped: bool) -> tuple[Read, int]:
    """Reader of the uncompressed bytes, and their number."""
    if not zipped:
        return (lambda low, high: os.pread(file, high - low, low)), os.fstat(file).st_size
    check_end(file, path)
    blocks = _stored(
        path,
        ".gzi",
        lambda data: read_gzi(file, data) or "it does not describe the blocks of this file",
        lambda: find_blocks(file, path),
        Blocks.to_gzi,
    )
    reader = BlockReader(file, path, blocks)
    return reader, reader.size


def _index(path: Path, read: Read, size: int) -> FastaIndex:
    def check(data: bytes) -> FastaIndex | str:
        index = read_fai(data)
        if index is None:
            return "it is not an index of a FASTA"
        if len(index.names) * SHORT > size:
            return built() if index.equals(built()) else "contigs are elsewhere"
        return mismatch(index, read, size) or index

    @cache
    def built() -> FastaIndex:
        with open_bytes(path) as handle:
            return scan(handle, path)

    return _stored(path, ".fai", check, built, FastaIndex.to_fai)


def _stored(
    path: Path,
    ending: str,
    check: Callable[[bytes], Stored | str],
    build: Callable[[], Stored],
    to_bytes: Callable[[Stored], bytes],
) -> Stored:
    """Read an index next to a file or in the cache; build and write it if there is none.

    ``check`` returns what is wrong with the content of an index, or the index.
    """
    source = local_path(path)
    beside = source.with_name(source.name + ending)
    problem = None
    for file in filter(None, (beside, _in_cache(source, ending))):
        data = _content(file)
        found = None if data is None else check(data)
        if found is not None and not isinstance(found, str):
            return found
        if file == beside:
            problem = found
    made = build()
    taken = beside.exists() or not writable(beside.parent)
    target = _in_cache(source, ending) if taken else beside
    written = target is not None and _write(target, to_bytes(made))
    if problem is not None:
        log.warning(
            "%s does not belong to %s: %s; danq uses its own index (%s)",
            beside,
            path,
            problem,
            target if written else "in memory",
        )
    return made


def _unpacked(path: Path) -> tuple[BinaryIO, Read, FastaIndex]:
    """Unpack a gzip file into the cache, unless it is there; open it with its index."""
    source = local_path(path)
    # The copy of a pipe is in a temporary folder, and so is what is made from it.
    folder = cache_folder("fasta") if source == path else source.parent
    target = folder / stamped_name(source, ".fa")
    beside = target.with_name(target.name + ".fai")
    data = _content(beside)
    if data is not None and target.exists():
        handle = target.open("rb")
        read, size = _reader(target, handle.fileno(), False)
        index = read_fai(data)
        if index is not None and mismatch(index, read, size) is None:
            return handle, read, index
        handle.close()
    log.info("%s is gzip, which allows no random access: unpacking it to %s", path, target)
    with (
        replacing(target, overwrite=True, remedy=ELSEWHERE) as temporary,
        open_bytes(path) as packed,
        temporary.open("wb") as out,
    ):
        shutil.copyfileobj(packed, out, 1 << 22)
    handle = target.open("rb")
    with _closed_on_error(handle):
        index = scan(handle, path)
        _write(beside, index.to_fai())
    return handle, _reader(target, handle.fileno(), False)[0], index


@contextmanager
def _closed_on_error(handle: BinaryIO) -> Iterator[None]:
    try:
        yield
    except BaseException:
        handle.close()
        raise


def _is_bgzip(path: Path) -> bool:
    with open_raw(path) as handle:
        return is_bgzip(handle.read(HEAD))


def _in_cache(path: Path, ending: str) -> Path | None:
    folder = lasting_cache_folder("index")
    return None if folder is None else folder / stamped_name(path, ending)


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _write(file: Path, data: bytes) -> bool:
    """Write an index; without it the next start takes longer, so a failure is no error."""
    try:
        with replacing(file, overwrite=True) as temporary:
            temporary.write_bytes(data)
    except (InputError, OSError) as error:
        log.info("The index is kept in memory: %s", error)
        return False
    return True


def _state(file: int) -> tuple[int, int]:
    state = os.fstat(file)
    return state.st_size, state.st_mtime_ns
