"""Read variants from data frames and rows in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from danq.errors import InputError
from danq.genome.variants.raw_records import Header, Records
from danq.genome.variants.table_columns import TableColumns, find_columns, plain_name
from danq.genome.variants.table_values import TableValues

ROW = ("chrom", "pos", "ref", "alt", "id")
REMEDY = (
    "Give a polars or pandas data frame with the columns chrom, pos, ref, alt and optionally id, "
    "or tuples of these"
)

log = logging.getLogger("danq")


class Frame(Protocol):
    """A data frame of polars or pandas."""

    @property
    def columns(self) -> Any: ...


class TableRows(NamedTuple):
    """Rows of a table in memory.

    ``rows`` are tuples, ``names`` the names of their columns, and ``columns`` their meaning.
    ``file`` and ``lines`` are the file of the rows and the line of each, if they are of a file.
    """

    rows: Iterable[tuple]
    names: list[str]
    columns: TableColumns
    file: str | None = None
    lines: Sequence[int] = ()

    def stored(self) -> TableRows:
        """The same, with rows that can be read several times."""
        return self._replace(rows=list(self.rows))


def table_rows(table: Iterable[tuple] | Frame | TableRows, name: str = "the table") -> TableRows:
    """Rows of a table, with the meaning of their columns.

    Parameters
    ----------
    table
        Rows (chrom, pos, ref, alt) or (chrom, pos, ref, alt, id), or a polars or pandas data frame
        with columns of these names, or of the names that
        :mod:`danq.genome.variants.table_columns` lists; other columns are ignored.
    name
        Name of the table in messages.

    Raises
    ------
    InputError
        When a column is missing, two columns have the same meaning, or the object is not a table;
        and, while it is read, at an element that is not a row.
    """
    if isinstance(table, TableRows):
        return table
    for frame, read in (("iter_rows", _of_polars), ("itertuples", _of_pandas)):
        if hasattr(table, frame):
            return _of_frame(table, read, name)
    if isinstance(table, Mapping) or not isinstance(table, Iterable):
        kind = type(table)
        raise InputError(
            f"the variants are a {kind.__module__}.{kind.__qualname__}, not a table", remedy=REMEDY
        )
    columns = TableColumns(chrom=0, pos=1, ref=2, alt=3, id=4)
    return TableRows(_plain(table), [*ROW], columns)


def _of_frame(table: Any, read: Any, name: str) -> TableRows:
    names = list(map(str, table.columns))
    try:
        found = find_columns(names, file=name, line=None, lacks="the table lacks the columns")
    except InputError as error:
        raise InputError(error.problem, remedy=REMEDY) from error
    used = found.used
    columns = found.moved({one: i for i, one in enumerate(used)})
    if {plain_name(names[one]) for one in used} - {*ROW, "strand"} or not found.oriented:
        log.info("%s: %s", name, found.describe(names))
    return TableRows(read(table, used), [names[one] for one in used], columns)


def _of_polars(frame: Any, used: list[int]) -> Iterator[tuple]:
    return frame.select([frame.columns[one] for one in used]).iter_rows()


def _of_pandas(frame: Any, used: list[int]) -> Iterator[tuple]:
    part = frame.iloc[:, used]
    # Object columns hold Python's own numbers and None, for every dtype.
    return part.astype(object).where(part.notna(), None).itertuples(index=False, name=None)


def _plain(rows: Iterable[Any]) -> Iterator[tuple]:
    for number, row in enumerate(rows, start=1):
        if isinstance(row, str | Mapping) or not isinstance(row, Iterable):
            raise InputError(
                f"the row is {row!r:.40}, not chrom, pos, ref, alt and optionally id",
                file="the table",
                record=str(number),
                remedy=REMEDY,
            )
        values = tuple(row)
        if len(values) not in (len(ROW) - 1, len(ROW)):
            raise InputError(
                f"the row has {len(values)} values, not chrom, pos, ref, alt and optionally id",
                file="the table",
                record=str(number),
                remedy=REMEDY,
            )
        yield values if len(values) == len(ROW) else (*values, None)


def _text(value: Any) -> str:
    if value is None:
        return ""
    # Columns of whole numbers with missing values are float in pandas.
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else "" if value != value else str(value)
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value)


class TableSource:
    """Variants in memory, as `table_rows` reads them; ``pos`` is 1-based."""

    header = Header([], [], [])
    is_table = True

    def __init__(self, rows: Iterable[tuple] | Frame | TableRows, name: str) -> None:
        table = table_rows(rows, name)
        self.name = table.file or name
        self.oriented = table.columns.oriented
        self._rows = iter(table.rows)
        self._lines = table.lines
        self._values = TableValues(table.columns, table.names, self.name)
        self._record = 1

    def skip(self, records: int) -> int:
        """Skip records; returns their number, less at the end."""
        skipped = sum(1 for _ in islice(self._rows, records))
        self._record += skipped
        return skipped

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a row without four or five values, or a position that is not a whole number; and
            as :meth:`danq.genome.variants.table_values.TableValues.read`.
        """
        taken = list(islice(self._rows, count))
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)

        def column(index: int) -> list[str]:
            return [_text(row[index]) for row in taken]

        lines = list(self._lines[first - 1 : first - 1 + len(taken)])
        values = self._values.read(column, lines, first)
        return Records(first, lines, *values, [], [], [], [])
