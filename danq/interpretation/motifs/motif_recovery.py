"""Which motifs that are known to be there a model's filters have found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.interpretation.motifs.filter_sites import FilterSites
from danq.interpretation.motifs.information_content import trimmed
from danq.interpretation.motifs.motif_table import Q_LIMIT
from danq.interpretation.motifs.tomtom import MIN_OVERLAP, tomtom

DECOYS = 9
"""Decoys a motif: its own positions in another order."""


def recovery(
    sites: FilterSites,
    known: Sequence[Motif],
    *,
    background: Sequence[Motif] = (),
    q_limit: float = Q_LIMIT,
    seed: int = 0,
) -> pl.DataFrame:
    """Look for the filter that resembles each known motif most.

    Every filter is compared with the known motifs among others: those of ``background``, and of
    each known motif nine decoys with its positions shuffled, which have the same bases and no
    meaning. The q-values are over all of these.

    Parameters
    ----------
    sites
        What the filters see where they fire.
    known
        Motifs that ought to be found.
    background
        Further motifs, such as a whole collection.
    q_limit
        Largest q-value of a match.
    seed
        Order of the decoys' positions.

    Returns
    -------
    polars.DataFrame
        A row a known motif: ``motif``, ``filter`` (the one with the smallest p), its core's
        ``consensus``, ``p``, ``e``, ``q``, ``filters`` (how many pass ``q_limit``), ``best_of``
        (those among them that resemble no other target more) and ``found``.

    Raises
    ------
    InputError
        When there is no known motif, or no filter has a motif wide enough to compare.
    """
    cores = [trimmed(motif) for motif in sites.motifs()]
    wide = [one for one in cores if one is not None and one.width >= MIN_OVERLAP]
    if not known or not wide:
        raise InputError(f"{len(wide)} motifs of filters cannot be compared with {len(known)}")
    rng = np.random.default_rng(seed)
    decoys = [
        Motif(f"{one.name}_shuffled_{number}", rng.permutation(one.probabilities))
        for one in known
        for number in range(DECOYS)
    ]
    found = tomtom(wide, [*known, *background, *decoys])
    passed = found.q <= q_limit
    winner = found.p.argmin(axis=1)
    rows = []
    for place, motif in enumerate(known):
        best = int(found.p[:, place].argmin())
        rows.append(
            {
                "motif": motif.name,
                "filter": wide[best].name,
                "consensus": wide[best].consensus,
                "p": float(found.p[best, place]),
                "e": float(found.e[best, place]),
                "q": float(found.q[best, place]),
                "filters": int(passed[:, place].sum()),
                "best_of": int((passed[:, place] & (winner == place)).sum()),
                "found": bool(passed[:, place].any()),
            }
        )
    return pl.DataFrame(rows)
