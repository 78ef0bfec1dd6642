"""Levels of tracks, whose differences are effects: of peaks and of amounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from danq.amounts import LARGEST, AmountUnit, columns_of_units
from danq.inference.odds import odds
from danq.typing import IntRow

Kind = Literal["peaks", "amounts"]

BITS_NAME: dict[Kind, str] = {"peaks": "logit", "amounts": "log2fc"}
"""Name of a difference in bits, by what a track measures."""


class Levels(NamedTuple):
    """``(..., K)`` levels of tracks.

    Attributes
    ----------
    value
        Probability of a peak; amount.
    bits
        Log2 odds of a peak (`danq.inference.odds.odds`); of an amount as `AmountUnit.bits`.
    """

    value: Float64[np.ndarray, "... K"]
    bits: Float64[np.ndarray, "... K"]


@dataclass(frozen=True)
class TrackLevels:
    """Computes levels of tracks from the numbers that `danq.models.targets.track_scores` gives.

    Attributes
    ----------
    units
        Unit of each track; None for peaks.
    measured
        Whether values are measured amounts: transform and scale undone.
    """

    units: tuple[AmountUnit | None, ...]
    measured: bool = False

    @classmethod
    def of_peaks(cls, tracks: int) -> TrackLevels:
        """Levels of tracks that are all of peaks."""
        return cls((None,) * tracks)

    @classmethod
    def of(
        cls, tracks: Sequence[str], units: Sequence[AmountUnit | None], *, measured: bool = False
    ) -> TrackLevels:
        """Levels of tracks with these units.

        The name of a track may say that its amounts, without a transform, are logarithms, as in
        ``log2_ratio``.
        """
        named = []
        for name, unit in zip(tracks, units, strict=True):
            if unit is not None and unit.transform == "none" and name.lower().startswith("log"):
                function = AmountUnit(unit=name).logarithm or unit.unit
                unit = unit.model_copy(update={"unit": function})
            named.append(unit)
        return cls(tuple(named), measured)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each track measures."""
        return tuple("peaks" if unit is None else "amounts" for unit in self.units)

    @property
    def comparable(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the tracks of peaks, and of those of amounts of each unit.

        Tracks that differ in their scale alone have one unit.
        """
        found: dict[object, list[int]] = {}
        for number, one in enumerate(self.units):
            found.setdefault(one and (one.unit, one.transform), []).append(number)
        return tuple(map(tuple, found.values()))

    def select(self, indices: Sequence[int]) -> TrackLevels:
        """Levels of some tracks."""
        return replace(self, units=tuple(self.units[number] for number in indices))

    @cached_property
    def _columns(self) -> list[tuple[AmountUnit | None, IntRow]]:
        """As `danq.amounts.columns_of_units`."""
        return columns_of_units(self.units)

    def __call__(self, numbers: Float32[np.ndarray, "... K"]) -> Levels:
        """Levels of all tracks."""
        if len(self._columns) == 1:
            return self._levels(self._columns[0][0], numbers)
        value, bits = np.empty(numbers.shape), np.empty(numbers.shape)
        for unit, columns in self._columns:
            value[..., columns], bits[..., columns] = self._levels(unit, numbers[..., columns])
        return Levels(value, bits)

    def _levels(self, unit: AmountUnit | None, numbers: np.ndarray) -> Levels:
        if unit is None:
            return Levels(*odds(numbers))
        amount = np.clip(numbers, -LARGEST, LARGEST, dtype=np.float64)
        return Levels(unit.measured(amount) if self.measured else amount, unit.bits(amount))
