"""Readers of text and number files that a user predicts on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from danq.errors import InputError
from danq.files.text_tables import text_lines, text_rows
from danq.vision.vocabulary import split_words


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that contain words.

    Raises
    ------
    InputError
        When the file cannot be read or has no such line.
    """
    lines = [line for line in text_lines(path) if split_words(line)]
    if not lines:
        raise InputError("the file has no words", file=path, remedy="Give one text per line")
    return lines


def read_table(path: Path, columns: int, remedy: str) -> Float[np.ndarray, "T C"]:
    """Read a tab-separated file of numbers.

    Parameters
    ----------
    path
        The file.
    columns
        Numbers per line.
    remedy
        Last sentence of an error, which describes the columns.

    Raises
    ------
    InputError
        When the file cannot be read, or a line does not have ``columns`` finite numbers.
    """
    lines: list[list[float]] = []
    for number, fields, _ in text_rows(path):
        if len(fields) != columns:
            raise InputError(
                f"{len(fields)} numbers per line, expected {columns}",
                file=path,
                line=number,
                remedy=remedy,
            )
        try:
            lines.append([float(field) for field in fields])
        except ValueError as error:
            raise InputError(
                f"a field is not a number ({error})", file=path, line=number, remedy=remedy
            ) from error
    if not lines:
        raise InputError("the file has no numbers", file=path, remedy=remedy)
    with np.errstate(over="ignore"):  # infinite numbers are refused
        rows = np.array(lines, np.float32)
    if not np.isfinite(rows).all():
        line = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]) + 1
        raise InputError("a number is not finite", file=path, record=f"row {line}", remedy=remedy)
    return rows
