"""Recovery of known motifs: which of them have a filter with a matching motif."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.information_content import trim
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.known_matches import MAX_Q
from danq.interpretation.motifs.tomtom import MIN_OVERLAP, tomtom

SHUFFLED = 9
"""Shuffled motifs per known motif: its positions in random order."""


def motif_recovery(
    sites: FilterSites,
    known: Sequence[Motif],
    *,
    background: Sequence[Motif] = (),
    max_q: float = MAX_Q,
    seed: int = 0,
) -> pl.DataFrame:
    """Find the filter that matches each known motif best, as `recovery_of` its motifs."""
    return recovery_of(sites.motifs(), known, background=background, max_q=max_q, seed=seed)


def recovery_of(
    motifs: Sequence[Motif],
    known: Sequence[Motif],
    *,
    background: Sequence[Motif] = (),
    max_q: float = MAX_Q,
    seed: int = 0,
) -> pl.DataFrame:
    """Find the motif of a filter, or of attributions, that matches each known motif best.

    The motifs are compared with the known motifs, the ``background`` motifs, and nine shuffled
    motifs per known motif. q-values account for all of these.

    Parameters
    ----------
    motifs
        Motifs of filters, or of attributions.
    known
        Motifs that the model is expected to have learned.
    background
        Further motifs, such as a whole collection.
    max_q
        Maximum q-value of a match.
    seed
        Random seed of the shuffled motifs.

    Returns
    -------
    polars.DataFrame
        One row per known motif: ``motif``, ``filter`` (the one with the smallest p-value), the
        ``consensus`` of its core, ``p_value``, ``e_value``, ``q_value``, ``filters`` (number of
        matching filters), ``best_of`` (number of matching filters whose best match this motif is)
        and ``found`` (whether any filter matches).

    Raises
    ------
    InputError
        When there is no known motif, or no motif has a core of at least 5 positions.
    """
    cores = [trim(motif) for motif in motifs]
    queries = [one for one in cores if one is not None and one.width >= MIN_OVERLAP]
    if not known or not queries:
        raise InputError(f"{len(queries)} motifs cannot be compared with {len(known)}")
    rng = np.random.default_rng(seed)
    shuffled = [
        Motif(f"{one.name}_shuffled_{number}", rng.permutation(one.probabilities))
        for one in known
        for number in range(SHUFFLED)
    ]
    comparison = tomtom(queries, [*known, *background, *shuffled])
    matches = comparison.q_value <= max_q
    best_target = comparison.p_value.argmin(axis=1)
    rows = []
    for target, motif in enumerate(known):
        best = int(comparison.p_value[:, target].argmin())
        rows.append(
            {
                "motif": motif.name,
                "filter": queries[best].name,
                "consensus": queries[best].consensus,
                "p_value": float(comparison.p_value[best, target]),
                "e_value": float(comparison.e_value[best, target]),
                "q_value": float(comparison.q_value[best, target]),
                "filters": int(matches[:, target].sum()),
                "best_of": int((matches[:, target] & (best_target == target)).sum()),
                "found": bool(matches[:, target].any()),
            }
        )
    return pl.DataFrame(rows)
