"""Effects of substitutions on predictions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt8

from danq.genome.nucleotide_codes import N, reverse_complement
from danq.inference.engine.incremental import Incremental
from danq.inference.engine.whole_windows import evaluates_whole_windows
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.effect_kinds import BITS, Effect, effect_for
from danq.inference.mutagenesis.targets import Span, TargetWindow, read_windows
from danq.inference.mutagenesis.whole_window_effects import WholeWindowEffects
from danq.typing import CodeBatch, Codes

log = logging.getLogger("danq")

BLOCK = 2048
"""Mutated windows per batch."""


class Substitutions(NamedTuple):
    """Substitutions in windows, each of ``E`` bases.

    Attributes
    ----------
    window
        ``(M,)`` index of the window, ascending.
    position, base
        ``(M, E)`` positions in the window, and the new bases.
    """

    window: Int[np.ndarray, "M"]
    position: Int[np.ndarray, "M E"]
    base: UInt8[np.ndarray, "M E"]


class EffectValues(NamedTuple):
    """Effects ``(M, P)``: means over models, and sample standard deviations of several."""

    mean: Float32[np.ndarray, "M P"]
    spread: Float32[np.ndarray, "M P"] | None

    @classmethod
    def over(cls, effects: Float32[np.ndarray, "models M P"]) -> EffectValues:
        """Mean and standard deviation of the effects on each model."""
        if len(effects) == 1:
            return cls(effects[0], None)
        mean = effects.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = effects.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
        return cls(mean, spread)

    def rows(self, selected: slice) -> EffectValues:
        """The effects of some substitutions."""
        spread = None if self.spread is None else self.spread[selected]
        return EffectValues(self.mean[selected], spread)


def single_substitutions(codes: Codes, low: int, high: int, window: int = 0) -> Substitutions:
    """The three substitutions of each base of an interval; bases N have none.

    Parameters
    ----------
    codes
        ``(L,)`` codes of the window.
    low, high
        Interval of the window, half-open.
    window
        Index of the window.

    Returns
    -------
    Substitutions
        One base each, sorted by position and new base.
    """
    position = np.repeat(np.arange(low, high), 4)
    base = np.tile(np.arange(4, dtype=np.uint8), high - low)
    kept = (codes[position] != N) & (codes[position] != base)
    position, base = position[kept, None], base[kept, None]
    return Substitutions(np.full(len(position), window), position, base)


def joined(substitutions: Sequence[Substitutions]) -> Substitutions:
    """Concatenate substitutions."""
    return Substitutions(*map(np.concatenate, zip(*substitutions, strict=True)))


class EffectScorer:
    """Effects of mutations on the predictions of an ensemble.

    An effect is the prediction for the mutant minus the prediction for the reference. On both
    strands, it is the mean of the effects on the window and on its reverse complement; for several
    models, the mean over models. A profile counts with its total.

    Parameters
    ----------
    ensemble
        Models and tracks.
    effect
        As for `danq.inference.mutagenesis.effect_kinds.effect_for`.

    Raises
    ------
    InputError
        As `danq.inference.mutagenesis.effect_kinds.effect_for`.
    """

    def __init__(self, ensemble: Ensemble, effect: str | None) -> None:
        options = ensemble.options
        self.effect: Effect = effect_for(ensemble.kinds, effect)
        self._level = "bits" if self.effect in BITS else "value"
        self._levels = ensemble.levels.select(ensemble.track_indices)
        self.track_indices = np.array(ensemble.track_indices)
        order = np.array(ensemble.reverse_tracks or range(self.track_indices.max() + 1))
        self._reverse_indices = order[self.track_indices]
        self.strands = 2 if options.strand == "both" else 1
        self.models = len(ensemble.models)
        self.members: list[Incremental] = []
        self._whole: WholeWindowEffects | None = None
        if evaluates_whole_windows(options.torch_device):
            self._whole = WholeWindowEffects(ensemble, self._level)
            self.block = self._whole.block
            return
        self.block = BLOCK if options.batch_size is None else options.batch_size
        self.members = [
            Incremental(model.module, options, model.spec.targets) for model in ensemble.models
        ]
        for reason in dict.fromkeys(member.reason for member in self.members):
            if reason is not None:
                log.info("the model computes each window in full, which is slower: %s", reason)

    def batches(self) -> dict[str, str]:
        """Windows per batch on a GPU, for the header of an output."""
        return {} if self._whole is None else {"batch size": f"{self._whole.batch} windows"}

    def score(
        self, codes: CodeBatch, substitutions: Substitutions
    ) -> tuple[EffectValues, Float32[np.ndarray, "R P"]]:
        """Effects of substitutions in windows.

        Parameters
        ----------
        codes
            ``(R, L)`` codes of the reference windows.
        substitutions
            ``M`` substitutions.

        Returns
        -------
        values : EffectValues
            Effects.
        reference : np.ndarray
            ``(R, P)`` probabilities or amounts of the reference windows, means over strands and
            models.
        """
        effects, reference = self.score_each(codes, substitutions)
        return EffectValues.over(effects), reference

    def score_each(
        self, codes: CodeBatch, substitutions: Substitutions
    ) -> tuple[Float32[np.ndarray, "models M P"], Float32[np.ndarray, "R P"]]:
        """As `score`, with the effects on each model."""
        reference = np.empty((len(codes), len(self.track_indices)), dtype=np.float32)
        blocks = []
        done = 0
        for at in range(0, max(len(substitutions.position), 1), self.block):
            some = Substitutions(*(part[at : at + self.block] for part in substitutions))
            last = at + self.block >= len(substitutions.position)
            low = done if not len(some.window) else min(done, int(some.window[0]))
            done = len(codes) if last else int(some.window[-1]) + 1
            values, reference[low:done] = self._block(
                codes[low:done], some._replace(window=some.window - low)
            )
            blocks.append(values)
        return np.concatenate(blocks, axis=1), reference

    def _block(
        self, codes: CodeBatch, substitutions: Substitutions
    ) -> tuple[Float32[np.ndarray, "models M P"], Float32[np.ndarray, "R P"]]:
        if self._whole is not None:
            return self._whole.of(codes, *substitutions)
        owner, count = substitutions.window, len(substitutions.window)
        mutant = codes[owner]
        mutant[np.arange(count)[:, None], substitutions.position] = substitutions.base
        out = np.zeros((len(self.members), count, len(self.track_indices)), dtype=np.float32)
        reference = np.zeros((len(codes), len(self.track_indices)))
        for member, sums in zip(self.members, out, strict=True):
            strands = zip(
                self._strands(codes),
                self._strands(mutant),
                (self.track_indices, self._reverse_indices),
                strict=False,
            )
            for before, after, tracks in strands:
                numbers = member.logits(before, after, owner)
                old, new = (self._levels(part[:, tracks]) for part in numbers)
                reference += old.value
                sums += getattr(new, self._level) - getattr(old, self._level)[owner]
        out /= np.float32(self.strands)
        return out, (reference / (len(self.members) * self.strands)).astype(np.float32)

    def _strands(self, codes: Codes) -> Iterator[Codes]:
        """The windows, then their reverse complements if both strands are scored."""
        yield codes
        if self.strands == 2:
            yield reverse_complement(codes)


@dataclass(frozen=True)
class BaseEffects:
    """Effects of all single-base substitutions of one window.

    Attributes
    ----------
    window
        The window, with the ``l`` bases of it that are mutated.
    mean
        ``(l, 4, P)``: effect of A, C, G, T at each base on each track; 0 for the base that is
        there, NaN for a base N.
    spread
        Sample standard deviations over several models, with the same shape.
    reference
        ``(P,)`` probabilities or amounts of the reference window; NaN if all its mutated bases are
        N, because such a window is not evaluated.
    """

    window: TargetWindow
    mean: Float32[np.ndarray, "l 4 P"]
    spread: Float32[np.ndarray, "l 4 P"] | None
    reference: Float32[np.ndarray, "P"]

    @property
    def codes(self) -> Codes:
        """``(l,)`` codes of the mutated bases."""
        return self.window.codes[self.window.low : self.window.high]


def base_effects(
    scorer: EffectScorer, batches: Iterable[Sequence[Span]], window: int
) -> Iterator[BaseEffects]:
    """Effects of all single-base substitutions, batch by batch.

    Parameters
    ----------
    scorer
        Models.
    batches
        Bases to mutate; those of a batch are scored together.
    window
        Window length of the models in bases.
    """
    for batch in batches:
        windows = read_windows(batch, window)
        known = [one for one in windows if one.known]
        scored = window_effects(scorer, known) if known else iter(())
        for one in windows:
            yield next(scored) if one.known else _no_effects(scorer, one)


def window_effects(scorer: EffectScorer, windows: Sequence[TargetWindow]) -> Iterator[BaseEffects]:
    """Effects of all single-base substitutions in some windows, which are scored together.

    Parameters
    ----------
    scorer
        Models.
    windows
        Windows, with the bases to mutate.
    """
    each = [
        single_substitutions(window.codes, window.low, window.high, row)
        for row, window in enumerate(windows)
    ]
    values, reference = scorer.score(np.stack([window.codes for window in windows]), joined(each))
    at = 0
    for window, substitutions, known in zip(windows, each, reference, strict=True):
        own = values.rows(slice(at, at + len(substitutions.window)))
        at += len(substitutions.window)
        mean = _by_base(window, substitutions, own.mean)
        spread = None if own.spread is None else _by_base(window, substitutions, own.spread)
        yield BaseEffects(window, mean, spread, known)


def _no_effects(scorer: EffectScorer, window: TargetWindow) -> BaseEffects:
    """Effects of a window whose mutated bases are all N: NaN."""
    tracks = len(scorer.track_indices)
    mean = np.full((window.high - window.low, 4, tracks), np.nan, np.float32)
    spread = mean.copy() if scorer.models > 1 else None
    return BaseEffects(window, mean, spread, np.full(tracks, np.nan, np.float32))


def _by_base(
    window: TargetWindow, substitutions: Substitutions, values: np.ndarray
) -> Float32[np.ndarray, "l 4 P"]:
    out = np.zeros((window.high - window.low, 4, values.shape[1]), dtype=np.float32)
    out[window.codes[window.low : window.high] == N] = np.nan
    out[substitutions.position[:, 0] - window.low, substitutions.base[:, 0]] = values
    return out
