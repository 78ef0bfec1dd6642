"""Readers of text and number files that a user predicts on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from danq.errors import InputError
from danq.vision.vocabulary import split_words


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file that contain words.

    Raises
    ------
    InputError
        When the file cannot be read or has no such line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", file=path) from error
    lines = [line for line in lines if split_words(line)]
    if not lines:
        raise InputError("the file has no words", file=path)
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
    try:
        rows = np.loadtxt(path, delimiter="\t", ndmin=2, dtype=np.float32)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file=path, remedy=remedy) from error
    if rows.shape[1] != columns:
        raise InputError(
            f"{rows.shape[1]} numbers per line, expected {columns}", file=path, remedy=remedy
        )
    if not np.isfinite(rows).all():
        line = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]) + 1
        raise InputError("a number is not finite", file=path, record=f"row {line}", remedy=remedy)
    return rows


def read_npy(path: Path) -> np.ndarray:
    """Read the array of an ``.npy`` file.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"not a readable .npy file: {error}", file=path) from error
