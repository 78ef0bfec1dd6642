"""Column names of interval tables, and what they say about the columns and the first base."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError

log = logging.getLogger("danq")

BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")

_BED_NAMES = {("chrom", "start", "end"), ("chrom", "chromstart", "chromend")}

_START = re.compile(r"[a-z_. ]*(start|begin|from)[a-z_. ]*", re.IGNORECASE)
_END = re.compile(r"[a-z_. ]*(end|stop|to)[a-z_. ]*", re.IGNORECASE)
_LENGTHS = ("length", "width")
_BY_NAME = {"name": ("name", "id", "peak", "peak_name", "peakid"), "strand": ("strand",)}


class ColumnPlan(NamedTuple):
    """Where the columns of an interval table are.

    ``indices`` are 0-based, by the names `BED_COLUMNS`; ``length`` is the column that states the
    number of bases, or None.
    """

    indices: Mapping[str, int]
    length: int | None = None


def plain_plan(width: int) -> ColumnPlan:
    """Columns of BED, for a file without column names and with ``width`` columns."""
    return ColumnPlan({name: index for index, name in enumerate(BED_COLUMNS[: max(3, width)])})


def is_header(fields: Sequence[str]) -> bool:
    """Whether the fields of a line are column names with a start, followed by an end."""
    return _start_column(fields) is not None


def named_plan(fields: Sequence[str], path: Path, line: int) -> ColumnPlan:
    """Columns of a table with column names.

    Raises
    ------
    InputError
        When start and end are not the second and third column, or the names are those of a
        format that counts from 1 and cannot be checked.
    """
    names = [field.lstrip("#").strip().lower() for field in fields]
    start = _start_column(names)
    if start != 1:
        first = start if start is not None else 1
        raise InputError(
            f"the columns are {', '.join(fields[:5])}, not chromosome, start and end first",
            file=path,
            line=line,
            remedy="Reorder them, for example with: "
            f"awk -v OFS='\\t' '{{print ${first}, ${first + 1}, ${first + 2}}}'; start and end "
            "must be 0-based and half-open",
        )
    length = next((names.index(one) for one in _LENGTHS if one in names), None)
    if names[0] == "seqnames" and length is None:
        raise InputError(
            "the column 'seqnames' is that of an R table, which usually counts from 1, and there "
            "is no column 'width' to check that",
            file=path,
            line=line,
            remedy="Export it as BED with rtracklayer::export.bed",
        )
    if length is None and tuple(names[:3]) not in _BED_NAMES:
        log.info(
            "%s: starts of the columns %s are read as 0-based, as in BED",
            path,
            ", ".join(fields[:3]),
        )
    found = {"chrom": 0, "start": 1, "end": 2}
    for column, synonyms in _BY_NAME.items():
        index = next((names.index(one) for one in synonyms if one in names), None)
        if index is not None:
            found[column] = index
    if "score" in names:
        found["score"] = names.index("score")
    return ColumnPlan({name: found[name] for name in BED_COLUMNS if name in found}, length)


def counts_from_one(table: pl.DataFrame, path: Path) -> bool:
    """Whether starts count from 1, by the stated number of bases of each interval.

    Parameters
    ----------
    table
        ``start``, ``end`` and ``length``.
    path
        The file, for the error.

    Raises
    ------
    InputError
        When the numbers of bases agree neither with 0-based half-open nor with 1-based closed
        intervals.
    """
    extra = (table["length"] - (table["end"] - table["start"])).unique().to_list()
    if extra == [1]:
        return True
    if extra == [0]:
        return False
    raise InputError(
        "the column with the number of bases agrees neither with 0-based half-open nor with "
        "1-based closed starts and ends",
        file=path,
        remedy="Keep the columns chromosome, start and end, 0-based and half-open",
    )


def _start_column(fields: Sequence[str]) -> int | None:
    pairs = itertools.pairwise(fields)
    return next(
        (i for i, (a, b) in enumerate(pairs) if i and _START.fullmatch(a) and _END.fullmatch(b)),
        None,
    )


def zero_based(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Table with 0-based starts, without the column ``length`` that shows where they count from."""
    if counts_from_one(table, path):
        log.info(
            "%s: its lengths show that starts count from 1; they are read as 0-based, one less",
            path,
        )
        table = table.with_columns(pl.col("start") - 1)
        if table["start"].min() == -1:
            raise InputError("a start is 0, but its starts count from 1", file=path)
    return table.drop("length")
