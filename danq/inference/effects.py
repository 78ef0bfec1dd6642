"""What changed bases do to predictions: single bases, and pairs of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float32, Int, UInt8

from danq.errors import InputError
from danq.genome.alphabet import N, reverse_complement
from danq.inference.ensemble import Engine, Ensemble
from danq.inference.incremental import Incremental
from danq.inference.stretches import Scene
from danq.typing import Codes

LOG = logging.getLogger("danq")

Effect = Literal["logit", "probability"]
UNITS: dict[Effect, str] = {
    "logit": "change in log2 odds (bits), altered minus unaltered",
    "probability": "change in probability, altered minus unaltered",
}

BLOCK = 2048
"""Changed windows that are evaluated at once."""


class Changes(NamedTuple):
    """Changes of a window, each of ``E`` bases: ``(M, E)`` places in it and new bases."""

    place: Int[np.ndarray, "M E"]
    base: UInt8[np.ndarray, "M E"]


class Values(NamedTuple):
    """Effects ``(M, P)``: means over models, and sample standard deviations of several."""

    mean: Float32[np.ndarray, "M P"]
    spread: Float32[np.ndarray, "M P"] | None


def single_changes(codes: Codes, low: int, high: int) -> Changes:
    """Every other base at every known base of a part of a window.

    Parameters
    ----------
    codes
        ``(L,)`` codes of the window.
    low, high
        Part to change, half-open.

    Returns
    -------
    Changes
        Of one base each, by place and then A, C, G, T.
    """
    place = np.repeat(np.arange(low, high), 4)
    base = np.tile(np.arange(4, dtype=np.uint8), high - low)
    kept = (codes[place] != N) & (codes[place] != base)
    return Changes(place[kept, None], base[kept, None])


def pair_changes(codes: Codes, low: int, high: int) -> Iterator[Changes]:
    """Every change of two known bases at once of a part of a window, for each first base.

    Yields
    ------
    Changes
        Of two bases each, by place and then base of the first, then of the second.
    """
    single = single_changes(codes, low, high)
    place, base = single.place[:, 0], single.base[:, 0]
    for row in range(len(place)):
        later = np.flatnonzero(place > place[row])
        if later.size:
            first = np.full(later.size, row)
            yield Changes(
                np.stack([place[first], place[later]], axis=1),
                np.stack([base[first], base[later]], axis=1),
            )


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
    tolerance
        As `danq.inference.incremental.Incremental` takes it.
    block
        Changed windows that are evaluated at once.

    Raises
    ------
    InputError
        When ``effect`` or the strand is none of its words, or ``block`` is below 1.
    """

    def __init__(
        self,
        ensemble: Ensemble,
        engine: Engine,
        *,
        effect: Effect,
        tolerance: float,
        block: int = BLOCK,
    ) -> None:
        if effect not in get_args(Effect):
            raise InputError(f"effect is '{effect}'", remedy="Choose 'logit' or 'probability'")
        if engine.strand not in ("both", "forward"):
            raise InputError(f"strand is '{engine.strand}'", remedy="Choose 'both' or 'forward'")
        if block < 1:
            raise InputError(f"a batch of {block} windows is below 1")
        self.effect: Effect = effect
        self.block, self.engine = block, engine
        self.picked = np.array(ensemble.picked)
        self.strands = 2 if engine.strand == "both" else 1
        self.members = [
            Incremental(
                model.module,
                device=engine.device,
                precision=engine.precision,
                tolerance=tolerance,
            )
            for model in ensemble.models
        ]
        for reason in dict.fromkeys(member.reason for member in self.members):
            if reason is not None:
                LOG.info(f"every changed window is evaluated in full: {reason}")

    def judge(self, codes: Codes, changes: Changes) -> Values:
        """Effects of changes of a window.

        Parameters
        ----------
        codes
            ``(L,)`` codes of the window.
        changes
            ``M`` of them.
        """
        parts = [self._block(codes, part) for part in self._cut(changes)]
        known = np.concatenate(parts, axis=1)
        mean = known.mean(axis=0, dtype=np.float64).astype(np.float32)
        if len(known) == 1:
            return Values(mean, None)
        return Values(mean, known.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32))

    def reference(self, codes: Codes) -> Float32[np.ndarray, "P"]:
        """Probabilities of the unchanged window, means over strands and models."""
        total = np.zeros(len(self.picked))
        for member in self.members:
            for window in self._readings(codes[None]):
                logits, _ = member.logits(window, window, np.zeros(1, np.int64))
                total += _sigmoid(logits[0, self.picked])
        return (total / (len(self.members) * self.strands)).astype(np.float32)

    def _cut(self, changes: Changes) -> Iterator[Changes]:
        for at in range(0, max(len(changes.place), 1), self.block):
            yield Changes(*(part[at : at + self.block] for part in changes))

    def _block(self, codes: Codes, changes: Changes) -> Float32[np.ndarray, "models M P"]:
        count = len(changes.place)
        out = np.zeros((len(self.members), count, len(self.picked)), dtype=np.float32)
        if not count:
            return out
        changed = np.repeat(codes[None], count, axis=0)
        changed[np.arange(count)[:, None], changes.place] = changes.base
        owner = np.zeros(count, np.int64)
        for member, mine in zip(self.members, out, strict=True):
            for before, after in zip(
                self._readings(codes[None]), self._readings(changed), strict=True
            ):
                known, new = member.logits(before, after, owner)
                mine += self._difference(known[:, self.picked], new[:, self.picked])
        return out / np.float32(self.strands)

    def _readings(self, codes: Codes) -> Iterator[Codes]:
        """Windows as they are, then the other strand where it is wanted."""
        yield codes
        if self.strands == 2:
            yield reverse_complement(codes)

    def _difference(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        if self.effect == "logit":
            return (after - before) / np.float32(np.log(2))
        return (_sigmoid(after) - _sigmoid(before)).astype(np.float32)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # Unlike exp, tanh overflows nowhere.
    return 0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64))


