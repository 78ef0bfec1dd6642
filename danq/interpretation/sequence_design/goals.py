"""Goals of a design: tracks to maximise, to minimise, or to bring to a value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError
from danq.inference.ensemble import Ensemble
from danq.inference.track_levels import Levels


@dataclass(frozen=True)
class DesignGoals:
    """What the predictions of designed sequences should be.

    The objective, which a design maximises, is a sum over tracks: the level of a track to
    maximise, minus the level of a track to minimise, minus the distance of a track from its target.
    The level of a track of peaks is its log2 odds (bits, as in `danq.mutate`), that of a track of
    amounts its amount. The distance from a target probability is that of the log2 odds of the
    predicted probability from those of the target. A track to maximise and one to minimise design a
    difference.

    Attributes
    ----------
    maximize, minimize
        Names of tracks.
    target
        Target of a track: a probability in (0, 1) for peaks, an amount for amounts.
    weights
        Factor of the term of a track, above 0; 1 for the others.

    Raises
    ------
    InputError
        When there is no goal, a track has two, a target or a weight is not a finite number, a
        weight is not above 0, or one belongs to a track without a goal.
    """

    maximize: Sequence[str] = ()
    minimize: Sequence[str] = ()
    target: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("maximize", self.maximize), ("minimize", self.minimize)):
            if isinstance(value, str):
                raise InputError(
                    f"{name} is the string '{value}', not a list of names",
                    remedy=f"Write {name}=['{value}'] for a single track",
                )
        if not self.tracks:
            raise InputError(
                "the design has no goal", remedy="Name a track to maximise, minimise or target"
            )
        for track in self.tracks:
            if self.tracks.count(track) > 1:
                raise InputError(
                    f"the track '{track}' has more than one goal", remedy="Keep one of them"
                )
        for track, value in (*self.target.items(), *self.weights.items()):
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(
                    f"{value} for the track '{track}' is not a finite number",
                    remedy="Give a finite number",
                )
        for track, weight in self.weights.items():
            if track not in self.tracks:
                raise InputError(
                    f"the weight {weight:g} is of the track '{track}', which has no goal",
                    remedy="Leave the weight out, or give the track a goal",
                )
            if weight <= 0:
                raise InputError(
                    f"the weight of the track '{track}' is {weight:g}, the minimum is above 0",
                    remedy="Minimise the track instead of a negative weight",
                )

    @property
    def tracks(self) -> tuple[str, ...]:
        """Tracks with a goal: those to maximise, to minimise, then those with a target."""
        return (*self.maximize, *self.minimize, *self.target)

    def check(self, ensemble: Ensemble) -> None:
        """Check targets against what the tracks are.

        Parameters
        ----------
        ensemble
            Models, with the tracks of the goals.

        Raises
        ------
        InputError
            When the target of a track of peaks is no probability between 0 and 1.
        """
        for track, kind in zip(ensemble.tracks, ensemble.kinds, strict=True):
            value = self.target.get(track)
            if value is not None and kind == "peaks" and not 0 < value < 1:
                raise InputError(
                    f"the target {value:g} of the track '{track}' is not a probability between 0 "
                    "and 1",
                    remedy=f"Maximise or minimise '{track}', or give a probability such as 0.5",
                )

    def describe(self, ensemble: Ensemble) -> str:
        """The objective as text: "log2 odds of Reb1 - amount of Abf1"."""
        names = {
            track: "log2 odds" if kind == "peaks" else "amount"
            for track, kind in zip(ensemble.tracks, ensemble.kinds, strict=True)
        }
        text = ""
        for track in self.tracks:
            sign = " + " if track in self.maximize else " - "
            factor = f"{self.weights[track]:g} x " if track in self.weights else ""
            term = f"{names[track]} of {track}"
            if track in self.target:
                value = f"{self.target[track]:g}"
                goal = f"log2 odds of {value}" if names[track] == "log2 odds" else value
                term = f"|{term} - {goal}|"
            text += f"{sign}{factor}{term}"
        return text.removeprefix(" + ").strip()


class Objective:
    """Computes the objective of `DesignGoals` from levels of tracks.

    Parameters
    ----------
    goals
        The goals.
    ensemble
        Models, whose selected tracks are `DesignGoals.tracks`.
    """

    def __init__(self, goals: DesignGoals, ensemble: Ensemble) -> None:
        self.goals = goals
        self._peaks = [kind == "peaks" for kind in ensemble.kinds]

    def __call__(self, levels: Levels) -> Float64[np.ndarray, "B"]:
        """Objective of each window.

        Parameters
        ----------
        levels
            ``(B, P)`` levels of `DesignGoals.tracks`.
        """
        total = np.zeros(len(levels.value))
        for column, track in enumerate(self.goals.tracks):
            weight = self.goals.weights.get(track, 1.0)
            value, peaks = levels.value[:, column], self._peaks[column]
            target = self.goals.target.get(track)
            if target is not None:
                distance = log2_odds(value) - log2_odds(target) if peaks else value - target
                total -= weight * np.abs(distance)
                continue
            level = levels.bits[:, column] if peaks else value
            total += weight * (level if track in self.goals.maximize else -level)
        return total


def log2_odds(probability: Float64[np.ndarray, "B"] | float) -> Float64[np.ndarray, "B"]:
    """Log2 odds of probabilities, which are clipped to [1e-12, 1 - 1e-12]."""
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.log2(clipped / (1 - clipped))
