"""Random access to a plain, gzip or bgzip FASTA through an index that was compared with it."""

from __future__ import annotations

import logging
import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, TypeVar

from pyfaidx import Faidx

from danq.cache_folder import cache_folder, lasting_cache_folder, stamped_name
from danq.cache_limit import limit_cache, note_use, open_kept
from danq.errors import InputError
from danq.files.open_input import (
    BGZF_HEAD,
    is_bgzip,
    is_gzip,
    open_bytes,
    open_raw,
    read_at,
    refuse_cut_bgzip,
)
from danq.files.pipes import local_path
from danq.genome.bgzip_blocks import BlockReader, Blocks, find_blocks, read_gzi
from danq.genome.fasta_errors import changed
from danq.genome.fasta_index import FastaIndex, Read, mismatch, read_fai
from danq.genome.fasta_scan import scan
from danq.names import check_names
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

    A plain file is opened by `pyfaidx.Faidx` with this index, if a temporary file can be written:
    pyfaidx reads an index from a file only. Otherwise danq uses its index itself, also for the copy
    of a gzip file, which another process may replace. The bytes are read at the offsets of Faidx's
    records and without Faidx's lock: ``Faidx.fetch`` moves the position of the file, which forked
    processes share, and takes twice as long. A bgzip file is read by
    `danq.genome.bgzip_blocks`, because pyfaidx fails at a read that starts at the end of a block of
    65,536 bytes, and at a file whose name does not end in ``.gz`` or ``.bgz``.

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
        self._open: BinaryIO | Faidx
        self._blocks: BlockReader | None = None
        if zipped and _is_bgzip(path):
            handle = self._open = open_raw(path)
            with _closed_on_error(handle):
                self._blocks = _block_reader(path, handle)
                self.index = _index(path, self._blocks, self._blocks.size)
            weakref.finalize(self, handle.close)
            lines = _lines(self.index)
        else:
            handle, self.index = _unpacked(path) if zipped else _compared(path)
            faidx = None if zipped else _faidx(path, handle, self.index)
            self._open = handle if faidx is None else faidx
            if faidx is None:
                weakref.finalize(self, handle.close)
                lines = _lines(self.index)
            else:
                lines = ((one.offset, one.lenc, one.lenb) for one in faidx.index.values())
        with _closed_on_error(self._open):
            check_names(self.index.names, "contig", file=path)
        self._lines = dict(zip(self.index.names, lines, strict=True))
        self._file = handle.fileno()
        state = os.fstat(self._file)
        self._size, self._modified = state.st_size, state.st_mtime_ns

    def close(self) -> None:
        """Close the file."""
        self._open.close()
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
        state = os.fstat(self._file)
        if state.st_mtime_ns != self._modified or state.st_size != self._size:
            raise changed(self.path)

    def read(self, contig: str, low: int, high: int) -> bytes:
        """Bytes that hold an interval of a contig; line ends may be among them.

        Parameters
        ----------
        contig
            Its name.
        low, high
            Interval, 0-based half-open, not empty, inside the contig.

        Raises
        ------
        InputError
            When a block of a bgzip file is damaged, or the operating system reports an error.
        """
        offset, bases, width = self._lines[contig]
        end = width - bases
        first = offset + low + low // bases * end
        stop = offset + high + (high - 1) // bases * end
        if self._blocks is None:
            return read_at(self._file, first, stop, self.path)
        return self._blocks(first, stop)


def _lines(index: FastaIndex) -> Iterator[tuple[int, int, int]]:
    """Offset, bases and bytes of a line, for each contig."""
    columns = (index.offset, index.bases, index.width)
    return zip(*(column.tolist() for column in columns), strict=True)


def _plain_reader(handle: BinaryIO, path: Path) -> tuple[Read, int]:
    """Reader of the bytes of a plain file, and their number."""
    file = handle.fileno()
    return (lambda low, high: read_at(file, low, high, path)), os.fstat(file).st_size


