"""The true model: probability of a positive bin from its sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64

from danq.errors import InputError
from danq.genome.motif_matrix import Motif
from danq.simulation.binding_kernels import Binding, affinities, bound, positive_probability
from danq.simulation.binding_rules import Rule
from danq.simulation.factor_catalogue import LOOKALIKES, RULES, motif
from danq.simulation.peak_shape import PeakShape
from danq.track_names import select_tracks
from danq.typing import CodeBatch, Codes

DRAWS = 4000
PASSING = 0.75
"""Fraction of a motif's own sites whose score reaches its threshold."""


@dataclass(frozen=True, eq=False)
class BindingModel:
    """Binding of each factor to a sequence, and the resulting peaks.

    Attributes
    ----------
    motifs
        Motifs of all rules, and lookalikes that no rule needs.
    thresholds
        ``(M,)`` score in bits at which a motif's affinity is one half.
    rules
        One rule per track, K in all.
    peaks
        Shapes of peaks.
    background
        ``(4,)`` background frequencies of motif scores.
    temperature
        Bits of score that change the odds of binding by a factor of e.
    window, bin
        Bases of windows, and of the bins in their middle whose probability is computed.
    min_overlap
        Fraction of a bin that peaks must cover for it to be positive.
    """

    motifs: tuple[Motif, ...]
    thresholds: Float64[np.ndarray, "M"]
    rules: tuple[Rule, ...]
    peaks: PeakShape = field(default_factory=PeakShape)
    background: tuple[float, ...] = (0.29, 0.21, 0.21, 0.29)
    temperature: float = 1.0
    window: int = 500
    bin: int = 200
    min_overlap: float = 0.5

    @classmethod
    def of_tracks(cls, tracks: Sequence[str] | None = None) -> BindingModel:
        """The model of some tracks of the catalogue, in the catalogue's order.

        Raises
        ------
        InputError
            When the catalogue has no such track, one is repeated, or there is none.
        """
        known = [rule.track for rule in RULES]
        selected = range(len(known))
        if tracks is not None:
            selected = select_tracks(tracks, known, owner="the simulation")
        rules = tuple(RULES[number] for number in sorted(selected))
        names = sorted({*LOOKALIKES, *(name for rule in rules for name in rule.motifs)})
        motifs = tuple(motif(name) for name in names)
        empty = cls(motifs, np.zeros(len(motifs)), rules)
        # The seed is fixed, so that thresholds do not depend on the genome.
        rng = np.random.default_rng(0)
        levels = [
            np.quantile(empty.score(m, empty.draw_sites(m, DRAWS, rng)), 1 - PASSING)
            for m in range(len(motifs))
        ]
        return cls(motifs, np.round(levels, 3), rules)

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks, K."""
        return tuple(rule.track for rule in self.rules)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the motifs, M."""
        return tuple(one.name for one in self.motifs)

    @cached_property
    def noise(self) -> float:
        """Probability that noise peaks make a bin positive."""
        return float(-np.expm1(-self.peaks.noise * 1e-6 * self.cover.sum()))

    @cached_property
    def cover(self) -> Float64[np.ndarray, "D"]:
        """As :meth:`PeakShape.cover`, for this model's bins."""
        return self.peaks.cover(self.bin, self.min_overlap)

    def draw_sites(self, number: int, count: int, rng: np.random.Generator) -> CodeBatch:
        """Sequences ``(count, W)`` drawn from the frequencies of motif ``number``."""
        steps = self.motifs[number].probabilities.cumsum(axis=1)
        draws = rng.random((count, len(steps), 1))
        return (draws >= steps[None, :, :3]).sum(axis=2).astype(np.uint8)

    def score(self, number: int, sites: CodeBatch) -> Float64[np.ndarray, "B"]:
        """Score in bits of sites of motif ``number``, on the forward strand."""
        table = self.scores[number]
        return table[np.arange(sites.shape[1]), sites].sum(axis=1)

    def affinity(self, number: int, sites: CodeBatch) -> Float64[np.ndarray, "B"]:
        """Affinity, 0 to 1, of sites of motif ``number``, on the forward strand."""
        excess = (self.score(number, sites) - self.thresholds[number]) / self.temperature
        return 1 / (1 + np.exp(-excess))

    def site_probability(self, codes: Codes) -> Float32[np.ndarray, "K L"]:
        """Probability of a peak for a site at each position of one sequence.

        Parameters
        ----------
        codes
            ``(L,)`` uint8.

        Returns
        -------
        ndarray
            ``(K, L)``; the position of a site is the leftmost base of the anchor's match, 0-based.
        """
        affinity = np.zeros((len(self.motifs), 2, codes.size), dtype=np.float32)
        out = np.zeros((len(self.rules), codes.size), dtype=np.float32)
        affinities(codes, self.binding, affinity)
        bound(affinity, self.binding, out)
        return out

    def probability(self, codes: CodeBatch) -> Float64[np.ndarray, "B K"]:
        """Probability that the bin in the middle of each window is positive.

        It depends only on the sequence of the window. Peaks of bound sites and noise peaks are
        independent; two peaks that cover enough of a bin only together are neglected.

        Parameters
        ----------
        codes
            ``(B, L)`` uint8, the bin's centre at index ``L // 2``. With L of ``window`` or
            more, no base outside the window has an effect.

        Raises
        ------
        InputError
            When ``codes`` is not ``(B, L)`` with L of at least ``bin``.
        """
        codes = np.ascontiguousarray(codes, dtype=np.uint8)
        if codes.ndim != 2 or codes.shape[1] < self.bin:
            raise InputError(
                f"codes of shape {codes.shape} are not windows (B, L) of at least {self.bin} bases"
            )
        out = np.empty((len(codes), len(self.rules)), dtype=np.float64)
        positive_probability(codes, self.binding, self.cover, self.noise, out)
        return out

    @cached_property
    def scores(self) -> Float64[np.ndarray, "M W 4"]:
        """Log odds of all motifs in bits, padded with 0."""
        out = np.zeros((len(self.motifs), max(one.width for one in self.motifs), 4))
        for table, one in zip(out, self.motifs, strict=True):
            table[: one.width] = one.log_odds(self.background)
        return out

    @cached_property
    def binding(self) -> Binding:
        """Motifs and rules, as the kernels take them."""
        return Binding(
            scores=self.scores,
            widths=np.array([one.width for one in self.motifs], dtype=np.int64),
            thresholds=self.thresholds,
            temperature=float(self.temperature),
            rules=np.stack([rule.row(self.names) for rule in self.rules]),
            occupancy=np.array([rule.occupancy for rule in self.rules]),
        )
