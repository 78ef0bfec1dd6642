"""Table of the motifs of all filters, and their matches with known motifs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.known_matches import MAX_Q, KnownMotifs, match_known_motifs


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
    found = match_known_motifs(motifs, known, max_q)
    filters = pl.DataFrame(
        {
            "filter": [motif.name for motif in motifs],
            "sites": sites.sites[indices],
            "active_fraction": sites.active[indices] / max(1, sites.sequences),
            "max_activation": sites.maximum[indices],
        },
        schema_overrides={"filter": pl.String},
    )
    table = pl.concat([filters, found.described.drop("filter")], how="horizontal")
    return MotifTable(table, found.matches, found.best, found.known)
