"""Find the motifs of the bases that contribute most to predictions, and where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from danq._version import __version__
from danq.device import set_threads
from danq.errors import InputError, few
from danq.interpretation.attribution.attributions import Attributions
from danq.interpretation.attribution.read_attributions import read_attributions
from danq.interpretation.attribution_motifs.motif_hits import find_hits
from danq.interpretation.attribution_motifs.seqlet_motifs import (
    SeqletMotif,
    check_modisco,
    find_seqlet_motifs,
)
from danq.interpretation.motifs.known_matches import (
    MAX_Q,
    MIN_CORRELATION,
    KnownMatches,
    check_max_q,
    match_known_motifs,
    read_known_motifs,
)
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.progress import stage
from danq.provenance import sha256_of
from danq.typing import Location

COLUMNS = ("motif", "known_motif")
"""Columns for a motif and a known motif in the table of matches."""


@dataclass(frozen=True, eq=False)
class AttributionMotifReport:
    """Result of `find_attribution_motifs`.

    Attributes
    ----------
    motifs
        The motifs, with their contributions and seqlets; first those that raise predictions, and of
        these those with the most seqlets.
    table
        One row per motif: ``motif``, ``seqlets``, ``hits``, ``sequences_with_hits`` (fraction of
        the sequences), ``contribution`` (mean of the hits), and the columns of
        `danq.interpretation.motifs.motif_table.motif_table` on information and the best match.
    hits
        Sites of the motifs, see `danq.interpretation.attribution_motifs.motif_hits.find_hits`.
    known
        Matches with known motifs.
    provenance
        Attributions and settings, as in ``summary.json``.
    """

    motifs: tuple[SeqletMotif, ...] = field(repr=False)
    table: pl.DataFrame
    hits: pl.DataFrame
    known: KnownMatches = field(repr=False)
    provenance: dict[str, Any]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        tables = [FirstRows.of("Motifs", self.table), FirstRows.of("Hits", self.hits)]
        if self.known.matches.height:
            tables.append(FirstRows.of("Matches with known motifs", self.known.matches))
        summary = f"{len(self.motifs):,} motifs with {self.hits.height:,} hits"
        return Display(summary, self.describe(), tables=tables)

    def summary(self) -> dict[str, Any]:
        """Provenance and counts of motifs, matches and hits, as in ``summary.json``."""
        return {
            **self.provenance,
            "motifs": len(self.motifs),
            "motifs_matched": int(self.table["best_match"].is_not_null().sum()),
            "motifs_correlated": int((self.table["correlation"] >= MIN_CORRELATION).sum()),
            "hits": self.hits.height,
            "sequences_with_hits": self.hits["sequence"].n_unique(),
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary, and the table of the motifs."""
        return {**self.summary(), "table": self.table.to_dicts()}

    def describe(self) -> str:
        """The summary as text."""
        summary = self.summary()
        matched, correlated = summary["motifs_matched"], summary["motifs_correlated"]
        lines = [
            f"track {summary['track']}: {summary['motifs']:,} motifs of "
            f"{summary['positive_seqlets']:,} seqlets that raise predictions and "
            f"{summary['negative_seqlets']:,} that lower them, in "
            f"{summary['sequences']:,} sequences",
            f"{summary['hits']:,} hits in {summary['sequences_with_hits']:,} sequences",
        ]
        if summary["known_motifs"]:
            lines.insert(
                1,
                f"motifs that match a known motif (q <= {summary['max_q']:g}): {matched:,}",
            )
        if correlated < matched:
            lines.append(
                f"best matches with a correlation of {MIN_CORRELATION:g} or more: {correlated:,} "
                f"of {matched:,}; the others may be spurious, because motifs of low information "
                "match many others"
            )
        return "\n".join(lines)


