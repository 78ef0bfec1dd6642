"""Kernels of the true model: affinity at each position, and probability of a positive bin."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from danq._jit import kernel

FLOOR = 0.01
"""Affinities below this are set to 0."""
FLOOR_LOGIT = math.log(FLOOR / (1 - FLOOR))


class Binding(NamedTuple):
    """The M motifs and K rules of a model, as the kernels take them.

    Attributes
    ----------
    scores
        ``(M, W, 4)`` log odds in bits; rows beyond a motif's width are not read.
    widths, thresholds
        ``(M,)`` bases and bits.
    temperature
        Bits.
    rules
        ``(K, 7)``: anchor, partner or -1, smallest gap, largest gap, side (0 either, 1
        downstream, 2 upstream), blocker or -1, reach.
    occupancy
        ``(K,)`` probability of a peak at a perfect site.
    """

    scores: Float64[np.ndarray, "M W 4"]
    widths: Int64[np.ndarray, "M"]
    thresholds: Float64[np.ndarray, "M"]
    temperature: float
    rules: Int64[np.ndarray, "K 7"]
    occupancy: Float64[np.ndarray, "K"]


@kernel
def affinities(codes, binding, out):
    """Fill ``out`` (M, 2, L) with each motif's affinity at each position and strand.

    The affinity is ``sigmoid((score - threshold) / temperature)``. It is 0 below ``FLOOR``, where
    a base is unknown, and where the motif would extend past the sequence. The position of a
    match is that of its leftmost base, 0-based.

    Parameters
    ----------
    codes
        ``(L,)`` uint8.
    binding
        Motifs and rules.
    """
    scores, widths, thresholds = binding.scores, binding.widths, binding.thresholds
    temperature = binding.temperature
    length = codes.size
    out[:] = 0
    for m in range(widths.size):
        width = widths[m]
        for at in range(length - width + 1):
            forward = 0.0
            reverse = 0.0
            for i in range(width):
                code = codes[at + i]
                if code > 3:
                    forward = reverse = -np.inf
                    break
                forward += scores[m, i, code]
                reverse += scores[m, width - 1 - i, 3 - code]
            x = (forward - thresholds[m]) / temperature
            if x >= FLOOR_LOGIT:
                out[m, 0, at] = 1 / (1 + math.exp(-x))
            x = (reverse - thresholds[m]) / temperature
            if x >= FLOOR_LOGIT:
                out[m, 1, at] = 1 / (1 + math.exp(-x))


@kernel
def _at(affinity, m, at):
    """Larger affinity of both strands at a position; 0 outside the sequence."""
    if at < 0 or at >= affinity.shape[2]:
        return 0.0
    return max(affinity[m, 0, at], affinity[m, 1, at])


@kernel
def bound(affinity, binding, out):
    """Fill ``out`` (K, L) with the probability of a peak for a site at each position.

    A site's probability is ``occupancy * anchor * (1 - no partner) * no blocker``. "No
    partner" and "no blocker" are products of ``1 - affinity`` over the positions that the rule
    allows. The larger probability of both strands is kept.

    Parameters
    ----------
    affinity
        ``(M, 2, L)`` from :func:`affinities`.
    binding
        Motifs and rules.
    """
    widths, rules, occupancy = binding.widths, binding.rules, binding.occupancy
    out[:] = 0
    for k in range(rules.shape[0]):
        anchor, partner, least, most, side, blocker, reach = rules[k]
        width = widths[anchor]
        for at in range(affinity.shape[2]):
            for strand in range(2):
                chance = affinity[anchor, strand, at] * occupancy[k]
                if chance == 0:
                    continue
                if partner >= 0:
                    alone = 1.0
                    for gap in range(least, most + 1):
                        if side == 0 or (side == 1) == (strand == 0):
                            alone *= 1 - _at(affinity, partner, at + width + gap)
                        if side == 0 or (side == 1) == (strand == 1):
                            alone *= 1 - _at(affinity, partner, at - gap - widths[partner])
                    chance *= 1 - alone
                if blocker >= 0:
                    for other in range(at - reach - widths[blocker], at + width + reach + 1):
                        chance *= 1 - _at(affinity, blocker, other)
                out[k, at] = max(out[k, at], chance)


@kernel
def positive_probability(codes, binding, cover, noise, out):
    """Fill ``out`` (B, K) with the probability that the middle bin of each window is positive.

    Parameters
    ----------
    codes
        ``(B, L)`` windows, the bin's centre at index L // 2.
    binding
        Motifs and rules.
    cover
        ``(2 D + 1,)`` probability that a peak covers enough of the bin, by the distance of its
        site's centre from the bin's, -D to D.
    noise
        Probability that noise alone makes a bin positive.
    """
    widths, rules = binding.widths, binding.rules
    length = codes.shape[1]
    tracks = rules.shape[0]
    affinity = np.zeros((widths.size, 2, length), dtype=np.float32)
    chance = np.zeros((tracks, length), dtype=np.float32)
    far = cover.size // 2
    for b in range(codes.shape[0]):
        affinities(codes[b], binding, affinity)
        bound(affinity, binding, chance)
        for k in range(tracks):
            none = 1 - noise
            half = widths[rules[k, 0]] // 2
            first = max(0, length // 2 - far - half)
            last = min(length - 1, length // 2 + far - half)
            for at in range(first, last + 1):
                if chance[k, at] > 0:
                    none *= 1 - chance[k, at] * cover[at + half - length // 2 + far]
            out[b, k] = 1 - none


def _plain_bound(affinity, binding):
    """Plain twin of :func:`bound` that lists the positions of partners and blockers."""
    widths, rules, occupancy = binding.widths, binding.rules, binding.occupancy
    out = np.zeros((len(rules), affinity.shape[2]))
    best = affinity.max(axis=1)

    def none_at(m, positions):
        inside = [at for at in positions if 0 <= at < affinity.shape[2]]
        return float(np.prod(1 - best[m, inside]))

    for k, (anchor, partner, least, most, side, blocker, reach) in enumerate(rules):
        for strand, at in zip(*np.nonzero(affinity[anchor]), strict=True):
            chance = affinity[anchor, strand, at] * occupancy[k]
            gaps = range(least, most + 1)
            right = [at + widths[anchor] + gap for gap in gaps]
            left = [at - widths[partner] - gap for gap in gaps]
            downstream, upstream = (right, left) if strand == 0 else (left, right)
            positions = (downstream + upstream, downstream, upstream)[side]
            if partner >= 0:
                chance *= 1 - none_at(partner, positions)
            if blocker >= 0:
                chance *= none_at(
                    blocker, range(at - reach - widths[blocker], at + widths[anchor] + reach + 1)
                )
            out[k, at] = max(out[k, at], chance)
    return out
