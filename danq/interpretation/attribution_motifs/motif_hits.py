"""Hits: the sites at which bases contribute as in a motif."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Float32, Float64, Int64, UInt8

from danq.genome.nucleotide_codes import N
from danq.interpretation.attribution.attributions import Attributions
from danq.interpretation.attribution_motifs import _hit_kernels as kernels
from danq.interpretation.attribution_motifs.seqlet_motifs import SeqletMotif

SHARE = 0.95
"""Share of a motif's seqlets whose similarity and contribution a hit has at least."""


def find_hits(
    attributions: Attributions, track: str, motifs: Sequence[SeqletMotif]
) -> pl.DataFrame:
    """Scan all sequences for the motifs.

    The similarity of a window with a motif is the cosine of the angle between the contributions of
    its bases and those of the motif, both ``(W, 4)``. It falls with each base that the motif does
    not have, and with each base that does not contribute. A hit has a similarity of at least that
    of 95 % of the motif's seqlets, and also a contribution (the sum over its bases) of at least
    that of 95 % of them. Of hits that overlap, of any motif, strand and sequence, the one with the
    largest product of similarity and length of the window's contributions is kept, which is the
    projection of these on those of the motif.

    Parameters
    ----------
    attributions
        Contributions of sequences.
    track
        Name of the track.
    motifs
        The motifs.

    Returns
    -------
    polars.DataFrame
        One row per hit, in the order of the sequences: ``chrom`` or ``name``, ``start``, ``end``
        (0-based, half-open), ``motif``, ``strand``, ``similarity`` and ``contribution`` (in the
        unit of the attributions), and ``sequence``, the number of the sequence from 0.
    """
    known = attributions.base != N
    base = attributions.base
    contribution = np.where(known, attributions.track(track), 0).astype(np.float32)
    sizes = np.bincount(attributions.sequence, minlength=len(attributions))
    first = np.concatenate([[0], np.cumsum(sizes)])
    parts = [_scanned(base, contribution, first, one) for one in motifs]
    found = np.concatenate([np.empty((0, 5)), *parts])
    number = np.repeat(np.arange(len(motifs)), [len(part) for part in parts])
    start, reverse = found[:, 0].astype(np.int64), found[:, 1].astype(np.int64)
    widths = np.array([one.motif.width for one in motifs], np.int64)[number]
    order = np.lexsort((reverse, number, start, -found[:, 4]))
    place, places = _places(attributions)
    kept = np.zeros(len(found), bool)
    taken = np.zeros(places, bool)
    kernels.without_overlaps(order, start, widths, place, taken, kept)
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(start[rows], kind="stable")]
    at = attributions.position[start[rows]]
    sequence = attributions.sequence[start[rows]]
    return pl.DataFrame(
        {
            attributions.key: attributions.sequences[attributions.key].gather(sequence),
            "start": at,
            "end": at + widths[rows],
            "motif": [motifs[index].motif.name for index in number[rows]],
            "strand": np.where(reverse[rows] == 1, "-", "+"),
            "similarity": found[rows, 2],
            "contribution": found[rows, 3],
            "sequence": sequence.astype(np.int64),
        },
        schema_overrides={attributions.key: pl.String, "motif": pl.String, "strand": pl.String},
    )


def _scanned(
    base: UInt8[np.ndarray, " N"],
    contribution: Float32[np.ndarray, " N"],
    first: Int64[np.ndarray, " S+1"],
    motif: SeqletMotif,
) -> Float64[np.ndarray, "H 5"]:
    """Windows that are like the seqlets of a motif."""
    matrix = np.pad(motif.contributions, ((0, 0), (0, 1)))
    norm = float(np.linalg.norm(matrix))
    low = first[motif.sequence] + motif.start
    inside = (motif.start >= 0) & (low + len(matrix) <= first[motif.sequence + 1])
    starts, reverse = low[inside], motif.reverse[inside]
    similarity, total = np.empty(len(starts)), np.empty(len(starts))
    kernels.score_windows(base, contribution, starts, reverse, matrix, norm, similarity, total)
    if not len(starts):
        return np.empty((0, 5))
    limits = [_exceeded(similarity), _exceeded(motif.sign * total)]
    given = matrix, norm, limits[0], limits[1], float(motif.sign)
    count = np.zeros(len(first) - 1, np.int64)
    kernels.scan(base, contribution, first, given, count, np.empty((0, 5)))
    found = np.empty((int(count.sum()), 5))
    if len(found):
        kernels.scan(base, contribution, first, given, np.cumsum(count) - count, found)
    return found


def _exceeded(values: Float64[np.ndarray, " M"]) -> float:
    """The largest of the values that at least `SHARE` of them reach."""
    return float(np.sort(values)[int((1 - SHARE) * len(values))])


def _places(attributions: Attributions) -> tuple[Int64[np.ndarray, " N"], int]:
    """Number of the genome's base at each base, equal where sequences overlap, and of all."""
    _, contig = np.unique(attributions.sequences[attributions.key].to_numpy(), return_inverse=True)
    longest = int(attributions.position.max(initial=0)) + 1
    where = contig[attributions.sequence].astype(np.int64) * longest + attributions.position
    unique, place = np.unique(where, return_inverse=True)
    return place.astype(np.int64), len(unique)
