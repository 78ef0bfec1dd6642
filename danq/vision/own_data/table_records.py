"""From rows of a table to examples: the columns say what is to be predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from danq.errors import InputError, few
from danq.vision.own_data.frame_classes import classes_per_frame, joined_segments, segment
from danq.vision.own_data.records import Record, Source
from danq.vision.own_data.tables import (
    Row,
    Table,
    base_name,
    is_empty,
    need_columns,
    read_table,
)

KINDS = {
    "question": "questions",
    "caption": "captions",
    "frames": "frames",
    "labels": "labels",
    "class": "classes",
    "value": "values",
}
"""Columns and the kind of target that they mean, in the order in which they are looked for."""


def read_records(
    path: Path, targets: Sequence[str], *, labelled: bool = True, texts: bool = False
) -> Source:
    """Read a table of files and what is to be predicted of them.

    Parameters
    ----------
    path
        The table.
    targets
        Columns that may give what is to be predicted; the first of `KINDS` that the table has is
        used.
    labelled
        Whether the table must have one of them.
    texts
        Whether a column "text" may stand in place of files.

    Raises
    ------
    InputError
        When it cannot be read, or a field is missing or unsuitable.
    """
    ignored: list[str] = []
    table = read_table(path, targets if labelled else (), ignored=ignored)
    written = texts and "text" in table.columns
    if not written:
        need_columns(table, ["path"])
    have = {base_name(name) for name in table.columns}
    column = next((one for one in KINDS if one in have and one in targets), None)
    more = [one for one in KINDS if one in have and one != column]
    notices = [f"columns without a meaning are ignored: {few(ignored)}"] if ignored else []
    if more:
        notices.append(f"'{column}' is predicted; the columns {few(more)} are ignored")
    if column == "question" and labelled:
        need_columns(table, ["answer"])
    names = [one for one in table.columns if base_name(one) == "value"]
    segments = column == "class" and "frames" in targets and "start" in have
    if segments:
        need_columns(table, ["end"])
    records = []
    for row in table.rows:
        target = more_input = None
        if column is not None:
            target, more_input = _target(table, row, column, names)
            if segments:
                target = segment(table, row, target)
        if row.text("audio"):
            more_input = table.file_of(row, "audio")
        records.append(
            Record(
                row.text("text") if written else table.file_of(row),
                target,
                table.split_of(row),
                table.group_of(row),
                row.line,
                more_input,
            )
        )
    if written:
        for row, record in zip(table.rows, records, strict=True):
            if not record.path:
                raise table.error("the column 'text' is empty", "Give a text", row)
    kind = "none" if column is None else KINDS[column]
    source = Source(path, kind, records, notices, [_value_name(one) for one in names], written)
    return joined_segments(source._replace(kind="frames")) if segments else source


def _value_name(column: str) -> str:
    return column.partition(".")[2] or column


def _target(table: Table, row: Row, column: str, names: Sequence[str]) -> tuple:
    if column == "value":
        values = [_number(table, row, name) for name in names]
        return values, None
    if column == "labels":
        labels = row.fields.get("labels")
        parts = labels if isinstance(labels, list) else row.text("labels").split(";")
        return tuple(dict.fromkeys(str(one).strip() for one in parts if str(one).strip())), None
    if column == "frames":
        return classes_per_frame(table, row), None
    text = row.text(column)
    if not text:
        raise InputError(
            f"the column '{column}' is empty",
            file=table.path,
            line=row.line,
            remedy=f"Give a {column}, or remove the row",
        )
    if column == "question":
        return row.text("answer") or None, text
    return text, None


def _number(table: Table, row: Row, name: str) -> float:
    text = row.text(name)
    if is_empty(text):
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value) or abs(value) > 1e30:
        raise InputError(
            f"the column '{name}' has no finite number ('{text}')",
            file=table.path,
            line=row.line,
            remedy="Give a number with a decimal point, or leave the field empty",
        )
    return value
