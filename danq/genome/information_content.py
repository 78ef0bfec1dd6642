"""Information content of base frequencies, and the informative core of a motif."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from danq.genome.motif_matrix import Motif
from danq.typing import Matrix

MIN_EDGE_BITS = 0.25
"""Minimum information content of the first and the last position of a core."""


def information_content(probabilities: Matrix) -> Float64[np.ndarray, " W"]:
    """Information content of each position in bits, from 0 (all bases equal) to 2 (one base).

    ``sum_b p_b log2(p_b / 0.25)``. No small-sample correction is applied, as in DanQ (Tomtom's
    ``-no-ssc``).

    Parameters
    ----------
    probabilities
        ``(W, 4)`` frequencies of A, C, G, T.
    """
    p = np.asarray(probabilities, np.float64)
    return (p * np.log2(np.where(p > 0, p, 0.25) / 0.25)).sum(axis=1)


def letter_heights(probabilities: Matrix) -> Matrix:
    """Letter heights of a sequence logo in bits: frequency times information content.

    Notes
    -----
    Schneider & Stephens, Nucleic Acids Research 18:6097 (1990), without small-sample correction.
    """
    return probabilities * information_content(probabilities)[:, None]


def core(probabilities: Matrix, min_bits: float = MIN_EDGE_BITS) -> slice:
    """Positions from the first to the last one with at least ``min_bits``.

    The slice is empty when there is no such position.
    """
    informative = np.flatnonzero(information_content(probabilities) >= min_bits)
    if not informative.size:
        return slice(0, 0)
    return slice(int(informative[0]), int(informative[-1]) + 1)


def trim(motif: Motif) -> Motif | None:
    """Remove the uninformative ends of a motif. None when no position is informative."""
    rows = motif.probabilities[core(motif.probabilities)]
    return Motif(motif.name, rows, motif.nsites, motif.comment) if len(rows) else None
