"""Columns of an output."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import polars as pl
from jaxtyping import Float32
from numpy import ndarray

from danq.errors import InputError
from danq.inference.sources.tiling import Rows
from danq.inference.writers.hdf5_storage import Hdf5Storage

SPREAD = "_sd"
"""Suffix of the column with the standard deviation of a track over an ensemble."""

Values = Float32[ndarray, "B C"]
"""One row per window, variant-allele or substitution; one column for each of `Layout.columns`."""


def named_tracks(
    table: pl.DataFrame, columns: Iterable[str], tracks: Sequence[str]
) -> pl.DataFrame:
    """Replace indices in ``tracks`` by names, in some columns of a table."""
    names = pl.Series(tracks, dtype=pl.String)
    return table.with_columns(
        names.gather(table[one].cast(pl.UInt32)).alias(one) for one in columns
    )


@dataclass(frozen=True, kw_only=True)
class Layout(ABC):
    """Columns of an output, and where the values come from.

    Attributes
    ----------
    tracks
        Track names.
    groups
        Group of each track.
    spread
        Whether each track has a second column with the standard deviation over the models.
    provenance
        How the values were computed, from which files: names and descriptions.
    contents
        What an output holds, for messages.
    """

    contents: ClassVar[str]

    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    spread: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    @abstractmethod
    def key_types(self) -> dict[str, type[pl.DataType]]:
        """Names and types of the columns that identify a row."""

    @abstractmethod
    def keys(self, rows: Any = None) -> pl.DataFrame:
        """The columns that identify some rows; None: no rows."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns with values, which follow the keys."""
        spread = tuple(f"{name}{SPREAD}" for name in self.tracks) if self.spread else ()
        return (*self.tracks, *spread)

    @property
    def header(self) -> tuple[str, ...]:
        """Names of all columns."""
        return (*self.key_types, *self.columns)

    def frame(self, rows: Any, values: Values) -> pl.DataFrame:
        """Table of some rows: keys, followed by the values as Float32."""
        # Through one column of arrays: many columns take three times as long one by one.
        columns = pl.Series("values", np.asarray(values, np.float32)).arr
        return self.keys(rows).hstack(columns.to_struct(fields=self.columns).struct.unnest())

    def empty(self) -> pl.DataFrame:
        """Table without rows."""
        return pl.DataFrame(schema={**self.key_types, **dict.fromkeys(self.columns, pl.Float32)})

    def check_names(self) -> None:
        """Refuse a table with two columns of one name.

        Raises
        ------
        InputError
            Naming the first such name.
        """
        repeated = sorted(name for name, count in Counter(self.header).items() if count > 1)
        if repeated:
            raise InputError(
                f"two columns of the output would be named '{repeated[0]}'",
                remedy="Select tracks without that one",
            )


class TrackProfile(NamedTuple):
    """The profile of a track: amounts of steps in the middle of a window.

    The first step starts at ``(start + end) // 2 - steps * bases // 2`` of a row.

    Attributes
    ----------
    column
        Column of the track.
    steps
        Number of steps.
    bases
        Bases of a step.
    """

    column: int
    steps: int
    bases: int

    @property
    def span(self) -> int:
        """Bases of all steps."""
        return self.steps * self.bases


@dataclass(frozen=True, kw_only=True)
class PredictionLayout(Layout):
    """Columns of predictions.

    Attributes
    ----------
    key
        Name of the first column: ``chrom`` or ``name``. ``start`` and ``end`` follow, 0-based
        half-open.
    contigs
        Lengths of the genome's contigs by name; None for standalone records.
    labelled
        Whether rows have names, in a column ``name`` after ``end``.
    total
        Number of rows, if known.
    storage
        How HDF5 files store the values.
    profiles
        Profiles whose steps are written. Blocks of rows then have a third part, ``(B, C')``: the
        steps of each profile, profile after profile; for an ensemble, then their standard
        deviations.

    Raises
    ------
    InputError
        When two columns would have one name.
    """

    contents: ClassVar[str] = "predictions"

    key: str
    contigs: Mapping[str, int] | None = None
    labelled: bool = False
    total: int | None = None
    storage: Hdf5Storage = field(default_factory=Hdf5Storage)
    profiles: tuple[TrackProfile, ...] = ()

    @property
    def steps(self) -> int:
        """Steps of all profiles."""
        return sum(profile.steps for profile in self.profiles)

    def __post_init__(self) -> None:
        self.check_names()

    @property
    def key_types(self) -> dict[str, type[pl.DataType]]:
        labels = {"name": pl.String} if self.labelled else {}
        return {self.key: pl.String, "start": pl.Int64, "end": pl.Int64, **labels}

    def keys(self, rows: Rows | None = None) -> pl.DataFrame:
        if rows is None:
            return pl.DataFrame(schema=self.key_types)
        columns = [rows.names, rows.start, rows.end, *([rows.labels] if self.labelled else [])]
        return pl.DataFrame(dict(zip(self.key_types, columns, strict=True)), schema=self.key_types)
