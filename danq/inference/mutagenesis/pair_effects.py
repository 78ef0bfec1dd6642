"""Effects of substitutions of two bases, and the interactions of the two.

A pair is evaluated as a change of one base in a window that has the other change already. The
states of that window are computed once for all changes of later bases, so that a pair takes no
longer than a single substitution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, UInt8

from danq.inference.mutagenesis.effects import (
    EffectScorer,
    EffectValues,
    Substitutions,
    single_substitutions,
)
from danq.inference.mutagenesis.targets import TargetWindow


@dataclass(frozen=True)
class PairEffects:
    """Effects of substitutions of two bases of a window.

    Attributes
    ----------
    window
        The window.
    position, base
        ``(M, 2)`` positions in the window, the first before the second, and the new bases.
    values
        Effects of both substitutions together, ``(M, P)``.
    interaction
        ``(M, P)``: the effect of both minus the sum of the effects of each alone, mean over models.
    """

    window: TargetWindow
    position: Int[np.ndarray, "M 2"]
    base: UInt8[np.ndarray, "M 2"]
    values: EffectValues
    interaction: Float32[np.ndarray, "M P"]


class _Pairs(NamedTuple):
    """Rows of single substitutions: one, and those of later bases."""

    first: int
    later: Int[np.ndarray, "N"]


def pair_effects(
    scorer: EffectScorer, window: TargetWindow, low: int, high: int
) -> Iterator[PairEffects]:
    """Effects of all substitutions of two bases of an interval, a batch at a time.

    Parameters
    ----------
    scorer
        Models.
    window
        The window.
    low, high
        Interval of the window, half-open.

    Yields
    ------
    PairEffects
        Sorted by the first position and base, then the second. The three changes of a second base
        are in one batch.
    """
    singles = single_substitutions(window.codes, low, high)
    position = singles.position[:, 0]
    if not len(position):
        return
    alone, _ = scorer.score_each(window.codes[None], singles)
    held: list[_Pairs] = []
    count = 0
    for row in range(len(position)):
        later = np.arange(np.searchsorted(position, position[row], "right"), len(position))
        if later.size:
            held.append(_Pairs(row, later))
            count += later.size
        if count >= scorer.block:
            yield _together(scorer, window, singles, alone, held)
            held, count = [], 0
    if held:
        yield _together(scorer, window, singles, alone, held)


def _together(
    scorer: EffectScorer,
    window: TargetWindow,
    singles: Substitutions,
    alone: Float32[np.ndarray, "models S P"],
    pairs: list[_Pairs],
) -> PairEffects:
    first = np.array([one.first for one in pairs])
    owner = np.repeat(np.arange(len(pairs)), [len(one.later) for one in pairs])
    later = np.concatenate([one.later for one in pairs])
    changed = np.repeat(window.codes[None], len(pairs), axis=0)
    changed[np.arange(len(pairs)), singles.position[first, 0]] = singles.base[first, 0]
    second = Substitutions(owner, singles.position[later], singles.base[later])
    change, _ = scorer.score_each(changed, second)
    rows = np.stack([first[owner], later], axis=1)
    return PairEffects(
        window,
        singles.position[rows, 0],
        singles.base[rows, 0],
        EffectValues.over(change + alone[:, rows[:, 0]]),
        EffectValues.over(change - alone[:, later]).mean,
    )
