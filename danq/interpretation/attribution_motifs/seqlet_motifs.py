"""Motifs of seqlets: short sequences whose bases contribute much to predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from danq._kernel_cache import store_kernels_of
from danq.errors import InputError, needs_package
from danq.genome.motif_matrix import Motif
from danq.genome.nucleotide_codes import N
from danq.interpretation.attribution.attributions import Attributions

SEQLET, FLANK = 21, 10
"""Bases of a seqlet's centre, and of its flanks on each side."""

MIN_SEQLETS = 100
"""Seqlets of one sign are compared with each other if there are more than these."""

MIN_SHARE = 0.3
"""The ends of a motif at which bases contribute less than this share of the maximum are removed."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class SeqletMotif:
    """A motif of contributions.

    Attributes
    ----------
    contributions
        ``(W, 4)`` mean contributions of A, C, G and T over the seqlets: the contribution of the
        base that is there, and 0 for the others (contribution weight matrix).
    hypothetical
        ``(W, 4)`` mean hypothetical contributions over the seqlets.
    motif
        Base frequencies of the seqlets, and their number.
    sequence
        ``(M,)`` number of the sequence of each seqlet.
    start
        ``(M,)`` first position of the motif in the sequence; negative, or too close to the end,
        where a seqlet extends beyond it.
    reverse
        ``(M,)`` whether the seqlet's reverse complement has the motif.
    """

    contributions: Float64[np.ndarray, "W 4"]
    hypothetical: Float64[np.ndarray, "W 4"]
    motif: Motif
    sequence: Int64[np.ndarray, " M"]
    start: Int64[np.ndarray, " M"]
    reverse: Bool[np.ndarray, " M"]

    @property
    def sign(self) -> int:
        """1 for contributions that raise predictions, -1 for those that lower them."""
        return 1 if self.contributions.sum() > 0 else -1


@dataclass(frozen=True, eq=False)
class SeqletMotifs:
    """Motifs, and the numbers of seqlets with contributions above and below 0."""

    motifs: tuple[SeqletMotif, ...]
    positive: int
    negative: int


def find_seqlet_motifs(attributions: Attributions, track: str) -> SeqletMotifs:
    """Collect seqlets and compare them with each other by TF-MoDISco.

    Shorter sequences are padded on both sides, to the length of the longest one, with positions
    that contribute nothing. Bases N also contribute nothing. Random steps of modisco-lite have
    fixed random seeds.

    Parameters
    ----------
    attributions
        Contributions of sequences.
    track
        Name of the track.

    Raises
    ------
    MissingPackage
        When modisco-lite is not installed.
    InputError
        When the sequences are too short, no base contributes anything, or there are too few
        seqlets.

    Notes
    -----
    Shrikumar et al., arXiv:1811.00416 (2018). modisco-lite selects windows of 21 bases whose total
    contribution is larger than expected from a Laplace distribution (false discovery rate 0.2, and
    between 3 and 20 % of all windows), and clusters at most 20,000 seqlets of each sign.
    """
    check_modisco()
    from modiscolite.tfmodisco import TFMoDISco

    # It would compile its kernels in every process, for half a minute.
    store_kernels_of("modiscolite")
    one_hot, hypothetical, before = _padded(attributions, track)
    positive, negative = _seqlets(one_hot, hypothetical)
    if max(positive, negative) <= MIN_SEQLETS:
        raise InputError(
            f"{len(attributions):,} sequences have {positive:,} seqlets that raise predictions and "
            f"{negative:,} that lower them for the track '{track}'; motifs need more than "
            f"{MIN_SEQLETS} of one sign",
            remedy="Compute the attributions of more sequences",
        )
    found = TFMoDISco(one_hot, hypothetical, min_metacluster_size=MIN_SEQLETS)
    patterns = [
        (f"{name}_{number}", pattern)
        for name, group in zip(("positive", "negative"), found, strict=True)
        for number, pattern in enumerate(group or ())
    ]
    motifs = tuple(_motif(name, pattern, before) for name, pattern in patterns)
    return SeqletMotifs(motifs, positive, negative)


def check_modisco() -> None:
    """Check that modisco-lite is installed.

    Raises
    ------
    MissingPackage
        When it is not.
    """
    with needs_package("motifs of attributions require the package modisco-lite", "interpret"):
        import modiscolite  # noqa: F401


def _padded(
    attributions: Attributions, track: str
) -> tuple[Float32[np.ndarray, "S L 4"], Float32[np.ndarray, "S L 4"], Int64[np.ndarray, " S"]]:
    """Bases and hypothetical contributions of equal lengths, and the padding before each sequence.

    Raises
    ------
    InputError
        When the sequences are too short, or no base contributes anything.
    """
    sizes = np.bincount(attributions.sequence, minlength=len(attributions))
    longest = int(sizes.max(initial=0))
    if longest < SEQLET + 2 * FLANK:
        raise InputError(
            f"the longest of {len(sizes):,} sequences has {longest:,} bases, a seqlet has "
            f"{SEQLET + 2 * FLANK}",
            remedy="Compute the attributions of longer sequences",
        )
    if len(np.unique(sizes)) > 1:
        log.info(
            "%d of %d sequences are shorter than %d bases, and are padded on both sides",
            int((sizes < longest).sum()),
            len(sizes),
            longest,
        )
    before = (longest - sizes) // 2
    first = np.cumsum(sizes) - sizes
    column = np.arange(len(attributions.base)) - np.repeat(first - before, sizes)
    known = attributions.base != N
    row, column = attributions.sequence[known], column[known]
    one_hot = np.zeros((len(sizes), longest, 4), np.float32)
    one_hot[row, column, attributions.base[known]] = 1
    hypothetical = np.zeros_like(one_hot)
    values = attributions.hypothetical[known, :, attributions.tracks.index(track)]
    hypothetical[row, column] = values
    if not (one_hot * hypothetical).any():
        raise InputError(f"no base contributes anything to the track '{track}'")
    return one_hot, hypothetical, before


def _seqlets(one_hot: np.ndarray, hypothetical: np.ndarray) -> tuple[int, int]:
    """Numbers of seqlets with contributions above and below 0, as modisco-lite selects them."""
    from modiscolite.extract_seqlets import extract_seqlets

    scores = (one_hot * hypothetical).sum(axis=2)
    seqlets, threshold = extract_seqlets(
        attribution_scores=scores,
        window_size=SEQLET,
        flank=FLANK,
        suppress=SEQLET // 2 + FLANK,
        target_fdr=0.2,
        min_passing_windows_frac=0.03,
        max_passing_windows_frac=0.2,
        weak_threshold_for_counting_sign=0.8,
    )
    totals = np.array(
        [scores[one.example_idx, one.start + FLANK : one.end - FLANK].sum() for one in seqlets]
    )
    return int((totals > threshold).sum()), int((totals < -threshold).sum())


def _motif(name: str, pattern: Any, before: Int64[np.ndarray, " S"]) -> SeqletMotif:
    """A pattern of modisco-lite without the ends that contribute little."""
    contributions = np.asarray(pattern.contrib_scores, np.float64)
    height = np.abs(contributions).sum(axis=1)
    high = np.flatnonzero(height >= MIN_SHARE * height.max())
    low, stop = int(high[0]), int(high[-1]) + 1
    frequencies = np.asarray(pattern.sequence, np.float64)[low:stop]
    sums = frequencies.sum(axis=1, keepdims=True)
    frequencies = np.where(sums > 0, frequencies / np.where(sums > 0, sums, 1), 0.25)
    seqlets = list(pattern.seqlets)
    reverse = np.array([bool(one.is_revcomp) for one in seqlets])
    sequence = _integers(one.example_idx for one in seqlets)
    start = _integers(one.start for one in seqlets) + low
    end = _integers(one.end for one in seqlets) - stop
    return SeqletMotif(
        contributions[low:stop],
        np.asarray(pattern.hypothetical_contribs, np.float64)[low:stop],
        Motif(name, frequencies, len(seqlets)),
        sequence,
        np.where(reverse, end, start) - before[sequence],
        reverse,
    )


def _integers(values: Iterable[int]) -> Int64[np.ndarray, " M"]:
    return np.fromiter(values, np.int64)
