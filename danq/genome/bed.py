"""Read BED files as tables of intervals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.genome.input_files import open_bytes

COLUMNS = {
    "chrom": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "name": pl.String,
    "score": pl.String,
    "strand": pl.String,
}
SKIPPED_LINES = (b"#", b"track", b"browser")
HEADER = re.compile(
    rb"[^\t]*\t[a-z_. ]*(start|begin|from)[a-z_. ]*\t[a-z_. ]*(end|stop|to)[a-z_. ]*(\t|\r?$)",
    re.IGNORECASE,
)
WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_bed(path: str | Path) -> pl.DataFrame:
    """Read the intervals of a BED file (BED3 to BED12, narrowPeak, broadPeak).

    Blank lines, lines that start with ``#``, ``track`` or ``browser``, and one line of
    column names before the first interval are skipped. Lines may end in CRLF.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file, tab-separated.

    Returns
    -------
    polars.DataFrame
        One row per interval in the order of the file: ``chrom`` (String), ``start`` and
        ``end`` (Int64, 0-based half-open); then ``name`` (String), ``score`` (Float64, null
        where it is not a number) and ``strand`` (String) if the first interval has them.
        Further columns are not read.

    Raises
    ------
    InputError
        When the file is missing, a folder, empty, a truncated or damaged gzip, or holds no
        interval; and at the first line with fewer than three columns, spaces instead of tabs,
        no chromosome, a start or end that is not a whole number, a negative start, or an end
        that is not above the start.
    """
    path = Path(path)
    with open_bytes(path) as handle:
        data = handle.read().removeprefix(BYTE_ORDER_MARK)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    first = next(_interval_lines(data), None)
    if first is None:
        raise InputError("holds no interval", file=path, remedy="Check that it is a BED file")
    _, at, line = first
    width = line.count(b"\t") + 1
    columns = list(COLUMNS)[: max(3, width)]
    table = _fast(data[at:], width) if width >= 3 else None
    if table is None:
        table = _plain_table(data, columns, path)
    if "score" in columns:
        table = table.with_columns(pl.col("score").cast(pl.Float64, strict=False))
    return table


def check_bounds(bed: pl.DataFrame, lengths: Mapping[str, int], path: str | Path) -> None:
    """Refuse intervals that end beyond their contig.

    Parameters
    ----------
    bed
        Table of :func:`read_bed`, whole or filtered, 0-based half-open.
    lengths
        Length in bases of each contig, by its name in ``bed``. Intervals on other contigs are
        not checked.
    path
        File that ``bed`` came from, for the error.

    Raises
    ------
    InputError
        At the first interval that ends beyond its contig, with its line in the file.
    """
    limits = pl.DataFrame(
        {"chrom": list(lengths), "length": list(lengths.values())},
        schema={"chrom": pl.String, "length": pl.Int64},
    )
    beyond = (
        bed.lazy()
        .select("chrom", "start", "end")
        .join(limits.lazy(), on="chrom", how="left", maintain_order="left")
        .filter(pl.col("end") > pl.col("length"))
        .head(1)
        .collect()
    )
    if beyond.height == 0:
        return
    chrom, start, end, length = beyond.row(0)
    raise InputError(
        f"the interval {chrom}:{start}-{end} (0-based half-open) ends beyond {chrom}, "
        f"which has {length:,} bases",
        file=path,
        line=_line_of(Path(path), chrom, start, end),
        remedy="Check that the intervals and the genome are of the same assembly",
    )


def _fast(body: bytes, width: int) -> pl.DataFrame | None:
    """Parse with polars; None where a line must be checked on its own."""
    schema = dict(list(COLUMNS.items())[:width])
    further = {f"column_{number}": pl.String for number in range(len(schema), width)}
    try:
        table = pl.read_csv(
            body,
            separator="\t",
            has_header=False,
            quote_char=None,
            comment_prefix="#",
            schema={**schema, **further},
            truncate_ragged_lines=True,
        )
    except pl.exceptions.PolarsError:
        return None
    table = table.select(list(schema))
    blank = pl.all_horizontal(pl.all().is_null())
    skipped = blank | (
        pl.col("start").is_null() & pl.col("chrom").str.contains(r"^(track|browser)\b")
    )
    if table["end"].null_count():
        table = table.filter(~skipped)
    bad = (
        pl.any_horizontal(pl.col("chrom", "start", "end").is_null())
        | (pl.col("start") < 0)
        | (pl.col("end") <= pl.col("start"))
    )
    return None if table.select(bad.any()).item() else table


def _plain_table(data: bytes, columns: list[str], path: Path) -> pl.DataFrame:
    """Plain twin of :func:`_fast`, line by line, with an error for the first bad line."""
    rows = []
    for number, _, line in _interval_lines(data):
        fields = _fields(line, number, path)
        start, end = (_whole(fields[i], number, path) for i in (1, 2))
        if start < 0:
            raise _bad(path, number, f"the start is {start}, below 0")
        if end <= start:
            raise _bad(path, number, f"the end, {end}, is not above the start, {start}")
        rest = [*fields[3:6], "", "", ""][:3]
        rows.append((fields[0], start, end, *(field or None for field in rest))[: len(columns)])
    schema = {column: COLUMNS[column] for column in columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _fields(line: bytes, number: int, path: Path) -> list[str]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad(path, number, f"the line is not text ({line[:20]!r})") from error
    fields = text.split("\t")
    if len(fields) < 3:
        if len(text.split()) >= 3:
            raise InputError(
                f"the fields are separated by spaces, not tabs ({text[:40]!r})",
                file=path,
                line=number,
                remedy="Convert the spaces to tabs, for example with: tr -s ' ' '\\t'",
            )
        columns = f"{len(fields)} column" + "s" * (len(fields) > 1)
        raise _bad(path, number, f"the line has {columns}, not at least 3 ({text[:40]!r})")
    if not fields[0]:
        raise _bad(path, number, f"the line has no chromosome name ({text[:40]!r})")
    return fields


def _whole(field: str, number: int, path: Path) -> int:
    if not WHOLE_NUMBER.fullmatch(field):
        raise _bad(path, number, f"{field!r} is not a whole number")
    return int(field)


def _bad(path: Path, line: int, problem: str) -> InputError:
    return InputError(
        problem,
        file=path,
        line=line,
        remedy="The columns of BED are chromosome, start and end, separated by tabs; start and end "
        "are 0-based and half-open",
    )


def _interval_lines(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield 1-based number, offset and text of each line that must be an interval."""
    at, number, before_first = 0, 0, True
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        line = data[at:end]
        number += 1
        if line.strip() and not _is_skipped(line):
            if not (before_first and HEADER.match(line)):
                yield number, at, line
            before_first = False
        at = end + 1


def _is_skipped(line: bytes) -> bool:
    if line.startswith(b"#"):
        return True
    return line.startswith((b"track", b"browser")) and line.split(None, 1)[0] in SKIPPED_LINES


def _line_of(path: Path, chrom: str, start: int, end: int) -> int | None:
    """Find the first line with this interval, or with its start and end on a renamed contig."""
    by_position = None
    with open_bytes(path) as handle:
        data = handle.read().removeprefix(BYTE_ORDER_MARK)
    for number, _, line in _interval_lines(data):
        fields = line.rstrip(b"\r").split(b"\t")
        if [int(field) for field in fields[1:3]] == [start, end]:
            if fields[0] == chrom.encode():
                return number
            by_position = by_position or number
    return by_position
