"""Motifs compared with a collection of known ones, with Tomtom's p-values."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from danq.errors import InputError
from danq.genome.motif_matrix import Motif

MIN_OVERLAP = 5
FEW_TARGETS = 50
"""Below so many targets p-values depend on which targets they are, as MEME's Tomtom warns."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Every query against every target; arrays ``(Q, T)``.

    Attributes
    ----------
    p
        Probability that a random motif of the query's columns matches the target as well, over
        all offsets and both strands; 1 where the best overlap is too short.
    q
        False discovery rate at which the match is called, over all targets of the query.
    offset
        Position of the target (on the strand that matches) at which the query's first position
        lies; negative where the query begins before it.
    overlap
        Positions that lie over one another.
    reverse
        Whether the target's reverse complement matches.
    """

    p: Float64[np.ndarray, "Q T"]
    q: Float64[np.ndarray, "Q T"]
    offset: Int64[np.ndarray, "Q T"]
    overlap: Int64[np.ndarray, "Q T"]
    reverse: Bool[np.ndarray, "Q T"]

    @property
    def e(self) -> Float64[np.ndarray, "Q T"]:
        """Targets expected to match so well by chance: p times the number of targets."""
        return self.p * self.p.shape[1]


def tomtom(
    queries: Sequence[Motif], targets: Sequence[Motif], *, min_overlap: int = MIN_OVERLAP
) -> Comparison:
    """Compare motifs by Tomtom, as memelite computes it.

    Parameters
    ----------
    queries, targets
        At least one each. The columns of all targets are the background of the p-values, so
        these hold for a whole collection, not for a handful of motifs.
    min_overlap
        Matches of fewer positions count as none, unless a motif is narrower than that. The
        authors of DanQ asked for 5.

    Raises
    ------
    InputError
        When there is no query or no target.

    Notes
    -----
    Gupta et al., Genome Biology 8:R24 (2007), in the reading of memelite: Euclidean distance of
    columns (the authors of DanQ took Pearson's correlation), complete scores, columns that
    overhang count as their median. q-values follow Benjamini & Hochberg over the targets of
    each query, without an estimate of the share of true nulls, so they are never below
    Tomtom's own.
    """
    if not queries or not targets:
        raise InputError(f"{len(queries)} motifs cannot be compared with {len(targets)}")
    # Half a second of import, and pandas behind it: only who compares pays.
    from memelite import tomtom as run

    if len(targets) < FEW_TARGETS:
        log.warning(
            "%d motifs are few to compare with: their columns are the background of the "
            "p-values. A whole collection gives better ones",
            len(targets),
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="tomtom was given")
        p, _, offset, overlap, strand = run(_columns(queries), _columns(targets))
    widths = np.minimum.outer([one.width for one in queries], [one.width for one in targets])
    p = np.where(overlap < np.minimum(widths, min_overlap), 1.0, p)
    return Comparison(
        p,
        false_discovery_rates(p),
        offset.astype(np.int64),
        overlap.astype(np.int64),
        strand.astype(bool),
    )


def false_discovery_rates(p: Float64[np.ndarray, "... T"]) -> Float64[np.ndarray, "... T"]:
    """Adjust p-values along the last axis (Benjamini & Hochberg 1995)."""
    number = p.shape[-1]
    order = np.argsort(p, axis=-1)
    scaled = np.take_along_axis(p, order, axis=-1) * number / np.arange(1, number + 1)
    falling = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    out = np.empty_like(falling)
    np.put_along_axis(out, order, falling.clip(max=1), axis=-1)
    return out


def _columns(motifs: Sequence[Motif]) -> list[np.ndarray]:
    return [np.ascontiguousarray(one.probabilities.T) for one in motifs]
