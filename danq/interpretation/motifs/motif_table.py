"""What is known of each filter's motif, one row a filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.information_content import core, information, trimmed
from danq.interpretation.motifs.tomtom import MIN_OVERLAP, Comparison, tomtom

Q_LIMIT = 0.01
"""False discovery rate up to which a match is called."""

CLOSE = 0.7
"""Correlation from which a match is close; below it vague motifs match by chance."""


@dataclass(frozen=True)
class Known:
    """Motifs to compare with.

    Attributes
    ----------
    motifs
        All of them.
    collections
        Name of the collection of each, such as the file it came from.
    """

    motifs: tuple[Motif, ...] = ()
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Matched:
    """Filters and the known motifs they resemble.

    Attributes
    ----------
    table
        A row a filter that has sites, see `motif_table`.
    matches
        A row a match of a filter with a known motif, the best first, see `motif_table`.
    aligned
        Name of a filter with a match to its best target as it lies: motif, the position of
        the filter's core at which that motif's first position lies.
    """

    table: pl.DataFrame
    matches: pl.DataFrame
    aligned: dict[str, tuple[Motif, int]] = field(default_factory=dict, repr=False)


def motif_table(
    sites: FilterSites, known: Known | None = None, q_limit: float = Q_LIMIT
) -> Matched:
    """Describe every filter that has sites, and find what it resembles.

    Compared is a filter's core, the motif without weak ends
    (`danq.interpretation.motifs.information_content`), if it has at least 5 positions.

    Parameters
    ----------
    sites
        As `danq.interpretation.motifs.filter_sites.filter_sites` collects them.
    known
        Motifs to compare with, or None.
    q_limit
        Largest q-value of a match.

    Returns
    -------
    Matched
        ``table``: ``filter``; ``sites``; ``active``, the share of sequences in which it fires;
        ``maximum``, its largest activation; ``bits``, the information of all its taps;
        ``consensus`` and first tap ``start`` (0-based) of its core; and of the best match, null
        where none passes: ``match``, ``collection``, ``p``, ``e`` (p times the number of known
        motifs), ``q``, ``strand`` of the known motif, ``correlation``, and ``matches``, how many
        pass.
        ``matches``: ``filter``, ``motif``, ``collection``, ``p``, ``e``, ``q``, ``strand``,
        ``offset`` (position of the known motif at which the core begins), ``overlap``,
        ``correlation`` (Pearson's, of the base frequencies of both in the overlap).

    Notes
    -----
    Tomtom's distance is small where both motifs are vague, so a long known motif with few bits a
    position has small q-values for many a vague filter. Their correlation is low all the same.
    """
    numbers = [int(number) for number in np.flatnonzero(sites.sites)]
    motifs = [sites.motif(number) for number in numbers]
    cores = [trimmed(motif) for motif in motifs]
    table = pl.DataFrame(
        {
            "filter": [motif.name for motif in motifs],
            "sites": sites.sites[numbers],
            "active": sites.active[numbers] / max(1, sites.sequences),
            "maximum": sites.maximum[numbers],
            "bits": [float(information(motif.probabilities).sum()) for motif in motifs],
            "consensus": ["" if one is None else one.consensus for one in cores],
            "start": [core(motif.probabilities).start for motif in motifs],
        },
        schema_overrides={"filter": pl.String, "consensus": pl.String, "bits": pl.Float64},
    )
    wide = [one for one in cores if one is not None and one.width >= MIN_OVERLAP]
    if known is None or not known.motifs or not wide:
        return Matched(_with_best(table, _no_matches()), _no_matches())
    found = tomtom(wide, known.motifs)
    matches = _matches(wide, known, found, q_limit)
    return Matched(_with_best(table, matches), matches, _aligned(wide, known, found, q_limit))


def _matches(wide: Sequence[Motif], known: Known, found: Comparison, limit: float) -> pl.DataFrame:
    query, target = np.nonzero(found.q <= limit)
    order = np.lexsort((target, found.p[query, target], query))
    query, target = query[order], target[order]
    at = query, target
    places = zip(query, target, found.offset[at], found.overlap[at], found.reverse[at], strict=True)
    alike = [correlation(wide[k], known.motifs[t], *place) for k, t, *place in places]
    return pl.DataFrame(
        {
            "filter": [wide[k].name for k in query],
            "motif": [known.motifs[k].name for k in target],
            "collection": [known.collections[k] for k in target],
            "p": found.p[at],
            "e": found.e[at],
            "q": found.q[at],
            "strand": np.where(found.reverse[at], "-", "+"),
            "offset": found.offset[at],
            "overlap": found.overlap[at],
            "correlation": alike,
        },
        schema=_no_matches().schema,
    )


def correlation(query: Motif, target: Motif, offset: int, overlap: int, reverse: bool) -> float:
    """Pearson's correlation of the base frequencies of two motifs where they overlap.

    0 where either has the same frequency of all bases throughout.

    Parameters
    ----------
    query, target
        The motifs.
    offset, overlap, reverse
        How they lie, as in `danq.interpretation.motifs.tomtom.Comparison`.
    """
    known = target.reverse_complement() if reverse else target
    ours = query.probabilities[max(0, -offset) :][:overlap].ravel()
    theirs = known.probabilities[max(0, offset) :][:overlap].ravel()
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    size = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return float(ours @ theirs) / size if size > 0 else 0.0


def _no_matches() -> pl.DataFrame:
    texts = dict.fromkeys(("filter", "motif", "collection"), pl.String)
    floats = dict.fromkeys(("p", "e", "q"), pl.Float64)
    places = {"strand": pl.String, "offset": pl.Int64, "overlap": pl.Int64}
    return pl.DataFrame(schema={**texts, **floats, **places, "correlation": pl.Float64})


def _with_best(table: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    best = matches.group_by("filter", maintain_order=True).agg(
        pl.col("motif").first().alias("match"),
        pl.col("collection", "p", "e", "q", "strand", "correlation").first(),
        pl.len().cast(pl.Int64).alias("matches"),
    )
    joined = table.join(best, on="filter", how="left", maintain_order="left")
    return joined.with_columns(pl.col("matches").fill_null(0))


def _aligned(
    wide: Sequence[Motif], known: Known, found: Comparison, limit: float
) -> dict[str, tuple[Motif, int]]:
    out = {}
    for k in np.flatnonzero((found.q <= limit).any(axis=1)).tolist():
        best = int(found.p[k].argmin())
        motif = known.motifs[best]
        motif = motif.reverse_complement() if found.reverse[k, best] else motif
        out[wide[k].name] = (motif, -int(found.offset[k, best]))
    return out
