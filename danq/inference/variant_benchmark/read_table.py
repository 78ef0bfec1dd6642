"""Read all columns of a table of variants as text: TSV, CSV, Parquet or a data frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes
    ----------
    names
        Names of the columns.
    rows
        Texts of each row.
    file
        Name of the table in messages.
    lines
        Line of each row; empty for tables without lines.
    """

    names: list[str]
    rows: list[list[str]]
    file: str
    lines: Sequence[int] = ()

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
        index = self.names.index(name)
        return [row[index] for row in self.rows]

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
        rows = [tuple(row[one] for one in used) for row in self.rows]
        return TableRows(
            rows,
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
        When the file is missing, damaged, empty or no table, when two columns have one name, or a
        row has more or fewer fields than the header.
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
    if not found.rows:
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
        pairs = list(source.fields())
        lines, rows = [number for number, _ in pairs], [row for _, row in pairs]
        return TextTable(source.columns, rows, name_of(path), lines)


def _of_frame(frame: Any, file: str) -> TextTable:
    if not hasattr(frame, "columns"):
        raise InputError(
            f"the measured variants are a {type(frame).__qualname__}, not a table",
            remedy="Give a file, or a data frame of polars or pandas",
        )
    names = list(map(str, frame.columns))
    columns = [[_text(one) for one in _values(frame, i)] for i in range(len(names))]
    return TextTable(names, [list(row) for row in zip(*columns, strict=True)], file)


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
