"""What changed bases do to predictions: single bases, and pairs of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float32, Int, UInt8

from danq.errors import InputError
from danq.genome.nucleotide_codes import N, reverse_complement
from danq.inference.engine.incremental import Incremental
from danq.inference.ensemble import Ensemble
from danq.inference.mutagenesis.targets import JudgedWindow
from danq.inference.odds import odds
from danq.models.run_options import RunOptions
from danq.typing import CodeBatch, Codes

log = logging.getLogger("danq")

Effect = Literal["logit", "probability"]
UNITS: dict[Effect, str] = {
    "logit": "change in log2 odds (bits), altered minus unaltered",
    "probability": "change in probability, altered minus unaltered",
}

BLOCK = 2048
"""Changed windows that are evaluated at once."""


class Changes(NamedTuple):
    """Changes of windows, each of ``E`` bases.

    Attributes
    ----------
    window
        ``(M,)`` which window is changed, ascending.
    place, base
        ``(M, E)`` places in it, and what comes there.
    """

    window: Int[np.ndarray, "M"]
    place: Int[np.ndarray, "M E"]
    base: UInt8[np.ndarray, "M E"]


class EffectValues(NamedTuple):
    """Effects ``(M, P)``: means over models, and sample standard deviations of several."""

    mean: Float32[np.ndarray, "M P"]
    spread: Float32[np.ndarray, "M P"] | None

    def part(self, which: slice) -> EffectValues:
        """Some of them."""
        return EffectValues(self.mean[which], None if self.spread is None else self.spread[which])


def single_changes(codes: Codes, low: int, high: int, window: int = 0) -> Changes:
    """Every other base at every known base of a part of a window.

    Parameters
    ----------
    codes
        ``(L,)`` codes of the window.
    low, high
        Part to change, half-open.
    window
        Number of the window.

    Returns
    -------
    Changes
        Of one base each, by place and then A, C, G, T.
    """
    place = np.repeat(np.arange(low, high), 4)
    base = np.tile(np.arange(4, dtype=np.uint8), high - low)
    kept = (codes[place] != N) & (codes[place] != base)
    place, base = place[kept, None], base[kept, None]
    return Changes(np.full(len(place), window), place, base)


def pair_changes(codes: Codes, low: int, high: int) -> Iterator[Changes]:
    """Every change of two known bases at once of a part of a window, for each first base.

    Yields
    ------
    Changes
        Of two bases each, by place and then base of the first, then of the second.
    """
    _, place, base = single_changes(codes, low, high)
    for row in range(len(place)):
        later = np.flatnonzero(place[:, 0] > place[row, 0])
        if later.size:
            rows = np.stack([np.full(later.size, row), later], axis=1)
            yield Changes(np.zeros(later.size, np.int64), place[rows, 0], base[rows, 0])


def joined(changes: Sequence[Changes]) -> Changes:
    """Several as one."""
    return Changes(*(np.concatenate(part) for part in zip(*changes, strict=True)))


class Judge:
    """Effects of changes on the predictions of an ensemble.

    An effect is the prediction with the change minus the one without. On both strands, it is the
    mean of the effects on the window and on its reverse complement; of several models, the mean
    of theirs.

    Parameters
    ----------
    ensemble
        Models and tracks.
    engine
        How they are run.
    effect
        ``"logit"`` or ``"probability"``.
    block
        Changed windows that are evaluated at once.

    Raises
    ------
    InputError
        When ``effect`` is none of its words, or ``block`` is below 1.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        engine: RunOptions,
        *,
        effect: Effect,
        block: int = BLOCK,
    ) -> None:
        if effect not in get_args(Effect):
            raise InputError(f"effect is '{effect}'", remedy="Choose 'logit' or 'probability'")
        if block < 1:
            raise InputError(f"a batch of {block} windows is below 1")
        self.effect: Effect = effect
        self.block, self.engine = block, engine
        self.picked = np.array(ensemble.picked)
        self.strands = 2 if engine.strand == "both" else 1
        self.members = [Incremental(model.module, engine) for model in ensemble.models]
        for reason in dict.fromkeys(member.reason for member in self.members):
            if reason is not None:
                log.info(f"every changed window is evaluated in full: {reason}")

    def judge(
        self, codes: CodeBatch, changes: Changes
    ) -> tuple[EffectValues, Float32[np.ndarray, "R P"]]:
        """Effects of changes of windows.

        Parameters
        ----------
        codes
            ``(R, L)`` codes of the windows.
        changes
            ``M`` of them.

        Returns
        -------
        values : EffectValues
            Effects.
        reference : np.ndarray
            ``(R, P)`` probabilities of the unaltered windows, means over strands and models.
        """
        reference = np.empty((len(codes), len(self.picked)), dtype=np.float32)
        parts = []
        done = 0
        for at in range(0, max(len(changes.place), 1), self.block):
            some = Changes(*(part[at : at + self.block] for part in changes))
            last = at + self.block >= len(changes.place)
            low = done if not len(some.window) else min(done, int(some.window[0]))
            done = len(codes) if last else int(some.window[-1]) + 1
            values, reference[low:done] = self._block(
                codes[low:done], some._replace(window=some.window - low)
            )
            parts.append(values)
        known = np.concatenate(parts, axis=1)
        if len(known) == 1:
            return EffectValues(known[0], None), reference
        mean = known.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = known.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
        return EffectValues(mean, spread), reference

    def _block(
        self, codes: CodeBatch, changes: Changes
    ) -> tuple[Float32[np.ndarray, "models M P"], Float32[np.ndarray, "R P"]]:
        count = len(changes.window)
        changed = codes[changes.window]
        changed[np.arange(count)[:, None], changes.place] = changes.base
        out = np.zeros((len(self.members), count, len(self.picked)), dtype=np.float32)
        reference = np.zeros((len(codes), len(self.picked)))
        for member, mine in zip(self.members, out, strict=True):
            for before, after in zip(self._readings(codes), self._readings(changed), strict=True):
                logits = member.logits(before, after, changes.window)
                known, new = (odds(part[:, self.picked]) for part in logits)
                reference += known.probability
                if self.effect == "logit":
                    mine += new.bits - known.bits[changes.window]
                else:
                    mine += new.probability - known.probability[changes.window]
        out /= np.float32(self.strands)
        return out, (reference / (len(self.members) * self.strands)).astype(np.float32)

    def _readings(self, codes: Codes) -> Iterator[Codes]:
        """Windows as they are, then the other strand where it is wanted."""
        yield codes
        if self.strands == 2:
            yield reverse_complement(codes)


