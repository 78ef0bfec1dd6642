"""Columns of variant effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import polars as pl

from danq.inference.variants.allele_scores import (
    AGREEMENT,
    MEANING,
    SIGNED,
    SIGNIFICANCE,
    SMALLEST_Q,
    SMALLEST_Q_TRACK,
    SUMMARIES,
    P,
    Q,
)
from danq.inference.writers.layout import SPREAD, Layout, Values, named_tracks

FLAGS = {"padded": 1, "moved": 2, "swapped": 4, "neighbours": 8, "left-out": 16} | {"unmatched": 32}
"""Flags of a row and their bits in HDF5: the window extends beyond the contig's end; the variant
moved in left-alignment; the genome has ALT, so that REF and ALT were exchanged; the window holds
other alleles of the haplotype; other alleles were left out, because they overlap the variant, their
phase is unknown, or a window cannot hold them; the background has too few variants of the variant's
kind and region, so p compares it with more variants."""

NO_FLAG = "."

KEYS: dict[str, type[pl.DataType]] = {
    "record": pl.Int64,
    "allele": pl.Int64,
    "chrom": pl.String,
    "pos": pl.Int64,
    "id": pl.String,
    "ref": pl.String,
    "alt": pl.String,
    "flags": pl.String,
}
"""Columns that identify a row: 1-based number of the record, and of the ALT in the record; then, as
in the input, contig, 1-based position, name and alleles; then `FLAGS`, with commas between."""


CALIBRATED = {
    SIGNIFICANCE: "geometric mean of the E-values over tracks (DeepSEA's functional significance, "
    "without conservation); lower is stronger",
    SMALLEST_Q: "smallest q over tracks",
    SMALLEST_Q_TRACK: "track with the smallest p and q",
}
"""Summaries that need a background, and what they are."""


class VcfHeader(NamedTuple):
    """Header of the input: its ``##`` lines, its samples, and the contigs of its records."""

    lines: Sequence[str]
    samples: Sequence[str]
    contigs: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class VariantLayout(Layout):
    """Columns of variant effects, as ``(V, C)`` values hold them.

    For each per-track score in order, a column for each track; then one for each summary.

    Attributes
    ----------
    scores
        Names of `danq.inference.variants.allele_scores.SCORES`.
    spread
        Whether the standard deviation over the models follows, for each score and track.
    calibrated
        Whether E-values, quantiles, p and q follow, and their summaries.
    vcf_header
        Header of the input, if it is a VCF.
    total
        Number of rows, if known.
    """

    contents: ClassVar[str] = "variant effects"

    scores: tuple[str, ...]
    calibrated: bool = False
    vcf_header: VcfHeader | None = None
    total: int | None = None

    @property
    def key_types(self) -> dict[str, type[pl.DataType]]:
        return {name: kind for name, kind in KEYS.items() if name not in ("record", "allele")}

    @property
    def per_track(self) -> tuple[str, ...]:
        """Per-track values: scores, ``_sd`` for standard deviations, and further ones."""
        spread = (*(f"{name}{SPREAD}" for name in self.scores), AGREEMENT) if self.spread else ()
        calibrated = ("evalue", "quantile", P, Q) if self.calibrated else ()
        return (*self.scores, *spread, *calibrated)

    @property
    def summaries(self) -> tuple[str, ...]:
        """Columns that hold one value per variant-allele."""
        names = tuple(
            f"{name}_{how}" for name in self.scores if name in SIGNED for how in SUMMARIES
        )
        return (*names, *CALIBRATED) if self.calibrated else names

    @property
    def index_columns(self) -> tuple[str, ...]:
        """Columns of ``values`` that hold the index of a track."""
        return (SMALLEST_Q_TRACK,) if self.calibrated else ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns with values: the track's name alone if there is one score."""
        scores = self.per_track
        if len(scores) == 1:
            return (*self.tracks, *self.summaries)
        names = tuple(f"{track}_{score}" for score in scores for track in self.tracks)
        return (*names, *self.summaries)

    def part(self, values: Values, score: str) -> Values:
        """The ``(V, K)`` values of one of `per_track`."""
        first = self.per_track.index(score) * len(self.tracks)
        return values[:, first : first + len(self.tracks)]

    def meanings(self) -> tuple[str, ...]:
        """Description of each of `columns`, with its unit."""
        texts = []
        for score in self.per_track:
            meaning = MEANING[score.removesuffix(SPREAD)]
            if score.endswith(SPREAD):
                meaning = f"standard deviation over the models: {meaning}"
            texts += [f"{meaning}; track {track}" for track in self.tracks]
        for name in self.summaries:
            score, _, how = name.rpartition("_")
            texts.append(
                f"{SUMMARIES[how].format(score)}; {score} is the {MEANING[score]}"
                if how in SUMMARIES
                else CALIBRATED[name]
            )
        return tuple(texts)

    def keys(self, rows: pl.DataFrame | None = None) -> pl.DataFrame:
        """The columns that identify some rows, without the numbers of record and allele."""
        return (pl.DataFrame(schema=KEYS) if rows is None else rows).select(list(self.key_types))

    def frame(self, rows: pl.DataFrame, values: Values) -> pl.DataFrame:
        return named_tracks(super().frame(rows, values), self.index_columns, self.tracks)

    def empty(self) -> pl.DataFrame:
        return named_tracks(super().empty(), self.index_columns, self.tracks)