def _block_reader(path: Path, handle: BinaryIO) -> BlockReader:
    """Reader of the uncompressed bytes of a bgzip file."""
    refuse_cut_bgzip(handle, path)
    file = handle.fileno()
    blocks = _stored(
        path,
        ".gzi",
        lambda data: read_gzi(file, data) or "it does not describe the blocks of this file",
        lambda: find_blocks(file, path),
        Blocks.to_gzi,
    )
    return BlockReader(file, path, blocks)


def _compared(path: Path) -> tuple[BinaryIO, FastaIndex]:
    """Open a plain file: the open file and its index."""
    handle = open_raw(path)
    with _closed_on_error(handle):
        return handle, _index(path, *_plain_reader(handle, path))


def _faidx(path: Path, handle: BinaryIO, index: FastaIndex) -> Faidx | None:
    """Open a plain file with pyfaidx, which gets the open file and its index.

    None when no temporary file can be written for the index.

    Parameters
    ----------
    path
        The file of the user.
    handle
        The open file, which Faidx closes.
    index
        Its index.

    Raises
    ------
    InputError
        When pyfaidx cannot open the file.
    """
    # To pyfaidx an index is stale when it is older than the file.
    later = os.fstat(handle.fileno()).st_mtime_ns + 10**9
    with _closed_on_error(handle), ExitStack() as stack:
        try:
            folder = stack.enter_context(
                TemporaryDirectory(prefix="danq-", ignore_cleanup_errors=True)
            )
            # The index beside the file may be replaced after danq has compared it.
            own = Path(folder, "genome.fa.fai")
            own.write_bytes(index.to_fai())
            os.utime(own, ns=(later, later))
            # pyfaidx recognises compressed files by their names.
            link = Path(folder, "genome.fa")
            link.symlink_to(local_path(path).absolute())
        except OSError as error:
            log.info("%s: no temporary file can be written (%s); pyfaidx is not used", path, error)
            return None
        try:
            faidx = Faidx(str(link), indexname=str(own), rebuild=False)
        except OSError as error:
            raise InputError(
                "cannot be opened by pyfaidx",
                file=path,
                remedy="Check that it still exists, and its permissions",
            ) from error
    # The file at this path may have been replaced, too.
    faidx.file.close()
    faidx.file = handle
    return faidx


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
            if file != beside:
                note_use(file)
            return found
        if file == beside:
            problem = found
    made = build()
    taken = beside.exists() or not writable(beside.parent)
    target = _in_cache(source, ending) if taken else beside
    written = target is not None and _write(target, to_bytes(made))
    if taken:
        limit_cache()
    if problem is not None:
        log.warning(
            "%s does not belong to %s: %s; danq uses its own index (%s)",
            beside,
            path,
            problem,
            target if written else "in memory",
        )
    return made


def _unpacked(path: Path) -> tuple[BinaryIO, FastaIndex]:
    """Unpack a gzip file into the cache, unless it is there; open it as `_compared` does."""
    source = local_path(path)
    # The copy of a pipe is in a temporary folder, and so is what is made from it.
    folder = cache_folder("fasta") if source == path else source.parent
    target = folder / stamped_name(source, ".fa")
    beside = target.with_name(target.name + ".fai")
    data, handle = _content(beside), open_kept(target)
    if data is not None and handle is not None:
        index = read_fai(data)
        if index is not None and mismatch(index, *_plain_reader(handle, path)) is None:
            note_use(beside)
            return handle, index
    while True:
        if handle is not None:
            handle.close()
        log.info("%s is gzip, which allows no random access: unpacking it to %s", path, target)
        with (
            replacing(target, overwrite=True, remedy=ELSEWHERE) as temporary,
            open_bytes(path) as packed,
            temporary.open("w+b") as out,
        ):
            shutil.copyfileobj(packed, out, 1 << 22)
            out.seek(0)
            index = scan(out, path)
        # None if another process has removed it from the cache.
        if (handle := open_kept(target)) is not None:
            _write(beside, index.to_fai())
            limit_cache()
            return handle, index


@contextmanager
def _closed_on_error(handle: BinaryIO | Faidx) -> Iterator[None]:
    try:
        yield
    except BaseException:
        handle.close()
        raise


def _is_bgzip(path: Path) -> bool:
    with open_raw(path) as handle:
        return is_bgzip(handle.read(BGZF_HEAD))


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
