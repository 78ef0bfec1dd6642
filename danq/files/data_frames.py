"""Read large tables of text as data frames, by the rules of `danq.files.text_tables`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError, first_line
from danq.files.open_input import check_file, open_raw
from danq.files.pipes import local_path
from danq.files.recognise import PARQUET_MAGIC
from danq.files.separate_reader import Refused, borrowed_reader, new_memory
from danq.files.text_tables import byte_lines, read_text_bytes, separator_problem, split_fields

_OUTER_BLANKS = re.compile(rb" *([\t\n]) *")

_PARQUET_ROOM = 1 << 30
_PARQUET_RATIO = 20

Kind = type[pl.DataType] | None

SEPARATORS = ("\t", ",", ";")
"""Separators of fields, in the order in which they are looked for in the first line."""


def read_frame(
    path: str | Path, kind_of: Callable[[str], Kind] = lambda name: None
) -> pl.DataFrame:
    """Read a tab-separated table whose first line that is not a comment names the columns.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file.
    kind_of
        Type of a column, by its name; None lets the values decide.

    Returns
    -------
    polars.DataFrame
        Columns in the order of the file; a missing value is null.

    Raises
    ------
    InputError
        As `danq.files.text_tables.read_text_bytes`; when the file has no line of column names, or
        two columns of one name; when a line has more fields than there are columns, or a value is
        not of the type of its column.
    """
    path = Path(path)
    data = read_text_bytes(path)
    if b" " in data and b'"' not in data:
        data = _OUTER_BLANKS.sub(rb"\1", data)
    header = _header(data)
    if header is None:
        raise InputError(
            "holds no line of column names", file=path, remedy="Add one, separated by tabs"
        )
    number, offset, line = header
    text = line.decode("utf-8")
    names = split_fields(text, path, number)
    problem = separator_problem(text, 2) if len(names) == 1 else None
    if problem is not None:
        raise InputError(problem[0], file=path, line=number, remedy=problem[1])
    _check_unique(names, path, number)
    # Empty fields at the end of the lines become columns, which are then removed.
    rest = [f"\0{index}" for index in range(line.count(b"\t") + 1 - len(names))]
    kinds = {name: kind for name in names if (kind := kind_of(name)) is not None}
    try:
        table = pl.read_csv(
            data[offset + len(line) + 1 :],
            separator="\t",
            comment_prefix="#",
            has_header=False,
            new_columns=[*names, *rest],
            infer_schema_length=None,
            schema_overrides=kinds | dict.fromkeys(rest, pl.String),
        )
    except pl.exceptions.NoDataError:
        return pl.DataFrame(schema={name: kinds.get(name, pl.String) for name in names})
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"cannot be read as a table ({first_line(error)})",
            file=path,
            remedy="Check that every line has the columns of the first line, separated by tabs",
        ) from error
    return _without_rest(table, names, path)


def is_parquet(path: str | Path) -> bool:
    """Whether a file is Parquet, by its first bytes.

    Raises
    ------
    InputError
        As `danq.files.open_input.check_file`; when it cannot be opened.
    """
    with open_raw(check_file(path)) as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def read_parquet(path: str | Path, rows: int | None = None) -> pl.DataFrame:
    """Read a Parquet file in another process, because a damaged file can abort its reader.

    Parameters
    ----------
    path
        The file.
    rows
        Number of rows to read, the first ones; None for all.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    file = local_path(check_file(path))
    most = _PARQUET_ROOM + _PARQUET_RATIO * file.stat().st_size
    try:
        with borrowed_reader() as reader, new_memory() as descriptor:
            reader.ask(
                "parquet", values=most, descriptor=descriptor, path=str(file.resolve()), rows=rows
            )
            with open(descriptor, "rb", closefd=False) as table:
                table.seek(0)  # the other process has moved the position to the end
                return pl.read_ipc(table.read())
    except Refused as error:
        raise _not_parquet(path, error) from error


def read_parquet_notes(path: str | Path) -> dict[str, str]:
    """Read the texts that a Parquet file stores by name, in another process.

    Raises
    ------
    InputError
        When the file is missing or damaged.
    """
    file = local_path(check_file(path))
    try:
        with borrowed_reader() as reader:
            return reader.ask("parquet_notes", path=str(file.resolve()))
    except Refused as error:
        raise _not_parquet(path, error) from error


def _not_parquet(path: str | Path, error: Refused) -> InputError:
    return InputError(
        f"cannot be read as Parquet: {error}",
        file=path,
        remedy="Copy it again, or write it again",
    )


@dataclass(frozen=True)
class TextTable:
    """A table of text whose first line may name the columns.

    Attributes
    ----------
    path
        Its file.
    frame
        Columns of String without blanks around the fields; an empty or absent field is null. Rows
        without any field are left out.
    named
        Whether the first line names the columns. Otherwise they are ``column_1`` and so on.
    empty
        Number of lines with separators only.
    """

    path: Path
    frame: pl.DataFrame
    named: bool
    empty: int
    _data: bytes
    _separator: str

    def line(self, row: int) -> int | None:
        """1-based line of a row; None where a quoted field may contain line ends."""
        if b'"' in self._data:
            return None
        blank = f" {self._separator}".encode()
        rows = (
            number
            for number, _, line in byte_lines(self._data)
            if line.strip(blank) and not line.startswith(b"#")
        )
        wanted = row + self.named
        return next((number for at, number in enumerate(rows) if at == wanted), None)


