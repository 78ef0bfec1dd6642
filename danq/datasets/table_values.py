"""Columns of a table of sequences: amounts, weights, splits and folds, checked."""

from __future__ import annotations

import numpy as np
import polars as pl
from jaxtyping import Float64, UInt8

from danq.amounts import LARGEST
from danq.datasets.dataset_format import SPLITS
from danq.errors import InputError
from danq.files.data_frames import TextTable
from danq.files.text_tables import MISSING, number_problem
from danq.names import name_problem

SPLIT_NAMES = {
    **{name: number for number, name in enumerate(SPLITS)},
    "training": 0,
    "validation": 1,
    "val": 1,
    "dev": 1,
    "testing": 2,
}
"""Texts of a split, in lower case."""


def amounts_of(table: TextTable, name: str) -> Float64[np.ndarray, "N"]:
    """Amounts of a column; NaN where one is missing.

    Raises
    ------
    InputError
        At an amount that is not a finite number.
    """
    return _numbers(table, name, "amount")


def weights_of(table: TextTable, name: str) -> Float64[np.ndarray, "N"]:
    """Weights of a column.

    Raises
    ------
    InputError
        At a weight that is missing, not a finite number or below 0; when all are 0.
    """
    weights = _numbers(table, name, "weight")
    bad = np.flatnonzero(~(weights >= 0))
    if bad.size:
        row = int(bad[0])
        shown = "missing" if np.isnan(weights[row]) else f"{weights[row]:g}, below 0"
        raise _bad(table, row, f"the weight in '{name}' is {shown}", "Write 0 or more")
    if not weights.any():
        raise InputError(
            f"all weights in '{name}' are 0", file=table.path, remedy="Correct the column"
        )
    return weights


def splits_of(table: TextTable, name: str) -> UInt8[np.ndarray, "N"]:
    """Index of the split of each row.

    Raises
    ------
    InputError
        At a text that is not the name of a split.
    """
    texts = table.frame[name].cast(pl.String).fill_null("")
    lower = texts.str.strip_chars().str.to_lowercase()
    numbers = lower.replace_strict(SPLIT_NAMES, default=None, return_dtype=pl.UInt8)
    if numbers.null_count():
        row = int(np.flatnonzero(numbers.is_null().to_numpy())[0])
        problem = f"the split in '{name}' is '{texts[row][:40]}'"
        raise _bad(table, row, problem, f"Write {', '.join(SPLITS)}")
    return numbers.to_numpy()


def names_of(table: TextTable, name: str, use: str) -> pl.Series:
    """Name of each row's fold or stratum, as ``use`` says.

    Raises
    ------
    InputError
        At one without a name, or with a name that is not allowed.
    """
    texts = table.frame[name].cast(pl.String).fill_null("").str.strip_chars()
    for fold in texts.unique().to_list():
        problem = name_problem(fold)
        if problem is not None:
            row = int(np.flatnonzero((texts == fold).to_numpy())[0])
            problem = f"the name of the {use} {fold[:40]!r} in '{name}' {problem}"
            raise _bad(table, row, problem, "Write a name or a number in every row")
    return texts


def _numbers(table: TextTable, name: str, kind: str) -> Float64[np.ndarray, "N"]:
    column = table.frame[name]
    if column.dtype == pl.String:
        texts = column.str.strip_chars()
        absent = texts.is_null() | texts.str.to_lowercase().is_in(list(MISSING))
        numbers = texts.cast(pl.Float64, strict=False)
        wrong = np.flatnonzero((numbers.is_null() & ~absent).to_numpy())
        if wrong.size:
            row = int(wrong[0])
            reason = number_problem(texts[row])
            problem = f"the {kind} in '{name}' is {texts[row][:40]!r}, not a number"
            remedy = "Write a number with a decimal point, or NA"
            raise _bad(table, row, problem + (f": {reason}" if reason else ""), remedy)
        numbers = numbers.set(absent, None)
    elif column.dtype.is_numeric():
        numbers = column.cast(pl.Float64)
    else:
        raise InputError(
            f"the column '{name}' has the type {column.dtype}, not numbers",
            file=table.path,
            remedy="Give a column of numbers",
        )
    values = numbers.to_numpy().astype(np.float64)
    large = np.flatnonzero(np.abs(values) > LARGEST)
    if large.size:
        row = int(large[0])
        shown = "infinite" if np.isinf(values[row]) else f"{values[row]:g}, too large for float32"
        raise _bad(table, row, f"the {kind} in '{name}' is {shown}", "Write NA, or remove it")
    return values


def _bad(table: TextTable, row: int, problem: str, remedy: str) -> InputError:
    line = table.line(row)
    return InputError(
        problem,
        file=table.path,
        line=line,
        record=None if line is not None else f"row {row + 1}",
        remedy=remedy,
    )
