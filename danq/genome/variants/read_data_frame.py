"""Read variants from data frames and rows in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from danq.errors import InputError
from danq.genome.variants.raw_records import Header, Records, whole_numbers

NEEDED = ("chrom", "pos", "ref", "alt")
REMEDY = (
    "Give a polars or pandas data frame with the columns chrom, pos, ref, alt and optionally id, "
    "or tuples of these"
)


class Frame(Protocol):
    """A data frame of polars or pandas."""

    @property
    def columns(self) -> Any: ...


def table_rows(table: Iterable[tuple] | Frame) -> Iterator[tuple]:
    """Iterate over rows (chrom, pos, ref, alt) or (chrom, pos, ref, alt, id).

    Parameters
    ----------
    table
        Such rows, or a polars or pandas data frame with columns of these names; other columns
        are ignored.

    Raises
    ------
    InputError
        When a column is missing or the object is not a table; and, while it is read, at an
        element that is not a row.
    """
    for frame, read in (("iter_rows", _of_polars), ("itertuples", _of_pandas)):
        if hasattr(table, frame):
            names = list(table.columns)  # type: ignore[union-attr]
            missing = [name for name in NEEDED if name not in names]
            if missing:
                raise InputError(f"the table lacks the columns {', '.join(missing)}", remedy=REMEDY)
            return read(table, [*NEEDED, *(["id"] if "id" in names else [])])
    if isinstance(table, Mapping) or not isinstance(table, Iterable):
        kind = type(table)
        raise InputError(
            f"the variants are a {kind.__module__}.{kind.__qualname__}, not a table", remedy=REMEDY
        )
    return _plain(table)


def _of_polars(frame: Any, columns: list[str]) -> Iterator[tuple]:
    return frame.select(columns).iter_rows()


def _of_pandas(frame: Any, columns: list[str]) -> Iterator[tuple]:
    part = frame[columns]
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
        yield tuple(row)


class TableSource:
    """Variants in memory, as `table_rows` reads them; ``pos`` is 1-based."""

    header = Header([], [], [])

    def __init__(self, rows: Iterable[tuple] | Frame, name: str) -> None:
        self.name = name
        self._rows = table_rows(rows)
        self._record = 1

    def skip(self, records: int) -> None:
        """Skip records."""
        self._record += sum(1 for _ in islice(self._rows, records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a row without four or five values, or a position that is not a whole number.
        """
        taken = list(islice(self._rows, count))
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        for number, row in enumerate(taken, start=first):
            if len(row) not in (4, 5):
                raise InputError(
                    f"the row has {len(row)} values, not chrom, pos, ref, alt and optionally id",
                    file=self.name,
                    record=str(number),
                )
        chrom, pos, ref, alt = (["" if v is None else str(v) for v in c] for c in _columns(taken))
        ids = [str(row[4]) if len(row) == 5 and row[4] is not None else "." for row in taken]
        positions = whole_numbers(pos, self.name, [], first)
        return Records(first, [], chrom, positions, ids, ref, alt, [], [], [], [])


def _columns(rows: list[tuple]) -> list[list]:
    return [[row[i] for row in rows] for i in range(4)]
