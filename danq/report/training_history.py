"""Read the metrics of each epoch of a training, from its table or its checkpoint."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import polars as pl

from danq.errors import InputError
from danq.files.sealed_safetensors import read_sealed
from danq.files.text_tables import text_lines
from danq.training.checkpoint import LAST
from danq.training.run_log import METRICS

_AGAIN = "Resume the training, which writes it again"


def read_history(run: Path) -> pl.DataFrame:
    """Metrics of each finished epoch: ``metrics.csv``, or without it those in the checkpoint.

    A quiet training writes no table.

    Parameters
    ----------
    run
        Run directory.

    Raises
    ------
    InputError
        When neither file can be read.
    """
    if (run / METRICS).exists() or not (run / LAST).exists():
        return _read_csv(run / METRICS)
    stored = read_sealed(run / LAST, expected="a checkpoint of danq", remedy=_AGAIN)
    try:
        history = json.loads(stored.metadata["progress"])["history"]
        return pl.DataFrame(history).with_columns(pl.col("epoch").cast(pl.Int64))
    except (ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        raise InputError("holds no metrics of epochs", file=run / LAST, remedy=_AGAIN) from error


def _read_csv(path: Path) -> pl.DataFrame:
    """Read a small table of numbers separated by commas, with names in the first line.

    Raises
    ------
    InputError
        When the file is missing, a line has more or fewer fields than the first, or a field is not
        a number.
    """
    names, *rows = csv.reader(line for line in text_lines(path) if line)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise InputError(
                f"the line has {len(row)} fields, but the first line has {len(names)}",
                file=path,
                line=number,
                remedy=_AGAIN,
            )
    columns = (
        dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    )
    table = pl.DataFrame(
        {name: list(values) for name, values in columns.items()},
        schema=dict.fromkeys(names, pl.String),
    )
    numbers = table.with_columns(pl.all().cast(pl.Float64, strict=False))
    if numbers.null_count().sum_horizontal().sum():
        raise InputError(
            "holds a value that is not a number",
            file=path,
            remedy=_AGAIN,
        )
    return numbers.with_columns(pl.col("^(epoch|step)$").cast(pl.Int64))
