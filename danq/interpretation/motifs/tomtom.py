"""Comparison of motifs with known motifs: Tomtom's p-values."""

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
"""Below this number of targets, p-values depend on the selection, as MEME's Tomtom warns."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparison of Q query motifs with T target motifs; all arrays are ``(Q, T)``.

    Attributes
    ----------
    p_value
        Probability that a random motif made of the query's columns matches the target at least as
        well, over all offsets and both strands; 1 when the best overlap is too short.
    q_value
        False discovery rate over all targets of a query.
    offset
        Position of the target, on the matching strand, that is aligned with the query's first
        position; negative when the query starts before the target.
    overlap
        Number of aligned positions.
    reverse
        Whether the reverse complement of the target matches.
    """

    p_value: Float64[np.ndarray, "Q T"]
    q_value: Float64[np.ndarray, "Q T"]
    offset: Int64[np.ndarray, "Q T"]
    overlap: Int64[np.ndarray, "Q T"]
    reverse: Bool[np.ndarray, "Q T"]

    @property
    def e_value(self) -> Float64[np.ndarray, "Q T"]:
        """Expected number of targets that match as well by chance: p-value times T."""
        return self.p_value * self.p_value.shape[1]


def tomtom(
    queries: Sequence[Motif], targets: Sequence[Motif], *, min_overlap: int = MIN_OVERLAP
) -> Comparison:
    """Compare motifs with Tomtom, as implemented by memelite.

    Parameters
    ----------
    queries, targets
        One or more motifs each. The columns of all targets are the background of the p-values, so
        use a whole collection of targets.
    min_overlap
        Matches with fewer aligned positions are ignored, unless a motif is narrower. DanQ used 5.

    Raises
    ------
    InputError
        When there is no query or no target.

    Notes
    -----
    Gupta et al., Genome Biology 8:R24 (2007). memelite uses the Euclidean distance of columns (DanQ
    used Pearson's correlation) and complete scores: columns without a partner count as the median.
    q-values follow Benjamini & Hochberg over the targets of each query. The proportion of true
    null hypotheses is not estimated, so q-values are never below those of MEME's Tomtom.
    """
    if not queries or not targets:
        raise InputError(f"{len(queries)} motifs cannot be compared with {len(targets)}")
    # The import takes half a second and loads pandas.
    from memelite import tomtom as memelite_tomtom

    if len(targets) < FEW_TARGETS:
        log.warning(
            "p-values of a comparison with only %d motifs are unreliable: the columns of all "
            "known motifs are their background. Use a whole collection",
            len(targets),
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="tomtom was given")
        p, _, offset, overlap, strand = memelite_tomtom(_columns(queries), _columns(targets))
    widths = np.minimum.outer([one.width for one in queries], [one.width for one in targets])
    p = np.where(overlap < np.minimum(widths, min_overlap), 1.0, p)
    return Comparison(
        p,
        false_discovery_rates(p),
        offset.astype(np.int64),
        overlap.astype(np.int64),
        strand.astype(bool),
    )


def false_discovery_rates(p_values: Float64[np.ndarray, "... T"]) -> Float64[np.ndarray, "... T"]:
    """Adjust p-values along the last axis (Benjamini & Hochberg 1995)."""
    count = p_values.shape[-1]
    order = np.argsort(p_values, axis=-1)
    scaled = np.take_along_axis(p_values, order, axis=-1) * count / np.arange(1, count + 1)
    monotone = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    out = np.empty_like(monotone)
    np.put_along_axis(out, order, monotone.clip(max=1), axis=-1)
    return out


def _columns(motifs: Sequence[Motif]) -> list[np.ndarray]:
    return [np.ascontiguousarray(one.probabilities.T) for one in motifs]
