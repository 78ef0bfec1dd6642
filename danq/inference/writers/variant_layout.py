"""Columns of an output of variant effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from danq.inference.variants.allele_scores import MEANING, SIGNED, SIGNIFICANCE, SUMMARIES
from danq.inference.writers.layout import SPREAD, Table, Values, check_names

FLAGS = {"padded": 1, "moved": 2, "swapped": 4, "neighbours": 8, "left-out": 16}
"""What is said of a row: its window hangs over the contig's end; left-alignment moved it; the
genome has ALT, so that REF and ALT were exchanged; its window holds other alleles of the
haplotype; other alleles were left out, which overlap it or are of unknown phase. The numbers are
the bits in HDF5."""

NO_FLAG = "."

KEYS = {
    "record": pl.Int64,
    "allele": pl.Int64,
    "chrom": pl.String,
    "pos": pl.Int64,
    "id": pl.String,
    "ref": pl.String,
    "alt": pl.String,
    "flags": pl.String,
}
"""What names a row: 1-based number of its record and of the ALT in it; then, as in the input,
contig, 1-based position, name and alleles; then `FLAGS`, with commas between."""

_SHOWN = tuple(list(KEYS)[2:])


@dataclass(frozen=True)
class VariantLayout(Table):
    """Columns of variant effects, as ``(V, C)`` values hold them.

    For each per-track score in order, a column for each track; then one for each summary.

    Attributes
    ----------
    tracks, groups
        Track names, and the group of each.
    scores
        Names of `danq.inference.variants.allele_scores.SCORES`.
    spread
        Whether the standard deviation over the models follows, for each score and track.
    calibrated
        Whether E-values and quantiles follow, and DeepSEA's functional significance.
    provenance
        What was computed from what, in words.
    """

    tracks: tuple[str, ...]
    groups: tuple[str, ...]
    scores: tuple[str, ...]
    spread: bool = False
    calibrated: bool = False
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def per_track(self) -> tuple[str, ...]:
        """Per-track scores, with ``_sd`` for those that are standard deviations."""
        spread = tuple(f"{name}{SPREAD}" for name in self.scores) if self.spread else ()
        calibrated = ("evalue", "quantile") if self.calibrated else ()
        return (*self.scores, *spread, *calibrated)

    @property
    def summaries(self) -> tuple[str, ...]:
        """Columns that hold one value a variant-allele."""
        names = tuple(
            f"{name}_{how}" for name in self.scores if name in SIGNED for how in SUMMARIES
        )
        return (*names, SIGNIFICANCE) if self.calibrated else names

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the value columns; tracks go by their name alone where there is one score."""
        scores = self.per_track
        if len(scores) == 1:
            return (*self.tracks, *self.summaries)
        names = tuple(f"{track}_{score}" for score in scores for track in self.tracks)
        return (*names, *self.summaries)

    @property
    def header(self) -> tuple[str, ...]:
        return (*_SHOWN, *self.columns)

    def check(self) -> None:
        """Refuse to be a table in which two columns have one name.

        Raises
        ------
        InputError
            As `danq.inference.writers.layout.check_names`.
        """
        check_names(self.header)

    def part(self, values: Values, score: str) -> Values:
        """The ``(V, K)`` values of one of `per_track`."""
        first = self.per_track.index(score) * len(self.tracks)
        return values[:, first : first + len(self.tracks)]

    def meanings(self) -> tuple[str, ...]:
        """What each of `columns` is, in words, with its unit."""
        words = []
        for score in self.per_track:
            plain = score.removesuffix(SPREAD)
            what = MEANING[plain]
            if plain != score:
                what = f"standard deviation over the models: {what}"
            words += [f"{what}; track {track}" for track in self.tracks]
        for name in self.summaries:
            score, _, how = name.rpartition("_")
            words.append(
                f"{SUMMARIES[how].format(score)}; {score} is the {MEANING[score]}"
                if how in SUMMARIES
                else "geometric mean of the E-values over tracks (DeepSEA's functional "
                "significance, without conservation); lower is stronger"
            )
        return tuple(words)

    def keys(self, rows: pl.DataFrame | None = None) -> pl.DataFrame:
        """The columns of some rows that name them, without record and allele; None: no rows."""
        return (pl.DataFrame(schema=KEYS) if rows is None else rows).select(_SHOWN)

    def frame(self, rows: pl.DataFrame, values: Values) -> pl.DataFrame:
        """Table of some rows: what names them (without record and allele), then the values."""
        return self.with_values(self.keys(rows), values)

    def empty(self) -> pl.DataFrame:
        values = np.empty((0, len(self.columns)), dtype=np.float32)
        return self.frame(pl.DataFrame(schema=KEYS), values)
