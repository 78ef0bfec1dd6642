"""Kernels of the truth: how well each place binds, and how likely a bin is positive."""

from __future__ import annotations

import math

import numpy as np

from danq._jit import kernel

FLOOR = 0.01
"""An affinity below this is none."""
PALE = math.log(FLOOR / (1 - FLOOR))


@kernel
def affinities(codes, scores, widths, thresholds, temperature, out):
    """Fill ``out`` (M, 2, L) with each motif's affinity for each place and strand.

    The affinity is ``sigmoid((score - threshold) / temperature)``, 0 below ``FLOOR``, where a
    base is unknown, and where the motif would leave the sequence. Places are the 0-based
    leftmost base of a match.

    Parameters
    ----------
    codes
        ``(L,)`` uint8.
    scores
        ``(M, W, 4)`` log odds in bits; rows from a motif's width on do not matter.
    widths, thresholds
        ``(M,)`` bases and bits.
    temperature
        Bits.
    """
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
            if x >= PALE:
                out[m, 0, at] = 1 / (1 + math.exp(-x))
            x = (reverse - thresholds[m]) / temperature
            if x >= PALE:
                out[m, 1, at] = 1 / (1 + math.exp(-x))


@kernel
def _at(affinity, m, at):
    """Affinity of a place on its better strand; 0 outside the sequence."""
    if at < 0 or at >= affinity.shape[2]:
        return 0.0
    return max(affinity[m, 0, at], affinity[m, 1, at])


@kernel
def bound(affinity, widths, rules, occupancy, out):
    """Fill ``out`` (K, L) with the probability of a peak for a site at each place.

    A site's probability is ``occupancy * anchor * (1 - no partner) * no blocker``; "no
    partner" and "no blocker" are products of ``1 - affinity`` over the places where one may
    stand. Of a site's two strands the better one counts.

    Parameters
    ----------
    affinity
        ``(M, 2, L)`` of :func:`affinities`.
    widths
        ``(M,)``.
    rules
        ``(K, 7)``: anchor, partner or -1, least gap, most gap, side (0 either, 1 downstream,
        2 upstream), blocker or -1, reach.
    occupancy
        ``(K,)``.
    """
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
def positive_probability(
    codes, scores, widths, thresholds, temperature, rules, occupancy, cover, noise, out
):
    """Fill ``out`` (B, K) with the probability that the middle bin of each window is positive.

    Parameters
    ----------
    codes
        ``(B, L)`` windows, the bin's centre at index L // 2.
    cover
        ``(2 D + 1,)`` probability that a peak covers enough of the bin, by the distance of its
        site's centre from the bin's, -D to D.
    noise
        Probability that noise alone makes a bin positive.

    The other parameters are those of :func:`affinities` and :func:`bound`.
    """
    length = codes.shape[1]
    tracks = rules.shape[0]
    affinity = np.zeros((widths.size, 2, length), dtype=np.float32)
    chance = np.zeros((tracks, length), dtype=np.float32)
    far = cover.size // 2
    for b in range(codes.shape[0]):
        affinities(codes[b], scores, widths, thresholds, temperature, affinity)
        bound(affinity, widths, rules, occupancy, chance)
        for k in range(tracks):
            none = 1 - noise
            half = widths[rules[k, 0]] // 2
            first = max(0, length // 2 - far - half)
            last = min(length - 1, length // 2 + far - half)
            for at in range(first, last + 1):
                if chance[k, at] > 0:
                    none *= 1 - chance[k, at] * cover[at + half - length // 2 + far]
            out[b, k] = 1 - none


def _plain_bound(affinity, widths, rules, occupancy):
    """Twin of :func:`bound` that lists the places of partners and blockers site by site."""
    out = np.zeros((len(rules), affinity.shape[2]))
    best = affinity.max(axis=1)

    def none_at(m, places):
        inside = [at for at in places if 0 <= at < affinity.shape[2]]
        return float(np.prod(1 - best[m, inside]))

    for k, (anchor, partner, least, most, side, blocker, reach) in enumerate(rules):
        for strand, at in zip(*np.nonzero(affinity[anchor]), strict=True):
            chance = affinity[anchor, strand, at] * occupancy[k]
            gaps = range(least, most + 1)
            right = [at + widths[anchor] + gap for gap in gaps]
            left = [at - widths[partner] - gap for gap in gaps]
            downstream, upstream = (right, left) if strand == 0 else (left, right)
            places = (downstream + upstream, downstream, upstream)[side]
            if partner >= 0:
                chance *= 1 - none_at(partner, places)
            if blocker >= 0:
                chance *= none_at(
                    blocker, range(at - reach - widths[blocker], at + widths[anchor] + reach + 1)
                )
            out[k, at] = max(out[k, at], chance)
    return out