def read_text_table(path: str | Path, is_header: Callable[[list[str]], bool]) -> TextTable:
    """Read a table whose fields are separated by tabs, commas or semicolons.

    The first line decides which of them it is. Lines that start with ``#`` and blank lines are
    skipped.

    Parameters
    ----------
    path
        Plain, gzip or bgzip file.
    is_header
        Whether the fields of the first line are names of columns.

    Raises
    ------
    InputError
        As `danq.files.text_tables.read_text_bytes`; when the file has no line, the name of a column
        is missing or repeats, or a line has more fields than the first line or, without quotes,
        more than one and fewer.
    """
    path = Path(path)
    data = read_text_bytes(path)
    header = _header(data)
    if header is None:
        raise InputError("holds no row", file=path, remedy="Check the path")
    number, offset, line = header
    text = line.decode("utf-8")
    separator = next((one for one in SEPARATORS if one in text), "\t")
    fields = [field.strip(' "') for field in text.split(separator)]
    named = is_header(fields)
    if named:
        _check_unique(fields, path, number)
    names = fields if named else [f"column_{i + 1}" for i in range(len(fields))]
    body = data[offset + len(line) + 1 :] if named else data[offset:]
    table = TextTable(path, pl.DataFrame(), named, 0, data, separator)
    if not body.strip():
        return table
    _check_fields(table, len(names))
    try:
        frame = pl.read_csv(
            body,
            separator=separator,
            comment_prefix="#",
            has_header=False,
            schema=dict.fromkeys(names, pl.String),
        )
    except pl.exceptions.PolarsError as error:
        raise _ragged(table, len(names), error) from error
    frame = frame.with_columns(pl.all().str.strip_chars().replace("", None))
    kept = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    mark = re.escape(separator.encode())
    empty = len(re.findall(rb"^ *%b[%b ]*$" % (mark, mark), body, re.MULTILINE))
    return replace(table, frame=kept, empty=empty)


def _check_fields(table: TextTable, columns: int) -> None:
    """Refuse a line with fewer fields than the first one; polars would add missing values.

    A line with one field is a row without any value. Tables with quotes that do not end in their
    line are not checked.
    """
    data = table._data
    letters = np.frombuffer(data, np.uint8)
    ends = np.append(np.flatnonzero(letters == ord("\n")), letters.size)
    separators = np.flatnonzero(letters == ord(table._separator))
    if b'"' in data:
        # The type wraps around, which keeps the numbers odd or even.
        odd = np.cumsum(letters == ord('"'), dtype=np.uint8) & 1
        if odd[ends[:-1]].any() or odd[-1]:
            return
        separators = separators[odd[separators] == 0]
    fields = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    starts = np.append(0, ends[:-1] + 1)
    for number in np.flatnonzero((fields < columns) & (fields > 1)):
        line = data[starts[number] : ends[number]]
        if line.strip() and not line.startswith(b"#"):
            raise InputError(
                f"the line has {fields[number]:,} fields, but the first line has {columns:,}",
                file=table.path,
                line=int(number) + 1,
                remedy="Write NA for a missing value",
            )


def _ragged(table: TextTable, columns: int, error: Exception) -> InputError:
    """Make the error for a table that polars cannot read."""
    for number, _, line in byte_lines(table._data):
        fields = line.count(table._separator.encode()) + 1
        if fields > columns and not line.startswith(b"#") and b'"' not in table._data:
            return InputError(
                f"the line has {fields:,} fields, but the first line has {columns:,}",
                file=table.path,
                line=number,
                remedy="Check the separators; write numbers with a decimal point",
            )
    return InputError(
        f"cannot be read as a table ({first_line(error)})",
        file=table.path,
        remedy="Check that every line has the columns of the first line",
    )


def _header(data: bytes) -> tuple[int, int, bytes] | None:
    """Number, offset and text of the first line that is neither blank nor a comment."""
    lines = (one for one in byte_lines(data) if one[2].strip() and not one[2].startswith(b"#"))
    return next(lines, None)


def _check_unique(names: list[str], path: Path, line: int) -> None:
    """Refuse names of columns that repeat or are empty."""
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated or "" in names:
        raise InputError(
            f"two columns are named '{repeated[0]}'" if repeated else "a column has no name",
            file=path,
            line=line,
            remedy="Give each column a unique name",
        )


def _without_rest(table: pl.DataFrame, names: list[str], path: Path) -> pl.DataFrame:
    missing = [name for name in names if name not in table.columns]
    table = table.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    others = [name for name in table.columns if name not in names]
    if others and not table.select(pl.all_horizontal(pl.col(others).is_null()).all()).item():
        raise InputError(
            f"a line has more fields than the {len(names)} columns that the first line names",
            file=path,
            remedy="Name every column, or remove the further fields",
        )
    return table.select(names).filter(~pl.all_horizontal(pl.all().is_null()))
