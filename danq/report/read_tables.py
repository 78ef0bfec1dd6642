"""Read tables and HDF5 files that danq wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import polars as pl

from danq.errors import InputError
from danq.files.data_frames import is_parquet, read_frame, read_parquet, read_parquet_notes
from danq.files.hdf5_input import Hdf5Input, open_hdf5
from danq.files.text_tables import split_fields, text_blocks
from danq.inference.writers.parquet import KEY
from danq.report.provenance_text import parse_provenance

_STARTS = (b"# danq: ", b"# danq ", b"# created_by: danq ", b"# created by danq ")


class StoredTable(NamedTuple):
    """A table that danq wrote.

    Attributes
    ----------
    frame
        Its rows and columns.
    provenance
        Values of its comment lines by name; of Parquet, those in its metadata.
    """

    frame: pl.DataFrame
    provenance: Mapping[str, str]


def is_danq_table(head: bytes) -> bool:
    """Whether text begins as a table of danq does."""
    return head.startswith(_STARTS)


def read_stored_table(
    path: Path,
    kinds: Mapping[str, type[pl.DataType]],
    *,
    needed: Sequence[str] = (),
    complete: Sequence[str] = (),
    numeric: bool = True,
) -> StoredTable:
    """Read a TSV, plain or gzip, or a Parquet file.

    Parameters
    ----------
    path
        The file.
    kinds
        Types of columns by name; others are read as their values suggest.
    needed
        Columns that it must have.
    complete
        Columns that it must have, with a value in each row.
    numeric
        Whether all columns without a type must hold numbers. Columns without values then are
        columns of numbers, too.

    Raises
    ------
    InputError
        When it is damaged, its lines do not have the columns that it names, or a column is not as
        required.
    """
    if is_parquet(path):
        frame, comments = read_parquet(path), parse_provenance(read_parquet_notes(path).get(KEY))
    else:
        comments, _ = comments_and_columns(path)
        frame = read_frame(path, kinds.get)
    for name in (*needed, *complete):
        if name not in frame.columns:
            raise _damaged(path, f"has no column '{name}'")
        if name in kinds and frame[name].dtype not in (kinds[name], pl.Null):
            raise _damaged(path, f"the column '{name}' is of another type")
        if name in complete and frame[name].null_count():
            raise _damaged(path, f"the column '{name}' has no value in a row")
    if numeric:
        others = [name for name in frame.columns if name not in kinds]
        empty = [name for name in others if frame[name].null_count() == frame.height]
        frame = frame.with_columns(pl.col(empty).cast(pl.Float64)) if empty else frame
        wrong = [name for name in others if not frame[name].dtype.is_numeric()]
        if wrong:
            raise _damaged(path, f"the column '{wrong[0]}' has a value that is not a number")
    return StoredTable(frame, comments)


def _damaged(path: Path, problem: str) -> InputError:
    return InputError(problem, file=path, remedy="Copy the file again, or make it again")


def columns_of_parquet(path: Path) -> list[str]:
    """Names of the columns of a Parquet file."""
    return read_parquet(path, rows=0).columns


def comments_and_columns(path: Path) -> tuple[dict[str, str], list[str]]:
    """Values of the comment lines of a table by name, and the names of its columns.

    Raises
    ------
    InputError
        As `danq.files.text_tables.text_blocks`.
    """
    comments: dict[str, str] = {}
    number = 0
    for block in text_blocks(path):
        for line in block.decode("utf-8").split("\n"):
            number += 1
            if line.startswith("#"):
                name, found, value = line[1:].strip().partition(": ")
                comments[name if found else f"note {len(comments) + 1}"] = value if found else name
            elif line.strip():
                return comments, split_fields(line, path, number)
    return comments, [""]


@contextmanager
def open_stored_hdf5(
    path: Path, magic: str, version: int, expected: str, *, remedy: str
) -> Iterator[Hdf5Input]:
    """Open an HDF5 file of a format of danq.

    Parameters
    ----------
    path
        The file.
    magic, version
        Attributes ``magic`` and ``format_version`` of the format.
    expected, remedy
        As for `danq.files.hdf5_input.open_hdf5`.

    Raises
    ------
    InputError
        As `danq.files.hdf5_input.open_hdf5`; when the file has another format or version.
    """
    with open_hdf5(path, expected, remedy=remedy) as file:
        attributes = file.attributes
        if (attributes.get("magic"), attributes.get("format_version")) != (magic, version):
            raise InputError(f"is not of format version {version}", file=path, remedy=remedy)
        yield file
