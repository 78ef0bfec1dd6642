"""Read the values of bedGraph and BED files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.text_tables import (
    byte_lines,
    is_missing,
    number_problem,
    separator_problem,
    split_fields,
    text_blocks,
)
from danq.genome.bed import WHOLE_NUMBER
from danq.genome.signal.segments import Segments, SignalContigs

VALUE_COLUMN = 4
"""Column of the value in a bedGraph file, counted from 1."""

_NAMES = ("chrom", "start", "end", "value")
_SKIPPED = re.compile(rb"^(?:#|(?:track|browser)(?:[ \t]|$)|[ \t]*$)[^\n]*\n?", re.MULTILINE)
_BLANKS = re.compile(rb"[ \t]+")
_REMEDY = (
    "The columns of bedGraph are chromosome, start, end and value; start and end are 0-based and "
    "half-open"
)


def read_bedgraph(
    path: str | Path, contigs: SignalContigs, column: int = VALUE_COLUMN
) -> Iterator[Segments]:
    """Yield the segments of a bedGraph file, or those of a BED file with one of its columns.

    Lines that start with ``#``, ``track`` or ``browser`` and blank lines are skipped. A missing
    value (NA, NaN, a dot) is NaN. Columns are separated by tabs or blanks.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file. Its intervals are sorted and do not overlap.
    contigs
        Finds the genome's contigs; segments of other contigs are left out.
    column
        Column of the value, counted from 1.

    Raises
    ------
    InputError
        At the first line that is not an interval with a number, or that cannot be right next to the
        line before (see `danq.genome.signal.segments.first_problem`); when a bedGraph file has more
        than four columns.
    """
    path, line = Path(path), 1
    for block in text_blocks(path):
        table = _fast(block, column)
        if table is None:
            table = _checked(block, path, line, column)
        first = 0
        runs = table["chrom"].rle().struct.unnest()
        for rows, name in zip(runs["len"], runs["value"], strict=True):
            at = _Rows(block, line, first)
            contig = contigs.enter(name, None if contigs.last == name else at.line(0))
            part = table.slice(first, rows)
            first += rows
            if contig is not None:
                columns = (part[key].to_numpy() for key in ("start", "end", "value"))
                yield contigs.check(Segments(contig, *columns), at.line)
        line += block.count(b"\n")


class _Rows:
    """Finds the line of a row, which is only needed for errors."""

    def __init__(self, block: bytes, line: int, first: int) -> None:
        self.block, self.start, self.first = block, line, first

    def line(self, row: int) -> int:
        """Line of a row, counted from the first one."""
        rows = (n for n, _, text in byte_lines(self.block) if not _SKIPPED.fullmatch(text + b"\n"))
        return self.start + next(islice(rows, self.first + row, None)) - 1


def _fast(block: bytes, column: int) -> pl.DataFrame | None:
    """Parse a block with polars; None where its lines must be checked one by one."""
    if block.startswith((b"#", b"track", b"browser", b"\n")) or any(
        mark in block for mark in (b"\n#", b"\ntrack", b"\nbrowser", b"\n\n", b"\n \n")
    ):
        block = _SKIPPED.sub(b"", block)
    if not block:
        return pl.DataFrame(schema=_schema())
    if b'"' in block:
        return None
    first = block[: block.find(b"\n") if b"\n" in block else len(block)]
    if b"\t" not in first or b" " in block:
        block = _BLANKS.sub(b"\t", block)
        first = _BLANKS.sub(b"\t", first)
    width = first.count(b"\t") + 1
    if width < column or (column == VALUE_COLUMN and width != VALUE_COLUMN):
        return None
    kinds: dict[str, type[pl.DataType]] = {f"column_{i}": pl.String for i in range(width)}
    kinds |= {"column_1": pl.Int64, "column_2": pl.Int64, f"column_{column - 1}": pl.Float64}
    used = ["column_0", "column_1", "column_2", f"column_{column - 1}"]
    try:
        table = pl.read_csv(
            block, separator="\t", has_header=False, quote_char=None, schema=kinds, columns=used
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None
    table = table.select(used).rename(dict(zip(used, _NAMES, strict=True)))
    # Nulls are missing values and missing fields.
    return None if any(table[name].null_count() for name in _NAMES) else table


def _schema() -> dict[str, type[pl.DataType]]:
    return {"chrom": pl.String, "start": pl.Int64, "end": pl.Int64, "value": pl.Float64}


def _checked(block: bytes, path: Path, line: int, column: int) -> pl.DataFrame:
    """Plain twin of `_fast`, line by line, with an error for the first bad line."""
    rows = []
    for number, _, raw in byte_lines(block):
        if _SKIPPED.fullmatch(raw + b"\n"):
            continue
        text, where = raw.decode("utf-8"), line + number - 1
        fields = split_fields(text, path, where)
        if len(fields) == 1:
            found = separator_problem(text, 3)
            if found is not None and "spaces" not in found[0]:
                raise InputError(found[0], file=path, line=where, remedy=found[1])
            fields = text.split()
        if len(fields) < column:
            shown = f"the line has {len(fields)} columns, not {column} ({text[:40]!r})"
            raise _bad(path, where, shown)
        if column == VALUE_COLUMN and len(fields) > VALUE_COLUMN:
            raise InputError(
                f"the line has {len(fields)} columns, but bedGraph has 4 ({text[:40]!r})",
                file=path,
                line=where,
                remedy="Name the column of the value, if this is a BED file",
            )
        for position in fields[1:3]:
            if not WHOLE_NUMBER.fullmatch(position):
                reason = number_problem(position)
                shown = f"{position!r} is not a whole number" + (f": {reason}" if reason else "")
                raise _bad(path, where, shown)
        rows.append((fields[0], *map(int, fields[1:3]), number_in(fields[column - 1], path, where)))
    return pl.DataFrame(rows, schema=_schema(), orient="row")


def number_in(text: str, path: Path, line: int) -> float:
    """A value as a number; NaN where it is missing.

    Raises
    ------
    InputError
        When the text is not a number.
    """
    try:
        if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", text, re.IGNORECASE):
            return float(text)
    except ValueError:
        pass
    if is_missing(text):
        return np.nan
    reason = number_problem(text)
    raise InputError(
        f"the value {text[:40]!r} is not a number" + (f": {reason}" if reason else ""),
        file=path,
        line=line,
        remedy="Write a number with a decimal point, or NA",
    )


def _bad(path: Path, line: int, problem: str) -> InputError:
    return InputError(problem, file=path, line=line, remedy=_REMEDY)
