"""Columns of variant effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import polars as pl

from danq.amounts import AmountUnit, unit_text
from danq.inference.track_levels import BITS_NAME, Kind
from danq.inference.variants.allele_scores import (
    AGREEMENT,
    EVALUE,
    HAS_UNIT,
    QUANTILE,
    SIGNED,
    SIGNIFICANCE,
    SMALLEST_Q,
    SMALLEST_Q_TRACK,
    SUMMARIES,
    P,
    Q,
    meaning,
    score_name,
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


_OTHER: dict[Kind, Kind] = {"peaks": "amounts", "amounts": "peaks"}


class VcfHeader(NamedTuple):
    """Header of the input: its ``##`` lines, its samples, and the contigs of its records."""

    lines: Sequence[str]
    samples: Sequence[str]
    contigs: Sequence[str] = ()


class NamedScore(NamedTuple):
    """A score of the tracks that share its name.

    Attributes
    ----------
    score
        One of `VariantLayout.per_track`.
    name
        Name in an output.
    kind
        What the tracks measure; None if they are of both kinds.
    tracks
        Indices of the tracks.
    """

    score: str
    name: str
    kind: Kind | None
    tracks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class VariantLayout(Layout):
    """Columns of variant effects, as ``(V, C)`` values hold them.

    For each per-track score in order, a column for each track; then one for each summary. The score
    ``logit`` has the name ``log2fc`` for tracks of amounts, and summaries are over tracks of one
    kind.

    Attributes
    ----------
    scores
        Names of `danq.inference.variants.allele_scores.SCORES`.
    spread
        Whether the standard deviation over the models follows, for each score and track.
    calibrated
        Whether E-values, quantiles, p and q follow, and their summaries.
    units
        Unit of each track, None for peaks; empty if all tracks are of peaks.
    vcf_header
        Header of the input, if it is a VCF.
    total
        Number of rows, if known.
    """

    contents: ClassVar[str] = "variant effects"

    scores: tuple[str, ...]
    calibrated: bool = False
    units: tuple[AmountUnit | None, ...] = ()
    vcf_header: VcfHeader | None = None
    total: int | None = None

    @property
    def key_types(self) -> dict[str, type[pl.DataType]]:
        return {name: kind for name, kind in KEYS.items() if name not in ("record", "allele")}

    @property
    def per_track(self) -> tuple[str, ...]:
        """Per-track values: scores, ``_sd`` for standard deviations, and further ones."""
        spread = (*(f"{name}{SPREAD}" for name in self.scores), AGREEMENT) if self.spread else ()
        calibrated = (EVALUE, QUANTILE, P, Q) if self.calibrated else ()
        return (*self.scores, *spread, *calibrated)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each track measures."""
        if not self.units:
            return ("peaks",) * len(self.tracks)
        return tuple("peaks" if unit is None else "amounts" for unit in self.units)

    @cached_property
    def _tracks_of(self) -> dict[Kind, tuple[int, ...]]:
        found: dict[Kind, tuple[int, ...]] = {
            kind: tuple(number for number, one in enumerate(self.kinds) if one == kind)
            for kind in BITS_NAME
        }
        return {kind: tracks for kind, tracks in found.items() if tracks}

    @cached_property
    def named_scores(self) -> tuple[NamedScore, ...]:
        """The names of `per_track`, each with its tracks."""
        every = tuple(range(len(self.tracks)))
        found = []
        for score in self.per_track:
            own = [
                NamedScore(score, score_name(score, kind), kind, tracks)
                for kind, tracks in self._tracks_of.items()
            ]
            shared = len(own) > 1 and len({one.name for one in own}) == 1
            found += [NamedScore(score, score, None, every)] if shared else own
        return tuple(found)

    @cached_property
    def summarised(self) -> tuple[NamedScore, ...]:
        """Scores that are summarised over the tracks of a kind.

        The name of the kind is before that of a score which tracks of both kinds have.
        """
        found = []
        for score in self.scores:
            for kind, tracks in self._tracks_of.items() if score in SIGNED else ():
                name = score_name(score, kind)
                shared = len(self._tracks_of) > 1 and name == score_name(score, _OTHER[kind])
                name = f"{kind}_{name}" if shared else name
                found.append(NamedScore(score, name, kind, tracks))
        return tuple(found)

    @property
    def summaries(self) -> tuple[str, ...]:
        """Columns that hold one value per variant-allele."""
        names = tuple(f"{one.name}_{how}" for one in self.summarised for how in SUMMARIES)
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
        named = list(zip(self.tracks, self.kinds, strict=True))
        names = tuple(
            f"{track}_{score_name(score, kind)}" for score in scores for track, kind in named
        )
        return (*names, *self.summaries)

    def part(self, values: Values, score: str) -> Values:
        """The ``(V, K)`` values of one of `per_track`."""
        first = self.per_track.index(score) * len(self.tracks)
        return values[:, first : first + len(self.tracks)]

    def meanings(self) -> tuple[str, ...]:
        """Description of each of `columns`, with its unit."""
        texts = []
        units = self.units or (None,) * len(self.tracks)
        for score in self.per_track:
            for track, unit, kind in zip(self.tracks, units, self.kinds, strict=True):
                text = f"{self.meaning(score, kind)}; track {track}"
                if unit is not None and score.removesuffix(SPREAD) in HAS_UNIT:
                    text = f"{text}; unit {unit_text(unit)}"
                texts.append(text)
        for one in self.summarised:
            assert one.kind is not None
            score = score_name(one.score, one.kind)
            of = f" of tracks of {one.kind}" if len(self._tracks_of) > 1 else ""
            texts += [
                f"{how.format(score)}{of}; {score} is the {meaning(one.score, one.kind)}"
                for how in SUMMARIES.values()
            ]
        return (*texts, *CALIBRATED.values()) if self.calibrated else tuple(texts)

    def meaning(self, score: str, kind: Kind | None) -> str:
        """Description of one of `per_track` for tracks of a kind; None for tracks of both."""
        first = score.removesuffix(SPREAD)
        text = meaning(first, kind or "peaks")
        if kind is None and (other := meaning(first, "amounts")) != text:
            text = f"{text}, or for amounts {other}"
        if score.endswith(SPREAD):
            text = f"standard deviation over the models: {text}"
        return text

    def keys(self, rows: pl.DataFrame | None = None) -> pl.DataFrame:
        """The columns that identify some rows, without the numbers of record and allele."""
        return (pl.DataFrame(schema=KEYS) if rows is None else rows).select(list(self.key_types))

    def frame(self, rows: pl.DataFrame, values: Values) -> pl.DataFrame:
        return named_tracks(super().frame(rows, values), self.index_columns, self.tracks)

    def empty(self) -> pl.DataFrame:
        return named_tracks(super().empty(), self.index_columns, self.tracks)
