"""Index a FASTA file for random access, and unpack plain gzip first."""

from __future__ import annotations

import logging
import os
import re
import shutil
import struct
import zlib
from contextlib import ExitStack
from pathlib import Path

import pyfaidx

from danq.cache_folder import cache_folder, stamped_name
from danq.errors import InputError
from danq.files.open_input import BGZF_END, GZIP_ENDINGS, damaged, is_gzip, open_bytes, truncated
from danq.output import replacing, writable

log = logging.getLogger("danq")

ELSEWHERE = "Free some space, or set the environment variable DANQ_CACHE to another folder"


def readable_fasta(path: Path) -> Path:
    """Return a file with this FASTA that allows random access.

    This is the file itself if it is plain or bgzip. A gzip file is unpacked once into the cache.

    Raises
    ------
    InputError
        When the file is missing, empty, a folder, or a truncated or damaged gzip; or when
        the cache cannot be written.
    """
    if not is_gzip(path):
        return path
    if is_bgzip(path):
        with path.open("rb") as handle:
            handle.seek(-min(len(BGZF_END), path.stat().st_size), os.SEEK_END)
            if handle.read() != BGZF_END:
                raise truncated(path)
        if path.name.lower().endswith(GZIP_ENDINGS):
            return path
    target = cache_folder("fasta") / stamped_name(path, ".fa")
    if target.exists():
        return target
    log.info("%s is gzip, which allows no random access: unpacking it to %s", path, target)
    with (
        replacing(target, overwrite=True, remedy=ELSEWHERE) as temporary,
        open_bytes(path) as source,
        temporary.open("wb") as out,
    ):
        shutil.copyfileobj(source, out, 1 << 22)
    return target


def is_bgzip(path: Path) -> bool:
    """Whether a gzip file is bgzip, which allows random access."""
    with path.open("rb") as handle:
        head = handle.read(18)
    return head[:4] == BGZF_END[:4] and head[12:14] == b"BC"


def open_index(path: Path) -> pyfaidx.Faidx:
    """Open a plain or bgzip FASTA with its index, which is built if needed.

    The index is stored next to the file (``.fai``, with ``.gzi`` for bgzip), or in the cache if
    that folder is read-only. An index older than the file is rebuilt.

    Raises
    ------
    InputError
        When the file has no header, a header without a name, text before the first header,
        lines of unequal length within a record, a repeated name, or a damaged gzip block; or
        when the index cannot be written.
    """
    endings = (".fai", ".gzi") if is_gzip(path) else (".fai",)
    beside = [path.with_name(path.name + ending) for ending in endings]
    if _fresh(path, beside) or writable(path.parent):
        targets = beside
    else:
        targets = [cache_folder("index") / stamped_name(path, ending) for ending in endings]
    if _fresh(path, targets):
        try:
            return _faidx(path, targets)
        except ValueError:
            log.info("%s is not a valid index of %s: rebuilding it", targets[0], path)
    with ExitStack() as stack:
        temporaries = [
            stack.enter_context(replacing(target, overwrite=True, remedy=ELSEWHERE))
            for target in targets
        ]
        return _indexed(path, temporaries)


def _indexed(path: Path, index: list[Path]) -> pyfaidx.Faidx:
    """Build an index; an error describes the problem of the file."""
    try:
        return _faidx(path, index)
    except (pyfaidx.FastaIndexingError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    except (zlib.error, struct.error, RuntimeError) as error:
        raise damaged(path, error) from error
    except ValueError as error:
        name = re.search(r'Duplicate key "(.*)"', str(error))
        if name is None:
            raise damaged(path, error) from error
        raise duplicate_name(path, name[1]) from error


def duplicate_name(path: Path, name: str, line: int | None = None) -> InputError:
    """Make the error for two records of a FASTA with the same name."""
    return InputError(
        "an earlier record has the same name",
        file=path,
        line=line,
        record=name,
        remedy="Names end at the first blank; give every record a unique name",
    )


def _faidx(path: Path, index: list[Path]) -> pyfaidx.Faidx:
    gzi = str(index[1]) if len(index) > 1 else None
    return pyfaidx.Faidx(str(path), indexname=str(index[0]), as_raw=True, gzi_indexname=gzi)


def _fresh(path: Path, index: list[Path]) -> bool:
    written = path.stat().st_mtime
    return all(one.is_file() and one.stat().st_mtime >= written for one in index)


def _unreadable(path: Path, error: Exception) -> InputError:
    text = str(error)
    line = re.search(r"at line (\d+)", text)
    number = int(line[1]) if line else None
    record = re.search(r"found in >(\S+) at line", text)
    if record:
        return InputError(
            "the lines of this record differ in length",
            file=path,
            line=number,
            record=record[1],
            remedy="Only a record's last line may be shorter; rewrap the file, "
            "for example with 'seqkit seq -w 60'",
        )
    if "Bad sequence name" in text:
        return nameless(path, None)
    return headless(path, number)


def headless(path: Path, line: int | None) -> InputError:
    """Make the error for a file without a FASTA header, or with text before the first."""
    return InputError(
        "is not FASTA: no line '>name' before the sequence",
        file=path,
        line=line,
        remedy="Check that it is a FASTA file of DNA",
    )


def nameless(path: Path, line: int | None) -> InputError:
    """Make the error for a header line without a name."""
    return InputError(
        "a header line has no name after '>'",
        file=path,
        line=line,
        remedy="Give every record a name",
    )