@dataclass(frozen=True)
class BaseEffects:
    """Effects of all single-base changes in a window.

    Attributes
    ----------
    judged
        Window, and the ``l`` bases of it that were changed.
    mean
        ``(l, 4, P)``: effect of A, C, G, T in place of each base on each track; 0 for the base
        that is there, NaN in all four where it is unknown.
    spread
        Sample standard deviations over several models, in the same shape.
    reference
        ``(P,)`` probabilities of the unchanged window.
    """

    judged: JudgedWindow
    mean: Float32[np.ndarray, "l 4 P"]
    spread: Float32[np.ndarray, "l 4 P"] | None
    reference: Float32[np.ndarray, "P"]

    @property
    def codes(self) -> Codes:
        """``(l,)`` codes of the bases that were changed."""
        return self.judged.codes[self.judged.low : self.judged.high]


def base_effects(judge: Judge, windows: Iterable[JudgedWindow]) -> Iterator[BaseEffects]:
    """Effects of all single-base changes in windows; those with few are judged together."""
    held: list[JudgedWindow] = []
    count = 0
    for judged in windows:
        held.append(judged)
        count += 3 * (judged.high - judged.low)
        if count >= judge.block:
            yield from _effects_of(judge, held)
            held, count = [], 0
    if held:
        yield from _effects_of(judge, held)


def _effects_of(judge: Judge, windows: list[JudgedWindow]) -> Iterator[BaseEffects]:
    each = [
        single_changes(judged.codes, judged.low, judged.high, row)
        for row, judged in enumerate(windows)
    ]
    values, reference = judge.judge(np.stack([judged.codes for judged in windows]), joined(each))
    at = 0
    for judged, changes, known in zip(windows, each, reference, strict=True):
        mine = values.part(slice(at, at + len(changes.window)))
        at += len(changes.window)
        mean = _by_base(judged, changes, mine.mean)
        spread = None if mine.spread is None else _by_base(judged, changes, mine.spread)
        yield BaseEffects(judged, mean, spread, known)


def _by_base(
    judged: JudgedWindow, changes: Changes, values: np.ndarray
) -> Float32[np.ndarray, "l 4 P"]:
    out = np.zeros((judged.high - judged.low, 4, values.shape[1]), dtype=np.float32)
    out[judged.codes[judged.low : judged.high] == N] = np.nan
    out[changes.place[:, 0] - judged.low, changes.base[:, 0]] = values
    return out


@dataclass(frozen=True)
class PairEffects:
    """Effects of changing two bases of a window at once.

    Attributes
    ----------
    judged
        The window.
    changes
        ``M`` changes of two bases.
    values
        Their effects, ``(M, P)``.
    """

    judged: JudgedWindow
    changes: Changes
    values: EffectValues


def pair_effects(judge: Judge, judged: JudgedWindow, low: int, high: int) -> Iterator[PairEffects]:
    """Effects of changing two bases at once, in a part of a window, some at a time.

    Parameters
    ----------
    judge
        Models.
    judged
        The window.
    low, high
        Part of the window, half-open.
    """
    held: list[Changes] = []
    count = 0
    for changes in pair_changes(judged.codes, low, high):
        held.append(changes)
        count += len(changes.window)
        if count >= judge.block:
            yield _judged_pairs(judge, judged, joined(held))
            held, count = [], 0
    if held:
        yield _judged_pairs(judge, judged, joined(held))


def _judged_pairs(judge: Judge, judged: JudgedWindow, changes: Changes) -> PairEffects:
    values, _ = judge.judge(judged.codes[None], changes)
    return PairEffects(judged, changes, values)
