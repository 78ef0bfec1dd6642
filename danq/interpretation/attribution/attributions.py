"""Attributions in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Int64, UInt8, UInt32

from danq.errors import InputError, few
from danq.genome.nucleotide_codes import LETTERS, N
from danq.inference.result import pandas_table
from danq.notebook_display import Display, FirstRows, display_html, display_text

_LETTERS = np.array(list(LETTERS), dtype=object)


@dataclass(frozen=True, eq=False)
class Attributions:
    """Contributions of bases to predictions, and the sequences that they belong to.

    All bases of all sequences are in one list, sequence after sequence.

    Attributes
    ----------
    method
        Method of attribution, see `danq.attribute`.
    baseline
        Baseline of integrated gradients; empty for other methods.
    key
        What names a sequence: ``chrom`` or ``name``.
    tracks, groups
        Names of the K tracks, and their groups.
    sequences
        One row per sequence: ``chrom`` or ``name``, ``start``, ``end`` (0-based, half-open).
    sequence
        ``(N,)`` row in ``sequences`` of each base.
    position
        ``(N,)`` 0-based position of each base on its contig or record.
    base
        ``(N,)`` code of each base: A 0, C 1, G 2, T 3, unknown 4.
    attributions
        ``(N, K)`` contribution of each base that is there; NaN for a base N.
    hypothetical
        ``(N, 4, K)`` contribution that A, C, G and T would have at each base; NaN for a base N.
    completeness, difference
        Of integrated gradients, ``(S, K)`` per sequence: the sum of the contributions of a window
        minus the difference between the outputs for the window and for its baselines; and that
        difference. Of several windows of a sequence, they are those of the window with the largest
        error. None for other methods.
    provenance
        Text fields: models, inputs and settings.
    """

    method: str
    baseline: str
    key: str
    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    sequences: pl.DataFrame
    sequence: UInt32[np.ndarray, "N"]
    position: Int64[np.ndarray, "N"]
    base: UInt8[np.ndarray, "N"]
    attributions: Float32[np.ndarray, "N K"]
    hypothetical: Float32[np.ndarray, "N 4 K"]
    completeness: Float32[np.ndarray, "S K"] | None = None
    difference: Float32[np.ndarray, "S K"] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """Number of sequences S."""
        return self.sequences.height

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        count, tracks = len(self), len(self.tracks)
        return Display(
            f"{self.method}, {count:,} sequence{'s' * (count != 1)}, {len(self.base):,} bases, "
            f"{tracks:,} track{'s' * (tracks != 1)}",
            facts=self.provenance,
            facts_title="Provenance",
            tables=[
                FirstRows.of("Sequences", self.sequences),
                FirstRows("Contributions of bases", self._table(slice(0, 100)), self._rows),
            ],
            plots=["danq.plots.plot_attributions"],
        )

    @property
    def _rows(self) -> int:
        return int((self.base != N).sum())

    def bases(self, number: int) -> slice:
        """The bases of a sequence, as a slice of all bases.

        Parameters
        ----------
        number
            Row in ``sequences``.

        Raises
        ------
        InputError
            When there is no such sequence.
        """
        if not 0 <= number < len(self):
            raise InputError(
                f"there is no sequence {number}", remedy=f"Choose one from 0 to {len(self) - 1}"
            )
        low, high = np.searchsorted(self.sequence, [number, number + 1])
        return slice(int(low), int(high))

    def track(self, name: str) -> Float32[np.ndarray, "N"]:
        """Contributions of all bases to one track.

        Raises
        ------
        InputError
            When there is no such track.
        """
        if name not in self.tracks:
            raise InputError(
                f"the attributions have no track '{name}'",
                remedy=f"Their tracks are {few(self.tracks, 8)}",
            )
        return self.attributions[:, self.tracks.index(name)]

    def to_polars(self) -> pl.DataFrame:
        """Contributions as a polars data frame, one row per known base.

        Columns: ``chrom`` or ``name``, ``pos`` (1-based), ``base``, and one Float32 column per
        track.
        """
        return self._table(slice(None))

    def _table(self, some: slice) -> pl.DataFrame:
        known = np.flatnonzero(self.base[some] != N)
        rows = [part[some][known] for part in (self.sequence, self.position, self.base)]
        names = self.sequences[self.key].gather(rows[0])
        values = self.attributions[some][known]
        return pl.DataFrame(
            [
                names.alias(self.key),
                pl.Series("pos", rows[1] + 1, dtype=pl.Int64),
                pl.Series("base", _LETTERS[rows[2]].tolist(), dtype=pl.String),
                *(
                    pl.Series(name, np.ascontiguousarray(values[:, i]), dtype=pl.Float32)
                    for i, name in enumerate(self.tracks)
                ),
            ]
        )

    def to_pandas(self) -> Any:
        """The same table as a pandas data frame.

        Raises
        ------
        InputError
            When pandas is not installed.
        """
        return pandas_table(self.to_polars())
