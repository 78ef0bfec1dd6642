"""Information content of base frequencies, and the informative part of a motif."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import ArrayLike

from danq.genome.motif_matrix import UNIFORM, Motif, check_background
from danq.typing import Matrix

EDGE_BITS = 0.25
"""Positions at either end with less information than this are no part of a motif's core."""


def information(
    probabilities: Matrix, background: ArrayLike = UNIFORM
) -> Float64[np.ndarray, " W"]:
    """Relative entropy of each position to a background, in bits.

    ``sum_b p_b log2(p_b / q_b)``: 0 for the background itself, 2 for a certain base over the
    uniform background. No correction for few sites is made, as the authors of DanQ made none
    (Tomtom's ``-no-ssc``).

    Parameters
    ----------
    probabilities
        ``(W, 4)`` frequencies of A, C, G, T.
    background
        Frequencies of A, C, G, T, above 0.

    Raises
    ------
    InputError
        When the background is not four frequencies above 0 that sum to 1.
    """
    p, base = np.asarray(probabilities, np.float64), check_background(background)
    ratio = np.where(p > 0, p, base) / base
    return (p * np.log2(ratio)).sum(axis=1)


def letter_heights(probabilities: Matrix) -> Matrix:
    """Heights of the letters of a logo, in bits: frequency times the position's information.

    Notes
    -----
    Schneider & Stephens, Nucleic Acids Research 18:6097 (1990), without their correction.
    """
    return probabilities * information(probabilities)[:, None]


def core(probabilities: Matrix, edge_bits: float = EDGE_BITS) -> slice:
    """The stretch from the first to the last position with at least ``edge_bits``.

    Empty where no position has so many.
    """
    strong = np.flatnonzero(information(probabilities) >= edge_bits)
    return slice(int(strong[0]), int(strong[-1]) + 1) if strong.size else slice(0, 0)


def trimmed(motif: Motif, edge_bits: float = EDGE_BITS) -> Motif | None:
    """A motif without its weak ends; None where nothing is left."""
    rows = motif.probabilities[core(motif.probabilities, edge_bits)]
    return Motif(motif.name, rows, motif.nsites, motif.comment) if len(rows) else None
