"""Write predictions as a table, one row at a time: TSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from danq.errors import InputError, escaped
from danq.output import is_standard_output, replacing, standard_output
from danq.vision.prediction_rows import Row

TABLES = (".tsv", ".json")
"""Ends of the names of tables."""

FILE, TEXT = "file", "text"
"""Column with the name of the input, or with the input itself."""


def is_table(out: str | Path) -> bool:
    """Whether an output is a table by its name; standard output is a TSV."""
    return is_standard_output(out) or Path(out).suffix.lower() in TABLES


class TableWriter:
    """Writes rows to a stream.

    Parameters
    ----------
    stream
        Receives UTF-8.
    as_json
        Write a list of objects instead of tab-separated columns.

    Numbers by name are objects in JSON; in TSV each is a column, with a point between both names.
    Characters that would break a line or a column of TSV are written as in Python, such as ``\\t``.
    """

    def __init__(self, stream: BinaryIO, *, as_json: bool) -> None:
        self.stream, self.as_json = stream, as_json
        self.columns: list[str] = []
        self.count = 0

    def write(self, row: Row) -> None:
        """Write a row.

        Raises
        ------
        ValueError
            When it has other columns than the first row.
        """
        if self.as_json:
            text = json.dumps(_plain(row), ensure_ascii=False)
            self._put(f"{',' if self.count else '['}\n {text}")
        else:
            flat = flattened(row)
            if not self.count:
                self.columns = [*flat]
                self._put("\t".join(map(escaped, flat)) + "\n")
            if [*flat] != self.columns:
                raise ValueError(f"columns are {[*flat]}, in the first row {self.columns}")
            self._put("\t".join(_field(value) for value in flat.values()) + "\n")
        self.count += 1

    def finish(self) -> None:
        """Write what follows the last row."""
        if self.as_json:
            self._put("\n]\n" if self.count else "[]\n")

    def _put(self, text: str) -> None:
        self.stream.write(text.encode("utf-8", "backslashreplace"))


@contextmanager
def table_writer(out: str | Path, *, overwrite: bool = False) -> Iterator[TableWriter]:
    """Context with a writer of a new table; the file exists only after the block.

    Raises
    ------
    InputError
        When the name has another ending than `TABLES`, or the file exists or cannot be written.
    """
    if is_standard_output(out):
        with standard_output() as stream:
            writer = TableWriter(stream, as_json=False)
            yield writer
            writer.finish()
        return
    ending = Path(out).suffix.lower()
    if ending not in TABLES:
        raise InputError(
            f"a table cannot be written as '{ending or Path(out).name}'",
            file=out,
            remedy=f"Use a name that ends in {' or '.join(TABLES)}",
        )
    with replacing(out, overwrite) as temporary, temporary.open("wb") as stream:
        writer = TableWriter(stream, as_json=ending == ".json")
        yield writer
        writer.finish()


def flattened(row: Row) -> Row:
    """A row with one column for each number by name."""
    flat: Row = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": one for inner, one in value.items()})
        else:
            flat[name] = value
    return flat


def _field(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return escaped(str(value))


def _plain(value: object) -> object:
    """Values of JSON; numbers are rounded to six digits, as in TSV, and NaN is null."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value and abs(value) != float("inf") else None
    return value
