"""What every kind of output holds, and what each writer must do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32
from numpy import ndarray

from danq.errors import InputError
from danq.inference.sources.tiling import Rows

SPREAD = "_sd"
"""Ending of the column that holds a track's standard deviation over an ensemble."""

Values = Float32[ndarray, "B C"]
"""One row a window; a column a track, then one more a track where there is spread."""


class Table(ABC):
    """What the writers of tables ask of a layout.

    Attributes
    ----------
    provenance
        What was computed from what, in words.
    header
        Names of all columns.
    columns
        Names of those with values, which are the last ones.
    """

    provenance: Mapping[str, str]

    @property
    @abstractmethod
    def header(self) -> tuple[str, ...]: ...

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]: ...

    @abstractmethod
    def frame(self, rows: Any, values: Values) -> pl.DataFrame:
        """Table of some rows: what names them, then the values as Float32."""

    @abstractmethod
    def empty(self) -> pl.DataFrame:
        """Table without rows."""

    def with_values(self, keys: pl.DataFrame, values: Values) -> pl.DataFrame:
        """Columns that name rows, and those of their values as Float32 beside them."""
        # By way of one column of rows: where columns are many, one by one they take thrice as long.
        rows = pl.Series("values", np.asarray(values, np.float32)).arr
        return keys.hstack(rows.to_struct(fields=self.columns).struct.unnest())


def check_names(names: Sequence[str]) -> None:
    """Refuse a table two columns of which have one name.

    Raises
    ------
    InputError
        Naming the first such name.
    """
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise InputError(
            f"two columns of the output would be named '{repeated[0]}'",
            remedy="Leave that track out by naming the tracks that you want",
        )


@dataclass(frozen=True)
class Layout(Table):
    """Columns of an output and where they come from.

    Attributes
    ----------
    key
        Heading of the first column: ``chrom`` or ``name``. ``start`` and ``end`` follow,
        0-based half-open.
    tracks
        Track names.
    groups
        Group of each track.
    spread
        Whether each track has a second column with the standard deviation over the models.
    provenance
        What was computed from what, in words.
    contigs
        Lengths of the genome's contigs by name; None for loose records.
    labelled
        Whether rows have names of their own, in a column ``name`` after ``end``.

    Raises
    ------
    InputError
        When two columns would have one name.
    """

    key: str
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    spread: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)
    contigs: Mapping[str, int] | None = None
    labelled: bool = False

    def __post_init__(self) -> None:
        check_names(self.header)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the value columns."""
        extra = tuple(f"{name}{SPREAD}" for name in self.tracks) if self.spread else ()
        return (*self.tracks, *extra)

    @property
    def header(self) -> tuple[str, ...]:
        """Names of all columns of a table."""
        return (self.key, "start", "end", *(["name"] if self.labelled else []), *self.columns)

    def keys(self, rows: Rows | None = None) -> pl.DataFrame:
        """The columns of some rows that name them; None: no rows."""
        if rows is None:
            nowhere = np.empty(0, dtype=np.int64)
            rows = Rows([], nowhere, nowhere, [])
        keys = pl.DataFrame(
            {self.key: rows.names, "start": rows.start, "end": rows.end},
            schema={self.key: pl.String, "start": pl.Int64, "end": pl.Int64},
        )
        if self.labelled:
            keys = keys.with_columns(pl.Series("name", rows.labels, dtype=pl.String))
        return keys

    def frame(self, rows: Rows | None, values: Values) -> pl.DataFrame:
        """Table of some rows: key, start, end, maybe name, then the values as Float32."""
        return self.with_values(self.keys(rows), values)

    def empty(self) -> pl.DataFrame:
        return self.frame(None, np.empty((0, len(self.columns)), dtype=np.float32))


class Writer(ABC):
    """Takes rows in blocks and makes a file (or folder) of them.

    A context manager: leaving it well completes the output, leaving it by an error lets go of
    open files. Whoever opens a writer gives it a temporary place and moves or removes what
    it made.
    """

    @abstractmethod
    def write(self, rows: Any, values: Values) -> None:
        """Append rows, which the layout puts in words.

        Raises
        ------
        OSError
            When the operating system refuses, as on a full disk.
        """

    @abstractmethod
    def finish(self) -> None:
        """Complete the output after the last row."""

    @abstractmethod
    def release(self) -> None:
        """Close whatever is open; called in the end however it ends."""

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.release()
