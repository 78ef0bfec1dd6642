"""Read all columns of a table of variants as text: TSV, CSV, Parquet or a data frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from danq.errors import InputError, few
from danq.files.binary_input import format_of
from danq.files.data_frames import read_parquet
from danq.files.recognise import PARQUET
from danq.files.text_tables import repeated_column
from danq.genome.variants.open_variant_file import open_source
from danq.genome.variants.read_data_frame import Frame, TableRows
from danq.genome.variants.read_vcf import TextSource
from danq.genome.variants.table_columns import find_columns
from danq.genome.variants.uncompressed_stream import STDIN, name_of
from danq.typing import Location

IN_MEMORY = "the table"
ROWS = 10_000
MOST_ROWS = 2_000_000
"""Largest number of rows of a table."""


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes
    ----------
    names
        Names of the columns.
    columns
        Texts of each column.
    file
        Name of the table in messages.
    lines
        Line of each row; empty for tables without lines.
    """

    names: list[str]
    columns: list[pl.Series]
    file: str
    lines: Sequence[int] = ()

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.columns[0]) if self.columns else 0

    def check(self, name: str) -> None:
        """Raise unless the table has a column of this name."""
        if name not in self.names:
            raise InputError(
                f"has no column '{name}'",
                file=self.file,
                remedy=f"Its columns are {few(self.names, 20)}",
            )

    def texts(self, name: str) -> list[str]:
        """Texts of a column."""
        return self.columns[self.names.index(name)].to_list()

    def place(self, i: int) -> dict[str, Any]:
        """Place of a row, for errors."""
        if self.lines:
            return {"file": self.file, "line": self.lines[i]}
        return {"file": self.file, "record": str(i + 1)}

    def variants(self) -> TableRows:
        """The variants of the rows.

        A column ``strand`` is not read: in tables of measured effects it is that of the gene.

        Raises
        ------
        InputError
            When columns of the contig, position or alleles are missing, or several could be one.
        """
        lacks = "the line of column names lacks"
        columns = find_columns(self.names, file=self.file, line=None, lacks=lacks)
        columns = columns._replace(strand=-1)
        used = columns.used
        return TableRows(
            list(zip(*(self.columns[one].to_list() for one in used), strict=True)),
            [self.names[one] for one in used],
            columns.moved({one: i for i, one in enumerate(used)}),
            self.file,
            self.lines,
        )


def read_table(table: Location | Frame) -> TextTable:
    """Read a table with all of its columns.

    Raises
    ------
    InputError
        When the file is missing, damaged, empty or no table; when two columns have one name, a
        row has more or fewer fields than the header, or there are more than `MOST_ROWS` rows.
    """
    if not isinstance(table, str | Path):
        found = _of_frame(table, IN_MEMORY)
    elif str(table) != STDIN and Path(table).is_file() and format_of(table) == PARQUET:
        found = _of_frame(read_parquet(table), str(table))
    else:
        found = _of_text(table)
    repeated = [name for name, count in Counter(found.names).items() if count > 1]
    if repeated:
        raise repeated_column(repeated[0], found.file)
    if not len(found):
        raise InputError("holds no variant", file=found.file, remedy="Give a table with rows")
    return found


def _of_text(path: Location) -> TextTable:
    with open_source(path) as source:
        if not isinstance(source, TextSource) or not source.is_table:
            raise InputError(
                "is a VCF or BCF, which has no columns of measured effects",
                file=name_of(path),
                remedy="Write its fields into a table, for example with: bcftools query -H",
            )
        names, rows, lines = source.columns, source.fields(), []
        schema = {str(i): pl.String for i in range(len(names))}
        # Columns of polars need much less memory than lists of texts.
        parts = [pl.DataFrame(schema=schema)]
        while taken := list(islice(rows, ROWS)):
            lines += [number for number, _ in taken]
            parts.append(pl.DataFrame([row for _, row in taken], schema=schema, orient="row"))
            if len(lines) > MOST_ROWS:
                raise _too_long(name_of(path))
        return TextTable(names, pl.concat(parts).get_columns(), name_of(path), lines)


def _of_frame(frame: Any, file: str) -> TextTable:
    if not hasattr(frame, "columns"):
        raise InputError(
            f"the measured variants are a {type(frame).__qualname__}, not a table",
            remedy="Give a file, or a data frame of polars or pandas",
        )
    names = list(map(str, frame.columns))
    if names and len(frame) > MOST_ROWS:
        raise _too_long(file)
    columns = (
        pl.Series(name, [_text(one) for one in _values(frame, i)], pl.String)
        for i, name in enumerate(names)
    )
    return TextTable(names, list(columns), file)


def _too_long(file: str) -> InputError:
    return InputError(
        f"has more than {MOST_ROWS:,} rows",
        file=file,
        remedy="Give fewer variants, such as those with a matched control",
    )


def _values(frame: Any, index: int) -> list[Any]:
    column = frame.iloc[:, index] if hasattr(frame, "iloc") else frame.to_series(index)
    return column.tolist() if hasattr(column, "tolist") else column.to_list()


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    # Columns of whole numbers with missing values are float in pandas.
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).strip()
