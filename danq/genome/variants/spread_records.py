"""Read records that are spread over a whole variant file, without reading all of it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from danq.errors import InputError
from danq.files.open_input import BGZF_HEAD, is_bgzip, open_raw
from danq.files.recognise import GZIP_MAGIC
from danq.genome.bgzip_blocks import block_size, inflate_block
from danq.genome.variants.open_variant_file import Source, open_source
from danq.genome.variants.read_vcf import TextSource
from danq.genome.variants.text_header import names_columns
from danq.genome.variants.uncompressed_stream import name_of, open_stream

WHOLE = 1 << 23
"""Size of files that are read from beginning to end: 8 MB."""

PLACES = 200
"""Number of places at which records of a larger file are read."""

MOST_TEXT = 1 << 23
"""Largest number of uncompressed bytes read at one place."""

MOST_RECORDS = 2_000_000
"""Largest number of records of files that can only be read from the beginning: gzip, BCF."""

PIECE = 1 << 16
BLOCK = 4096


class SpreadRecords(NamedTuple):
    """Records as columns of text, and the closed input with its name and header."""

    source: Source
    chrom: list[str]
    pos: list[int]
    ref: list[str]
    alt: list[str]


def spread_records(path: str | Path, count: int) -> SpreadRecords:
    """Read at most ``count`` records at even distances.

    Large files that are plain or bgzip are read at `PLACES` places. Other files are read from the
    beginning: all of a small one, and up to `MOST_RECORDS` records of a large one.

    Parameters
    ----------
    path
        VCF, BCF or table; a file, not a pipe.
    count
        Largest number of records.

    Raises
    ------
    InputError
        As `danq.genome.variants.open_variants`.
    """
    if Path(path).stat().st_size > WHOLE and (text := _spread_text(path, count)) is not None:
        handle = io.BufferedReader(io.BytesIO(text))  # type: ignore[arg-type]
        try:
            return spread_source(TextSource(handle, name_of(path), None, False), count)
        except InputError:
            # Lines are numbered from the beginning only if the file is read from there.
            pass
    with open_source(path) as source:
        return spread_source(source, count)


def spread_source(source: Source, count: int) -> SpreadRecords:
    """Read at most ``count`` records of an open input at even distances."""
    rows: list[tuple[str, int, str, str]] = []
    step, seen = 1, 0
    while seen < MOST_RECORDS and (records := source.read(BLOCK)) is not None:
        first = -seen % step
        columns = (records.chrom, records.pos, records.ref, records.alt)
        rows += zip(*(column[first::step] for column in columns), strict=True)
        seen += len(records.chrom)
        while len(rows) > 2 * count:
            rows = rows[::2]
            step *= 2
    kept = [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else rows
    return SpreadRecords(
        source,
        chrom=[row[0] for row in kept],
        pos=[row[1] for row in kept],
        ref=[row[2] for row in kept],
        alt=[row[3] for row in kept],
    )


def _spread_text(path: str | Path, count: int) -> bytes | None:
    """Header and spread lines of a large file; None if it can only be read from the beginning."""
    size = Path(path).stat().st_size
    lines: list[bytes] = []
    with open_raw(path) as file:
        head = file.read(BGZF_HEAD)
        bgzf = is_bgzip(head)
        if head.startswith(GZIP_MAGIC) and not bgzf:
            return None
        for place in range(1, PLACES + 1):
            file.seek(size * place // (PLACES + 1))
            lines += _lines(_bgzf_text(file) if bgzf else _plain_text(file), count // PLACES)
    if bgzf and _is_bcf(path):
        return None
    return b"".join([*_header(path), *dict.fromkeys(lines)])


def _header(path: str | Path) -> Iterator[bytes]:
    """Lines to the column names of a VCF or a table."""
    with open_stream(path) as handle:
        for line in handle:
            yield line
            if line.startswith(b"#"):
                named = not line.startswith(b"##") and names_columns(line.decode(errors="replace"))
            else:
                named = bool(line.strip())
            if named:
                return


def _is_bcf(path: str | Path) -> bool:
    with open_stream(path) as handle:
        return handle.read(3) == b"BCF"


def _lines(pieces: Iterator[bytes], count: int) -> list[bytes]:
    """Complete lines after the first line end."""
    read: list[bytes] = []
    ends = size = 0
    for piece in pieces:
        read.append(piece)
        ends, size = ends + piece.count(b"\n"), size + len(piece)
        if ends > count or size > MOST_TEXT:
            break
    lines = b"".join(read).splitlines(keepends=True)[1 : count + 1]
    return [line for line in lines if line.endswith(b"\n") and not line.startswith(b"#")]


def _plain_text(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _bgzf_text(file: BinaryIO) -> Iterator[bytes]:
    """Uncompressed blocks from the first that begins after the file's position."""
    # A block has at most 64 KB, so the next one begins within them.
    stored = file.read(2 * PIECE)
    at = stored.find(GZIP_MAGIC)
    while at >= 0 and at < PIECE:
        if _inflated(stored[at:]) is not None:
            break
        at = stored.find(GZIP_MAGIC, at + 1)
    else:
        return
    stored = stored[at:]
    while (text := _inflated(stored)) is not None:
        yield text
        stored = stored[block_size(stored) :]
        if len(stored) < PIECE:
            stored += file.read(2 * PIECE)


def _inflated(stored: bytes) -> bytes | None:
    """Uncompressed bytes of the block at the beginning of ``stored``; None if there is none."""
    size = block_size(stored)
    if size is None or size > len(stored):
        return None
    try:
        return inflate_block(stored[:size])
    except zlib.error:
        return None
