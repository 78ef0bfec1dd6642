"""Table of the motifs of all filters, and their matches with known motifs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from jaxtyping import Int64

from danq.genome.information_content import core, information_content, trim
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.tomtom import MIN_OVERLAP, Comparison, tomtom

MAX_Q = 0.01
"""Default maximum q-value of a match."""

MIN_CORRELATION = 0.7
"""Below this correlation a match may be spurious: motifs of low information match many others."""

MATCH_COLUMNS = {
    "filter": pl.String,
    "motif": pl.String,
    "collection": pl.String,
    "entry": pl.Int64,
    "p_value": pl.Float64,
    "e_value": pl.Float64,
    "q_value": pl.Float64,
    "strand": pl.String,
    "offset": pl.Int64,
    "overlap": pl.Int64,
    "correlation": pl.Float64,
}

log = logging.getLogger("danq")


@dataclass(frozen=True)
class KnownMotifs:
    """Known motifs that filters are compared with.

    Attributes
    ----------
    motifs
        The motifs.
    collections
        Name of the collection of each motif, such as the name of its file.
    """

    motifs: tuple[Motif, ...] = ()
    collections: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MotifTable:
    """Motifs of the filters and their matches with known motifs.

    Attributes
    ----------
    filters
        One row per filter with sites, see `motif_table`.
    matches
        One row per match of a filter with a known motif, see `motif_table`.
    best
        For each filter with a match: the best known motif, on the matching strand, and the
        position of the filter's core that is aligned with its first position.
    known
        The known motifs that match, each once; ``entry`` of ``matches`` is an index in it. Their
        comments name the collection.
    """

    filters: pl.DataFrame
    matches: pl.DataFrame
    best: dict[str, tuple[Motif, int]] = field(default_factory=dict, repr=False)
    known: tuple[Motif, ...] = field(default=(), repr=False)


def motif_table(
    sites: FilterSites, known: KnownMotifs | None = None, max_q: float = MAX_Q
) -> MotifTable:
    """Describe the motif of every filter with sites, and find matching known motifs.

    The comparison uses the core of a filter's motif, which excludes uninformative ends (see
    `danq.genome.information_content`). Cores of fewer than 5 positions have no
    matches.

    Parameters
    ----------
    sites
        Result of `danq.interpretation.motifs.filter_sites.find_filter_sites`.
    known
        Motifs to compare with, or None.
    max_q
        Maximum q-value of a match.

    Returns
    -------
    MotifTable
        ``filters`` has the columns ``filter``; ``sites``; ``active_fraction``, the fraction of
        sequences that activate the filter; ``max_activation``; ``information_content`` of all
        positions, in bits; ``consensus`` and the 0-based first position ``core_start`` of the
        core. For the best match, or null: ``best_match``, ``collection``, ``p_value``,
        ``e_value`` (p-value times the number of known motifs), ``q_value``, ``strand`` of the
        known motif and ``correlation``; and the number of ``matches``.
        ``matches`` has the columns ``filter``, ``motif``, ``collection``, ``entry`` (index in
        ``known``), ``p_value``, ``e_value``, ``q_value``, ``strand``, ``offset`` (position of the
        known motif that is aligned with the start of the core), ``overlap`` and ``correlation``
        (Pearson's, of the base frequencies at the aligned positions). The best match of a filter
        comes first.

    Notes
    -----
    Tomtom's distance between two motifs of low information is small, so a long known motif with
    few bits per position has small q-values for many filters. The correlation is low in this case.
    """
    indices = [int(index) for index in np.flatnonzero(sites.sites)]
    motifs = [sites.motif(index) for index in indices]
    cores = [trim(motif) for motif in motifs]
    filters = pl.DataFrame(
        {
            "filter": [motif.name for motif in motifs],
            "sites": sites.sites[indices],
            "active_fraction": sites.active[indices] / max(1, sites.sequences),
            "max_activation": sites.maximum[indices],
            "information_content": [
                float(information_content(motif.probabilities).sum()) for motif in motifs
            ],
            "consensus": ["" if one is None else one.consensus for one in cores],
            "core_start": [core(motif.probabilities).start for motif in motifs],
        },
        schema_overrides={
            "filter": pl.String,
            "consensus": pl.String,
            "information_content": pl.Float64,
        },
    )
    queries = [one for one in cores if one is not None and one.width >= MIN_OVERLAP]
    if known is not None and known.motifs and len(queries) < len(cores):
        log.info(
            "%d of %d filters are not compared with known motifs: fewer than %d positions of their "
            "motif are informative",
            len(cores) - len(queries),
            len(cores),
            MIN_OVERLAP,
        )
    if known is None or not known.motifs or not queries:
        matches = pl.DataFrame(schema=MATCH_COLUMNS)
        return MotifTable(_join_best(filters, matches), matches)
    comparison = tomtom(queries, known.motifs)
    targets = np.flatnonzero((comparison.q_value <= max_q).any(axis=0))
    matches = _matches(queries, known, comparison, max_q, targets)
    best = _best_matches(queries, known, comparison, max_q)
    return MotifTable(_join_best(filters, matches), matches, best, _with_collection(known, targets))


def _with_collection(known: KnownMotifs, indices: Int64[np.ndarray, " T"]) -> tuple[Motif, ...]:
    """Some known motifs, with the name of their collection as a comment."""
    pairs = [(known.motifs[index], known.collections[index]) for index in indices]
    return tuple(
        Motif(one.name, one.probabilities, one.nsites, {"collection": name} if name else None)
        for one, name in pairs
    )


def _matches(
    queries: Sequence[Motif],
    known: KnownMotifs,
    comparison: Comparison,
    max_q: float,
    targets: Int64[np.ndarray, " T"],
) -> pl.DataFrame:
    """Matches of queries; ``targets`` are the ascending indices of the known motifs that match."""
    query, target = np.nonzero(comparison.q_value <= max_q)
    order = np.lexsort((target, comparison.p_value[query, target], query))
    query, target = query[order], target[order]
    pairs = query, target
    offset, overlap = comparison.offset[pairs], comparison.overlap[pairs]
    reverse = comparison.reverse[pairs]
    alignments = zip(query, target, offset, overlap, reverse, strict=True)
    return pl.DataFrame(
        {
            "filter": [queries[k].name for k in query],
            "motif": [known.motifs[k].name for k in target],
            "collection": [known.collections[k] for k in target],
            "entry": np.searchsorted(targets, target),
            "p_value": comparison.p_value[pairs],
            "e_value": comparison.e_value[pairs],
            "q_value": comparison.q_value[pairs],
            "strand": np.where(reverse, "-", "+"),
            "offset": offset,
            "overlap": overlap,
            "correlation": [
                correlation(queries[q], known.motifs[t], *alignment)
                for q, t, *alignment in alignments
            ],
        },
        schema=MATCH_COLUMNS,
    )


def correlation(query: Motif, target: Motif, offset: int, overlap: int, reverse: bool) -> float:
    """Pearson's correlation of the base frequencies of two motifs at their aligned positions.

    It is 0 when all frequencies of a motif are equal.

    Parameters
    ----------
    query, target
        The motifs.
    offset, overlap, reverse
        Their alignment, as in `danq.interpretation.motifs.tomtom.Comparison`.
    """
    known = target.reverse_complement() if reverse else target
    x = query.probabilities[max(0, -offset) :][:overlap].ravel()
    y = known.probabilities[max(0, offset) :][:overlap].ravel()
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else 0.0


def _join_best(filters: pl.DataFrame, matches: pl.DataFrame) -> pl.DataFrame:
    best = matches.group_by("filter", maintain_order=True).agg(
        pl.col("motif").first().alias("best_match"),
        pl.col("collection", "p_value", "e_value", "q_value", "strand", "correlation").first(),
        pl.len().cast(pl.Int64).alias("matches"),
    )
    joined = filters.join(best, on="filter", how="left", maintain_order="left")
    return joined.with_columns(pl.col("matches").fill_null(0))


def _best_matches(
    queries: Sequence[Motif], known: KnownMotifs, comparison: Comparison, max_q: float
) -> dict[str, tuple[Motif, int]]:
    best = {}
    for query in np.flatnonzero((comparison.q_value <= max_q).any(axis=1)).tolist():
        target = int(comparison.p_value[query].argmin())
        motif = known.motifs[target]
        motif = motif.reverse_complement() if comparison.reverse[query, target] else motif
        best[queries[query].name] = (motif, -int(comparison.offset[query, target]))
    return best
