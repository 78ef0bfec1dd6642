"""Instances of a motif in sequences: matches whose score random bases rarely reach."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from danq.genome.motif_matrix import UNIFORM, Motif, scan
from danq.typing import CodeBatch

P_VALUE = 1e-4
"""Probability that random bases at one position of one strand score at least as high."""

STEP = 0.01
"""Bits to which scores are rounded for their distribution."""

_ROUNDING = 1e-3
"""Bits by which sums of scores in float32 may be rounded down."""


def match_threshold(motif: Motif, p_value: float = P_VALUE) -> float:
    """Smallest score in bits of a match: random bases reach it with at most a probability.

    The bases are equally frequent and independent. For a motif so short that its best score is
    more probable, the threshold is that score.

    Parameters
    ----------
    motif
        The motif; scores are those of `Motif.log_odds`.
    p_value
        The probability, for one position of one strand.

    Notes
    -----
    The distribution of scores is computed by dynamic programming, as in FIMO (Grant, Bailey &
    Noble, Bioinformatics 27:1017, 2011).
    """
    table = motif.log_odds()
    smallest = table.min(axis=1)
    steps = np.rint((table - smallest[:, None]) / STEP).astype(np.int64)
    chance = np.ones(1)
    for row in steps:
        longer = np.zeros(len(chance) + int(row.max()))
        for step, frequency in zip(row, UNIFORM, strict=True):
            longer[step : step + len(chance)] += frequency * chance
        chance = longer
    at_least = np.cumsum(chance[::-1])[::-1]
    rare = np.flatnonzero(at_least <= p_value)
    best = float(table.max(axis=1).sum())
    if not rare.size:
        return best
    return min(best, float(smallest.sum()) + STEP * int(rare[0]))


def find_instances(codes: CodeBatch, motif: Motif) -> Bool[np.ndarray, "B L"]:
    """Bases of sequences that belong to a match of a motif on either strand.

    Parameters
    ----------
    codes
        ``(B, L)`` sequences; A 0, C 1, G 2, T 3, N 4.
    motif
        The motif.
    """
    matches = scan(codes, motif.log_odds()) >= match_threshold(motif) - _ROUNDING
    inside = np.zeros(codes.shape, dtype=np.bool_)
    for offset in range(motif.width if matches.shape[1] else 0):
        inside[:, offset : offset + matches.shape[1]] |= matches
    return inside


def count_instances(inside: Bool[np.ndarray, "B L"]) -> int:
    """Number of intervals of bases in `find_instances`; matches that overlap count once."""
    before = np.pad(inside, ((0, 0), (1, 0)))[:, :-1]
    return int((inside & ~before).sum())
