"""Read tables of examples: CSV, TSV and JSON with named columns."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from danq.errors import InputError, few
from danq.files.json_file import read_json
from danq.files.text_tables import is_missing, read_text_bytes, repeated_column
from danq.vision.own_data.records import SPLIT_NAMES

TABLES = frozenset({".csv", ".tsv", ".tab", ".txt", ".json"})
SEPARATORS = ("\t", ",", ";")
COLUMNS = (
    "path",
    "text",
    "class",
    "labels",
    "value",
    "caption",
    "question",
    "answer",
    "frames",
    "start",
    "end",
    "audio",
    "split",
    "group",
)
"""Names of columns that have a meaning; ``value.NAME`` is one, too."""

_JSON_REMEDY = "Give a list of objects with the entries 'path' and 'class', 'caption' or others"
_LIKE = 0.7


class Row(NamedTuple):
    """A row of a table: its 1-based line (None in JSON), and its fields by column."""

    line: int | None
    fields: Mapping[str, Any]

    def text(self, column: str) -> str:
        """A field as text without blanks around it; empty if it is missing."""
        value = self.fields.get(column)
        return "" if value is None else str(value).strip()


class Table(NamedTuple):
    """Rows of a table.

    Attributes
    ----------
    path
        The file.
    columns
        Names of the columns.
    rows
        The rows.
    """

    path: Path
    columns: Sequence[str]
    rows: Sequence[Row]

    def error(self, problem: str, remedy: str, row: Row) -> InputError:
        """Make an error that names the line of a row."""
        return InputError(problem, file=self.path, line=row.line, remedy=remedy)

    def file_of(self, row: Row, column: str = "path") -> str:
        """Path of the file of a row, which is relative to the folder of the table.

        Raises
        ------
        InputError
            When the row has none.
        """
        text = row.text(column)
        if not text:
            raise InputError(
                f"the column '{column}' is empty",
                file=self.path,
                line=row.line,
                remedy="Give the path of a file, or remove the row",
            )
        return os.path.normpath(self.path.parent / text)

    def split_of(self, row: Row) -> str | None:
        """Split of a row; None if the table gives none.

        Raises
        ------
        InputError
            When there is no such split.
        """
        text = row.text("split")
        if not text:
            return None
        if text.lower() not in SPLIT_NAMES:
            raise InputError(
                f"there is no split '{text}'",
                file=self.path,
                line=row.line,
                remedy="Use train, valid and test",
            )
        return SPLIT_NAMES[text.lower()]

    def group_of(self, row: Row) -> str | None:
        """Group of a row; None if the table gives none."""
        return row.text("group") or None


def read_table(path: Path, targets: Sequence[str], *, ignored: list[str] | None = None) -> Table:
    """Read a table of examples.

    Parameters
    ----------
    path
        CSV, TSV or JSON. The first line of CSV and TSV names the columns; the separator is a tab,
        a comma or a semicolon.
    targets
        Columns of which one is needed, such as "class"; ``value`` stands for ``value.NAME`` as
        well. None are needed if it is empty.
    ignored
        Receives the names of columns that have no meaning.

    Raises
    ------
    InputError
        When it cannot be read, has no rows, has a column whose name is almost one that has a
        meaning, or none of ``targets``.
    """
    table = _read_json(path) if path.suffix.lower() == ".json" else _read_text(path)
    if not table.rows:
        raise InputError("has no rows", file=path, remedy="Give one row per example")
    others = [name for name in table.columns if base_name(name) not in COLUMNS]
    for name in others:
        near = difflib.get_close_matches(name.strip().lower(), COLUMNS, 1, _LIKE)
        if near and near[0] not in table.columns:
            perhaps = f"'{near[0]}'"
            if near[0] == "labels":
                perhaps = "'class' (one class each) or 'labels' (several)"
            raise InputError(
                f"has a column '{name}', which has no meaning",
                file=path,
                line=1 if table.rows[0].line else None,
                remedy=f"Rename it, perhaps to {perhaps}",
            )
    have = {base_name(name) for name in table.columns}
    if targets and not have & set(targets):
        raise InputError(
            f"has none of the columns {', '.join(targets)}; it has {few(table.columns, 8)}",
            file=path,
            remedy="Name the column with what is to be predicted",
        )
    if ignored is not None:
        ignored += others
    return table


def base_name(column: str) -> str:
    """Name of a column without what follows the point: "value" of "value.height"."""
    return column.partition(".")[0]


def need_columns(table: Table, names: Sequence[str]) -> None:
    """Check that a table has some columns.

    Raises
    ------
    InputError
        When one is missing.
    """
    for name in names:
        if name not in table.columns:
            raise InputError(
                f"has no column '{name}'; it has {few(table.columns, 8)}",
                file=table.path,
                line=1 if table.rows[0].line else None,
                remedy="Name the columns in the first line",
            )


def is_empty(text: str) -> bool:
    """Whether a field has no value."""
    return is_missing(text.strip())


def _read_text(path: Path) -> Table:
    text = read_text_bytes(path).decode("utf-8")
    first = text.partition("\n")[0]
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    rows = _rows(path, reader)
    line, header = next(rows, (1, []))
    columns = [name.strip().removeprefix("#").strip() for name in header]
    for name in columns:
        if columns.count(name) > 1:
            raise repeated_column(name, path, line)
    found = []
    for line, fields in rows:
        while len(fields) > len(columns) and not fields[-1].strip():
            fields.pop()
        if len(fields) > len(columns):
            raise InputError(
                f"the row has {len(fields)} fields, the first line {len(columns)}",
                file=path,
                line=line,
                remedy="Put double quotes around fields that contain the separator",
            )
        found.append(Row(line, dict(zip(columns, fields, strict=False))))
    return Table(path, columns, found)


def _rows(path: Path, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Line and fields of each row that is not blank."""
    before = 0
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield before + 1, fields
            before = reader.line_num
    except csv.Error as error:
        raise InputError(
            f"the row cannot be read ({error})",
            file=path,
            line=before + 1,
            remedy="Check its double quotes",
        ) from error


def _read_json(path: Path) -> Table:
    content = read_json(path, "a table of examples", remedy=_JSON_REMEDY)
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError("is JSON, but not a list of objects", file=path, remedy=_JSON_REMEDY)
    columns = list(dict.fromkeys(name for row in content for name in row))
    return Table(path, columns, [Row(None, row) for row in content])