@dataclass(frozen=True)
class BaseEffects:
    """Effects of all single-base changes in a scene.

    Attributes
    ----------
    scene
        Window, and the ``l`` bases of it that were changed.
    mean
        ``(l, 4, P)``: effect of A, C, G, T in place of each base on each track; 0 for the base
        that is there, NaN in all four where it is unknown.
    spread
        Sample standard deviations over several models, in the same shape.
    reference
        ``(P,)`` probabilities of the unchanged window.
    """

    scene: Scene
    mean: Float32[np.ndarray, "l 4 P"]
    spread: Float32[np.ndarray, "l 4 P"] | None
    reference: Float32[np.ndarray, "P"]

    @property
    def codes(self) -> Codes:
        """``(l,)`` codes of the bases that were changed."""
        return self.scene.codes[self.scene.low : self.scene.high]


def base_effects(judge: Judge, scene: Scene) -> BaseEffects:
    """Effects of all single-base changes in a scene."""
    changes = single_changes(scene.codes, scene.low, scene.high)
    values = judge.judge(scene.codes, changes)
    codes = scene.codes[scene.low : scene.high]

    def spread_out(rows: np.ndarray) -> np.ndarray:
        out = np.zeros((len(codes), 4, rows.shape[1]), dtype=np.float32)
        out[codes == N] = np.nan
        out[changes.place[:, 0] - scene.low, changes.base[:, 0]] = rows
        return out

    spread = None if values.spread is None else spread_out(values.spread)
    return BaseEffects(scene, spread_out(values.mean), spread, judge.reference(scene.codes))


@dataclass(frozen=True)
class PairEffects:
    """Effects of changing two bases of a scene at once.

    Attributes
    ----------
    scene
        The window.
    changes
        ``M`` changes of two bases.
    values
        Their effects, ``(M, P)``.
    """

    scene: Scene
    changes: Changes
    values: Values


def pair_effects(judge: Judge, scene: Scene, low: int, high: int) -> Iterator[PairEffects]:
    """Effects of changing two bases at once, in a part of a window, some at a time.

    Parameters
    ----------
    judge
        Models.
    scene
        The window.
    low, high
        Part of the window, half-open.
    """
    held: list[Changes] = []
    count = 0
    for changes in pair_changes(scene.codes, low, high):
        held.append(changes)
        count += len(changes.place)
        if count >= judge.block:
            yield _judged(judge, scene, held)
            held, count = [], 0
    if held:
        yield _judged(judge, scene, held)


def _judged(judge: Judge, scene: Scene, held: list[Changes]) -> PairEffects:
    changes = Changes(*(np.concatenate(part) for part in zip(*held, strict=True)))
    return PairEffects(scene, changes, judge.judge(scene.codes, changes))
