"""Read BED files as tables of intervals."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError
from danq.files.pipes import local_path
from danq.files.recognise import other_interval_format
from danq.files.text_tables import (
    byte_lines,
    number_problem,
    read_text_bytes,
    separator_problem,
    split_fields,
    text_blocks,
)
from danq.genome.bed_header import (
    ColumnPlan,
    is_header,
    named_plan,
    plain_plan,
    zero_based,
)

SKIPPED_LINES = (b"#", b"track", b"browser")
FIRST_LINES = 100
"""Largest number of lines before the first interval in which another format is recognised."""

WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_SHORT_CONTIG = re.compile(r"[0-9]{1,2}|[XYMWZ]|MT")
_POSITIONS = ("start", "end", "length")

log = logging.getLogger("danq")


def read_bed(path: str | Path, *, empty: bool = False, names: bool = True) -> pl.DataFrame:
    """Read the intervals of a BED file (BED3 to BED12, narrowPeak, broadPeak).

    Blank lines, lines that start with ``#``, ``track`` or ``browser``, and one line of
    column names before the first interval are skipped. Column names say which columns hold name,
    score and strand. If one of them is ``length`` or ``width`` and shows that starts count from 1
    (as in the ``.xls`` files of MACS and in tables of R), starts are shifted, with a notice.
    Intervals without a base (start = end) are left out and counted in a notice.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file, tab-separated.
    empty
        Whether a file without intervals is allowed.
    names
        Whether to read name, score and strand; without them, reading is faster. The name is read
        all the same if it is the last of four columns.

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
        When the file is missing, a folder, empty, a truncated or damaged gzip, holds no
        interval, or is of another format (bedGraph, wiggle, GFF, BEDPE, VCF, SAM, peaks of HOMER,
        interval list); and at the first line with fewer than three columns, separators other than
        tabs, no chromosome, a start or end that is not a whole number, a negative start, or an end
        below the start.
    """
    path = Path(path)
    blocks = iter(()) if empty and _is_empty(path) else text_blocks(path)
    data, more = next(blocks, b""), next(blocks, b"")
    layout = _layout(data, path)
    if layout is None and more:
        data, more = b"".join([data, more, *blocks]), b""
        layout = _layout(data, path)
    if layout is None:
        if empty:
            return _empty()
        raise InputError("holds no interval", file=path, remedy="Check that it is a BED file")
    if not names and layout.width != 4:
        few = {name: layout.plan.indices[name] for name in ("chrom", "start", "end")}
        layout = layout._replace(plan=layout.plan._replace(indices=few))
    table = None
    if layout.plan.length is None and layout.width >= 3:
        table = _fast_blocks(chain([data[layout.offset :], more], blocks), layout, path, names)
    if table is None:
        if more:
            data = read_text_bytes(path)
            _refuse_later_tracks(data, path)
        table = _checked_table(data, layout.plan, path)
    if layout.plan.length is not None:
        table = zero_based(table, path)
    return _without_empty(table, path, empty)


class _Layout(NamedTuple):
    """Offset of the first interval, number of its columns, and what the columns are."""

    offset: int
    width: int
    plan: ColumnPlan


def _layout(data: bytes, path: Path) -> _Layout | None:
    """Find the first interval and refuse other formats; None for a file without intervals."""
    head: list[str] = []
    plan: ColumnPlan | None = None
    named: list[str] | None = None
    for number, offset, line in byte_lines(data):
        text = line.decode("utf-8")
        if len(head) < FIRST_LINES:
            head.append(text)
        if not text.strip() or line.startswith(b"@"):
            continue
        if _is_skipped(line):
            names = split_fields(text.lstrip("#"), path, number)
            named = names if text[0] == "#" and is_header(names) else named
            continue
        fields = split_fields(text, path, number)
        if plan is None and is_header(fields):
            plan = named_plan(fields, path, number)
            continue
        _refuse_other_format([*head, text], fields, path)
        _refuse_later_tracks(data, path)
        if plan is None:
            # Column names behind '#': only their order is checked, for BED files have any names.
            plan = plain_plan(len(fields)) if named is None else named_plan(named, path, number)
        return _Layout(offset, line.count(b"\t") + 1, plan)
    _refuse_other_format(head, [], path)
    return None


def _refuse_other_format(head: list[str], fields: list[str], path: Path) -> None:
    found = other_interval_format(head)
    if found is not None:
        raise InputError(f"is {found.name}", file=path, remedy=found.remedy)
    if _is_bedpe(fields):
        raise InputError(
            "is BEDPE, which has two intervals in a line",
            file=path,
            remedy="Write each interval on a separate line: chromosome, start and end",
        )
    if [field.lower() for field in fields[:2]] in (["chrom", "pos"], ["chr", "pos"]):
        raise InputError(
            "is a table of positions or variants, which count from 1",
            file=path,
            remedy="Convert it to BED, for example with: grep -v '^#' FILE | tail -n +2 | "
            "awk -v OFS='\\t' '{print $1, $2 - 1, $2}'",
        )
    if fields and re.fullmatch(r"[^\t:]+:[0-9,]+-[0-9,]+", fields[0]) and len(fields) < 3:
        raise InputError(
            f"is a list of regions, which count from 1 ({fields[0]!r})",
            file=path,
            remedy="Convert it to BED: chromosome, start - 1 and end, separated by tabs",
        )


def _refuse_later_tracks(data: bytes, path: Path) -> None:
    """Refuse a file that holds tracks of another type after its first intervals."""
    if b"track" not in data:
        return
    for line in re.findall(rb"^track[ \t].*", data, re.MULTILINE):
        found = other_interval_format([line.decode("utf-8")])
        if found is not None:
            raise InputError(f"has {found.name}", file=path, remedy=found.remedy)


def _has_bin(fields: list[str]) -> bool:
    """Whether a number comes before the contig, the start and the end."""
    return (
        len(fields) > 3
        and not WHOLE_NUMBER.fullmatch(fields[1])
        and all(map(WHOLE_NUMBER.fullmatch, (fields[0], *fields[2:4])))
    )


def _is_bedpe(fields: list[str]) -> bool:
    """Whether the second three fields of a line are a contig, a start and an end, too."""
    if len(fields) < 6 or not all(map(WHOLE_NUMBER.fullmatch, (*fields[1:3], *fields[4:6]))):
        return False
    short = all(map(_SHORT_CONTIG.fullmatch, (fields[0], fields[3])))
    return (
        fields[3] == fields[0]
        or fields[3].lower().startswith("chr")
        or (short and int(fields[4]) < int(fields[5]))
    )


def _has_outer_blanks(body: bytes) -> bool:
    """Whether a field may begin or end with a blank, which polars keeps."""
    return body.endswith(b" ") or any(mark in body for mark in (b" \t", b"\t ", b" \n", b"\n "))


def _fast_blocks(
    blocks: Iterable[bytes], layout: _Layout, path: Path, names: bool
) -> pl.DataFrame | None:
    """Parse block by block with polars; None where a line must be checked on its own."""
    parts: list[pl.DataFrame] = []
    for block in blocks:
        if parts:
            _refuse_later_tracks(block, path)
        body = _from_first_row(block)
        if not body:
            continue
        part = _fast(body, layout)
        if part is None:
            return None
        # Only numbers in place of names show a signal.
        if not names and "name" in part.columns and _begins_with_text(part["name"]):
            columns = part.columns[:3]
            few = {name: layout.plan.indices[name] for name in columns}
            layout = layout._replace(plan=layout.plan._replace(indices=few))
            parts = [earlier.select(columns) for earlier in parts]
            part = part.select(columns)
        parts.append(part)
    return pl.concat(parts, rechunk=False)


def _from_first_row(block: bytes) -> bytes:
    """Text without blank lines and comments at its start, at which polars fails."""
    at = 0
    while block[at : at + 1] in (b"#", b"\n"):
        at = 1 + block.find(b"\n", at) or len(block)
    return block[at:] if at else block


def _begins_with_text(names: pl.Series) -> bool:
    return names.head(1).cast(pl.Float64, strict=False).null_count() > 0


def _fast(body: bytes, layout: _Layout) -> pl.DataFrame | None:
    """Parse with polars; None where a line must be checked on its own."""
    if b'"' in body or (b" " in body and _has_outer_blanks(body)):
        return None
    schema = {
        f"column_{index}": pl.Int64 if index in (1, 2) else pl.String
        for index in range(layout.width)
    }
    columns = {
        f"column_{index}": name
        for name, index in layout.plan.indices.items()
        if index < layout.width
    }
    try:
        table = pl.read_csv(
            body,
            columns=list(columns),
            separator="\t",
            has_header=False,
            quote_char=None,
            comment_prefix="#",
            schema=schema,
            truncate_ragged_lines=True,
        )
    except pl.exceptions.PolarsError:
        return None
    table = table.rename(columns).select(list(columns.values()))
    blank = pl.all_horizontal(pl.all().is_null())
    skipped = blank | (
        pl.col("start").is_null() & pl.col("chrom").str.contains(r"^(track|browser)\b")
    )
    if table["end"].null_count():
        table = table.filter(~skipped)
    bad = (
        pl.any_horizontal(pl.col("chrom", "start", "end").is_null())
        | (pl.col("start") < 0)
        | (pl.col("end") < pl.col("start"))
    )
    if table.select(bad.any()).item():
        return None
    if "score" in table.columns:
        table = table.with_columns(pl.col("score").cast(pl.Float64, strict=False))
    return table


def _checked_table(data: bytes, plan: ColumnPlan, path: Path) -> pl.DataFrame:
    """Plain twin of :func:`_fast`, line by line, with an error for the first bad line."""
    indices = dict(plan.indices)
    if plan.length is not None:
        indices["length"] = plan.length
    rows = []
    for number, fields in interval_fields(data, path):
        row: list[str | int | None] = []
        for name, index in indices.items():
            field = fields[index] if index < len(fields) else ""
            row.append(_whole(field, number, path) if name in _POSITIONS else field or None)
        start, end = _whole(fields[1], number, path), _whole(fields[2], number, path)
        if start < 0:
            raise _bad(path, number, f"the start is {start}, below 0")
        if end < start:
            raise _bad(path, number, f"the end, {end}, is below the start, {start}")
        rows.append(row)
    schema = {name: pl.Int64 if name in _POSITIONS else pl.String for name in indices}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    if "score" in indices:
        table = table.with_columns(pl.col("score").cast(pl.Float64, strict=False))
    return table


def _without_empty(table: pl.DataFrame, path: Path, allowed: bool) -> pl.DataFrame:
    kept = table.filter(pl.col("end") > pl.col("start"))
    if kept.height < table.height:
        left_out = table.height - kept.height
        log.info("%s: intervals of no base (start = end), left out: %d", path, left_out)
        if kept.height == 0 and not allowed:
            raise InputError(
                f"all of its {left_out:,} intervals have no base (start = end)",
                file=path,
                remedy="Give intervals with an end above the start",
            )
    return kept


def interval_fields(data: bytes, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line and the fields of each interval of a BED file.

    Raises
    ------
    InputError
        At a line with fewer than three fields, or without a chromosome name.
    """
    before_first = True
    for number, _, line in byte_lines(data):
        if not line.strip() or _is_skipped(line):
            continue
        text = line.decode("utf-8")
        fields = split_fields(text, path, number)
        header, before_first = before_first and is_header(fields), False
        if header:
            continue
        if len(fields) < 3:
            found = separator_problem(text, 3)
            if found is not None:
                raise InputError(found[0], file=path, line=number, remedy=found[1])
            columns = f"{len(fields)} column" + "s" * (len(fields) > 1)
            raise _bad(path, number, f"the line has {columns}, not at least 3 ({text[:40]!r})")
        if not fields[0]:
            raise _bad(path, number, f"the line has no chromosome name ({text[:40]!r})")
        if _has_bin(fields):
            raise InputError(
                "the chromosome is in the second column, as in tables of UCSC with a column 'bin' "
                f"({text[:40]!r})",
                file=path,
                line=number,
                remedy="Remove the first column, for example with: cut -f2-",
            )
        yield number, fields


def _whole(field: str, number: int, path: Path) -> int:
    if not WHOLE_NUMBER.fullmatch(field):
        reason = number_problem(field)
        raise _bad(
            path, number, f"{field!r} is not a whole number" + (f": {reason}" if reason else "")
        )
    return int(field)


def _bad(path: Path, line: int, problem: str) -> InputError:
    return InputError(
        problem,
        file=path,
        line=line,
        remedy="The columns of BED are chromosome, start and end, separated by tabs; start and end "
        "are 0-based and half-open",
    )


def _is_skipped(line: bytes) -> bool:
    if line.startswith(b"#"):
        return True
    return line.startswith((b"track", b"browser")) and line.split(None, 1)[0] in SKIPPED_LINES


def _is_empty(path: Path) -> bool:
    """Whether an existing file, or a pipe, has no bytes."""
    local = local_path(path)
    return local.is_file() and local.stat().st_size == 0


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={"chrom": pl.String, "start": pl.Int64, "end": pl.Int64})
