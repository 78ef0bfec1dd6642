"""What `danq.predict`, `danq.score_variants` and `danq.mutate` return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq.errors import InputError, few
from danq.inference.writers.layout import named_tracks
from danq.notebook_display import ROWS, Display, FirstRows, display_html, display_text


@dataclass(frozen=True, eq=False)
class Result:
    """Values in memory, with the rows and tracks that they belong to.

    Attributes
    ----------
    values
        ``(N, C)`` float32. `danq.mutate` has ``(N, 4, C)``: one row per base of the sequences, and
        the effect of A, C, G and T at that base; 0 for the base that is there, NaN for a base N.
    columns
        Names of the C value columns: the tracks, with ``_sd`` for the sample standard deviation
        of an ensemble; `danq.score_variants` has ``<track>_<score>``.
    tracks
        Names of the K tracks.
    rows
        One row per row of ``values``. `danq.predict`: ``chrom`` or ``name``, ``start``, ``end``
        (0-based, half-open) and perhaps ``name``. `danq.score_variants`: ``chrom``, ``pos``
        (1-based), ``id``, ``ref``, ``alt``, ``flags``. `danq.mutate`: ``chrom`` or ``name``,
        ``pos`` (1-based), ``ref``.
    provenance
        Text fields: models, inputs and settings.
    rejected
        `danq.score_variants`: the variant alleles without scores, with the reason of each.
        Without rows for the other functions.
    index_columns
        Columns whose values are indices in ``tracks``; `to_polars` has the names.
    """

    values: Float32[np.ndarray, "N ..."]
    columns: tuple[str, ...]
    tracks: tuple[str, ...]
    rows: pl.DataFrame
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False)
    rejected: pl.DataFrame = field(default_factory=pl.DataFrame, repr=False)
    index_columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of rows N."""
        return len(self.values)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        total = self._table_rows
        few = replace(self, values=self.values[:ROWS], rows=self.rows[:ROWS]).to_polars()
        tables = [FirstRows("Values", few.head(ROWS), total)]
        if self.rejected.height:
            tables.append(FirstRows.of("Variant alleles without scores", self.rejected))
        effects = self.values.ndim == 3
        return Display(
            f"{total:,} row{'s' * (total != 1)}, {len(self.columns):,} columns of "
            f"{len(self.tracks):,} track{'s' * (len(self.tracks) != 1)}",
            facts=self.provenance,
            facts_title="Provenance",
            tables=tables,
            plots=["danq.plots.plot_effects"] if effects else [],
        )

    @property
    def _table_rows(self) -> int:
        """Rows of `to_polars`."""
        if self.values.ndim < 3:
            return len(self)
        return 3 * int((self.rows["ref"] != "N").sum())

    @property
    def names(self) -> list[str]:
        """Name of each row.

        The name of the sequence or BED record where there is one; else ``chrom:start-end``
        (1-based, closed), and for variants ``chrom:pos:ref>alt``.
        """
        rows = self.rows
        if "alt" in rows.columns:
            return rows.select(pl.format("{}:{}:{}>{}", "chrom", "pos", "ref", "alt"))[
                :, 0
            ].to_list()
        if "name" in rows.columns:
            return rows["name"].to_list()
        if "pos" in rows.columns:
            return rows.select(pl.format("{}:{}", "chrom", "pos"))[:, 0].to_list()
        start = pl.col("start") + 1
        return rows.select(pl.format("{}:{}-{}", "chrom", start, "end"))[:, 0].to_list()

    def track(self, name: str) -> Float32[np.ndarray, "N ..."]:
        """Values of one column.

        Raises
        ------
        InputError
            When there is no such column.
        """
        if name not in self.columns:
            raise InputError(
                f"the result has no column '{name}'",
                remedy=f"Its columns are {few(self.columns, 8)}",
            )
        return self.values[..., self.columns.index(name)]

    def to_polars(self) -> pl.DataFrame:
        """The result as a polars data frame: ``rows``, then one Float32 column per value column.

        For `danq.mutate`, one row per substitution: ``rows``, the mutant base ``alt``, and its
        effects. Bases N have no row.
        """
        rows, values = self.rows, self.values
        if values.ndim == 3:
            alternate = np.array(list("ACGT"), dtype=object)
            rows = rows[np.repeat(np.arange(len(rows)), 4)].with_columns(
                pl.Series("alt", np.tile(alternate, len(rows)), dtype=pl.String)
            )
            values = values.reshape(-1, values.shape[2])
            changed = ((rows["alt"] != rows["ref"]) & (rows["ref"] != "N")).to_numpy()
            rows, values = rows.filter(pl.Series(changed)), values[changed]
        columns = [
            pl.Series(name, np.ascontiguousarray(values[:, i]), dtype=pl.Float32)
            for i, name in enumerate(self.columns)
        ]
        return named_tracks(rows.hstack(columns), self.index_columns, self.tracks)

    def to_pandas(self) -> Any:
        """The same table as a pandas data frame.

        Raises
        ------
        InputError
            When pandas is not installed.
        """
        return pandas_table(self.to_polars())


def pandas_table(table: pl.DataFrame) -> Any:
    """The table as a pandas data frame.

    Raises
    ------
    InputError
        When pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError(
            "pandas is not installed", remedy="Install it, or use to_polars()"
        ) from error
    return pandas.DataFrame({name: table[name].to_numpy() for name in table.columns})
