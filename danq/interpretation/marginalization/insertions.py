"""Effects of inserting motifs into background sequences, at given positions and strands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.genome.motif_choice import best_bases
from danq.genome.motif_matrix import Motif
from danq.genome.nucleotide_codes import N, reverse_complement
from danq.inference.mutagenesis.effects import EffectScorer, Substitutions
from danq.typing import CodeBatch, Codes


class Placement(NamedTuple):
    """One inserted motif.

    Attributes
    ----------
    motif
        Index of the motif.
    strand
        "+" or "-".
    start
        Position of its leftmost base in the window.
    """

    motif: int
    strand: str
    start: int


Arrangement = tuple[Placement, ...]
"""Motifs that are inserted together, without overlap."""


class Moments:
    """Means and standard deviations of arrays that are added one after the other.

    Notes
    -----
    Chan, Golub & LeVeque, The American Statistician 37:242 (1983).
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Float64[np.ndarray, "..."] = np.zeros(())
        self._squares: Float64[np.ndarray, "..."] = np.zeros(())

    def add(self, values: Float32[np.ndarray, "B ..."]) -> None:
        """Add values, the first axis being that of the repeats."""
        own = values.mean(axis=0, dtype=np.float64)
        squares = ((values - own) ** 2).sum(axis=0, dtype=np.float64)
        total = self.count + len(values)
        change = own - self.mean
        self._squares = self._squares + squares + change**2 * self.count * len(values) / total
        self.mean = self.mean + change * len(values) / total
        self.count = total

    @property
    def deviation(self) -> Float64[np.ndarray, "..."]:
        """Sample standard deviation; NaN for one value."""
        if self.count < 2:
            return np.full(np.shape(self._squares), np.nan)
        return np.sqrt(self._squares / (self.count - 1))

    @property
    def error(self) -> Float64[np.ndarray, "..."]:
        """Standard error of the mean."""
        return self.deviation / np.sqrt(max(1, self.count))


def drawn_sites(motif: Motif, count: int, rng: np.random.Generator) -> CodeBatch:
    """Bases to insert for a motif, for each of ``count`` backgrounds.

    Parameters
    ----------
    motif
        The most frequent base of each position is inserted. Of equally frequent ones, one is drawn
        for each background; where all four are, the base of the background stays.
    count
        Number of backgrounds.
    rng
        Random number generator.

    Returns
    -------
    CodeBatch
        ``(count, W)`` codes; N where the base of the background stays.
    """
    best = best_bases(motif)
    weights = best / best.sum(axis=1, keepdims=True)
    steps = weights.cumsum(axis=1)[None, :, :3]
    sites = (rng.random((count, motif.width, 1)) >= steps).sum(axis=2).astype(np.uint8)
    sites[:, best.all(axis=1)] = N
    return sites


class Inserter:
    """Inserts motifs into backgrounds and scores them.

    Parameters
    ----------
    scorer
        Models, tracks and effect.
    codes
        ``(N, L)`` backgrounds.
    motifs
        Motifs to insert.
    seed
        Random seed of the bases where a motif has several best ones.

    Attributes
    ----------
    length
        Bases of a background, L.
    widths
        Bases of each motif.

    Raises
    ------
    InputError
        When a motif is longer than the window.
    """

    def __init__(
        self, scorer: EffectScorer, codes: CodeBatch, motifs: Sequence[Motif], seed: int
    ) -> None:
        self.length = codes.shape[1]
        self.widths = [motif.width for motif in motifs]
        for motif in motifs:
            if motif.width > self.length:
                raise InputError(
                    f"motif '{motif.name}' has {motif.width:,} positions, more than the window of "
                    f"{self.length:,} bases",
                    remedy="Give a shorter motif",
                )
        self._scorer, self._codes = scorer, codes
        self._sites = [
            drawn_sites(motif, len(codes), np.random.default_rng([seed, number]))
            for number, motif in enumerate(motifs)
        ]

    def centred(self, motif: int) -> int:
        """Start of a motif in the middle of the window."""
        return (self.length - self.widths[motif]) // 2

    def effects(
        self, arrangements: Sequence[Arrangement]
    ) -> Iterator[tuple[Float32[np.ndarray, "B D P"], Float32[np.ndarray, "B P"]]]:
        """Effects of arrangements on all tracks, some backgrounds at a time.

        Parameters
        ----------
        arrangements
            ``D`` of them, each inserted into every background.

        Yields
        ------
        effects, predictions
            ``(B, D, P)`` of the next backgrounds, and ``(B, P)`` predictions without a motif.
        """
        each = max(1, self._scorer.block // len(arrangements))
        for start in range(0, len(self._codes), each):
            codes = self._codes[start : start + each]
            sites = [one[start : start + each] for one in self._sites]
            values, predictions = self._scorer.score(codes, inserted(codes, sites, arrangements))
            yield values.mean.reshape(len(codes), len(arrangements), -1), predictions


def inserted(
    codes: CodeBatch, sites: Sequence[CodeBatch], arrangements: Sequence[Arrangement]
) -> Substitutions:
    """Substitutions that insert every arrangement into every background.

    Parameters
    ----------
    codes
        ``(B, L)`` backgrounds.
    sites
        ``(B, W)`` bases of each motif on its own strand; N where the base of the background stays.
    arrangements
        ``D`` of them.

    Returns
    -------
    Substitutions
        ``B * D``, sorted by background, then by arrangement.
    """
    widest = max(sum(sites[one.motif].shape[1] for one in some) for some in arrangements)
    shape = (len(codes), len(arrangements), widest)
    position, base = np.empty(shape, np.int64), np.empty(shape, np.uint8)
    for number, arrangement in enumerate(arrangements):
        end = 0
        for one in arrangement:
            written: Codes = sites[one.motif]
            written = written if one.strand == "+" else reverse_complement(written)
            covered = slice(one.start, one.start + written.shape[1])
            part = slice(end, end + written.shape[1])
            position[:, number, part] = np.arange(covered.start, covered.stop)
            base[:, number, part] = np.where(written == N, codes[:, covered], written)
            end = part.stop
        # All rows have the same length: a shorter one repeats its last base.
        position[:, number, end:] = position[:, number, end - 1 : end]
        base[:, number, end:] = base[:, number, end - 1 : end]
    rows = len(codes) * len(arrangements)
    owner = np.repeat(np.arange(len(codes)), len(arrangements))
    return Substitutions(owner, position.reshape(rows, -1), base.reshape(rows, -1))