def find_attribution_motifs(
    attributions: Attributions | Location,
    *,
    track: str | None = None,
    databases: Sequence[Location] = (),
    max_q: float = MAX_Q,
    threads: int | None = None,
) -> AttributionMotifReport:
    """Find motifs of contributions with TF-MoDISco, match them with known motifs, and list hits.

    The result depends only on the attributions. It does not depend on the number of threads.

    Parameters
    ----------
    attributions
        Attributions of a hundred sequences or more, or the file of `danq.write_attributions`.
    track
        Track whose contributions are used. None: the only one.
    databases
        Files of known motifs, in any format of `danq.read_motifs`.
    max_q
        Maximum q-value of a match.
    threads
        Number of threads. None: all.

    Raises
    ------
    MissingPackage
        When modisco-lite is not installed.
    InputError
        When the file is not one of attributions, the track does not exist, there are several tracks
        and ``track`` is None, the sequences are too short or have too few seqlets, a motif file
        cannot be read or is given twice, or ``max_q`` is not in (0, 1].

    Notes
    -----
    `danq.interpretation.attribution_motifs.seqlet_motifs.find_seqlet_motifs` states how motifs are
    found, `danq.interpretation.attribution_motifs.motif_hits.find_hits` what a hit is.
    """
    check_modisco()
    check_max_q(max_q)
    known = read_known_motifs(databases)
    if isinstance(attributions, Attributions):
        given, path = attributions, None
    else:
        given, path = read_attributions(attributions), attributions
    track = _track(given, track, path)
    if threads is not None:
        set_threads(threads)
    with stage("finding motifs of seqlets"):
        found = find_seqlet_motifs(given, track)
    with stage("searching hits"):
        hits = find_hits(given, track, found.motifs)
    with stage("comparing with known motifs"):
        matches = match_known_motifs([one.motif for one in found.motifs], known, max_q, COLUMNS)
    provenance = {
        "created_by": f"danq {__version__}",
        "attributions": None if path is None else str(path),
        "attributions_sha256": None if path is None else sha256_of(path),
        "model": given.provenance.get("model"),
        "method": given.method,
        "track": track,
        "sequences": len(given),
        "overlapping_sequences": _overlapping(given),
        "positive_seqlets": found.positive,
        "negative_seqlets": found.negative,
        "databases": ", ".join(map(str, databases)) or None,
        "known_motifs": len(known.motifs),
        "max_q": max_q,
    }
    table = _table(given, found.motifs, hits, matches)
    return AttributionMotifReport(found.motifs, table, hits, matches, provenance)


def _track(attributions: Attributions, track: str | None, path: Location | None) -> str:
    tracks = attributions.tracks
    if track is None:
        if len(tracks) == 1:
            return tracks[0]
        problem = (
            f"has attributions of {len(tracks):,} tracks ({few(tracks, 8)}), and none is selected"
        )
        raise InputError(problem, file=_file(path), remedy="Select one track")
    if track not in tracks:
        raise InputError(
            f"has no attributions of the track '{track}'",
            file=_file(path),
            remedy=f"Its tracks are {few(tracks, 8)}",
        )
    return track


def _file(path: Location | None) -> str | None:
    return None if path is None else str(path)


def _overlapping(attributions: Attributions) -> int:
    """Number of sequences that overlap the one before them on their contig."""
    ordered = attributions.sequences.sort(attributions.key, "start")
    end = pl.col("end").cum_max().shift(1).over(attributions.key)
    return int(ordered.select((pl.col("start") < end).sum()).item())


def _table(
    attributions: Attributions,
    motifs: Sequence[SeqletMotif],
    hits: pl.DataFrame,
    matches: KnownMatches,
) -> pl.DataFrame:
    counts = hits.group_by("motif").agg(
        pl.len().cast(pl.Int64).alias("hits"),
        (pl.col("sequence").n_unique() / len(attributions)).alias("sequences_with_hits"),
        pl.col("contribution").mean(),
    )
    seqlets = pl.DataFrame(
        {
            "motif": [one.motif.name for one in motifs],
            "seqlets": np.array([len(one.start) for one in motifs], np.int64),
        },
        schema_overrides={"motif": pl.String},
    )
    joined = seqlets.join(counts, on="motif", how="left", maintain_order="left")
    filled = joined.with_columns(
        pl.col("hits").fill_null(0), pl.col("sequences_with_hits").fill_null(0.0)
    )
    return filled.join(matches.described, on="motif", how="left", maintain_order="left")
