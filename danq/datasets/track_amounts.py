"""Amounts of tracks, and further values of windows, as a dataset stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from danq.amounts import AmountUnit
from danq.errors import InputError
from danq.typing import IntRow

Kind = Literal["peaks", "amounts", "profiles"]

KINDS: tuple[Kind, ...] = ("peaks", "amounts", "profiles")
"""Kinds of tracks; ``/tracks/kind`` holds the index in this tuple."""

_ROWS = 1 << 16


class TrackGroup(NamedTuple):
    """Consecutive tracks of one kind.

    Attributes
    ----------
    kind
        "peaks" for labels 0 or 1, "amounts" for one amount per window, "profiles" for the amounts
        of the steps of a bin.
    tracks
        Number of tracks.
    steps
        Steps of a bin; 1 without profiles.
    step
        Bases of a step; 0 without profiles.
    """

    kind: Kind
    tracks: int
    steps: int = 1
    step: int = 0

    @property
    def columns(self) -> int:
        """Number of values of a window."""
        return self.tracks * self.steps


@dataclass(frozen=True, eq=False)
class Amounts:
    """Amounts of windows.

    Attributes
    ----------
    values
        ``(W, A)``, or ``(W, A, S)`` for profiles: amounts in their units; NaN where masked.
    units
        Unit of each of the ``A`` tracks.
    step
        Bases of a step of a profile; 0 without profiles.

    Raises
    ------
    InputError
        When the shapes do not match.
    """

    values: Float32[np.ndarray, "W A ..."]
    units: tuple[AmountUnit, ...]
    step: int = 0

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.values.dtype != np.float32:
            raise InputError(f"amounts are {self.values.dtype}, not float32")
        if len(shape) != (3 if self.step else 2) or 0 in shape[1:]:
            raise InputError(f"amounts have shape {shape} with steps of {self.step} bases")
        if shape[1] != len(self.units):
            raise InputError(f"there are amounts of {shape[1]} tracks, but {len(self.units)} units")

    @property
    def group(self) -> TrackGroup:
        """The tracks as a group."""
        if self.step:
            return TrackGroup("profiles", len(self.units), self.values.shape[2], self.step)
        return TrackGroup("amounts", len(self.units))

    def check(self) -> None:
        """Check that amounts are numbers, and allowed by their unit.

        Raises
        ------
        InputError
            When one is infinite, or negative in a profile or after ``log1p``.
        """
        for low in range(0, len(self.values), _ROWS):
            block = self.values[low : low + _ROWS]
            infinite = np.argwhere(np.isinf(block))
            if infinite.size:
                row, track = infinite[0, :2]
                raise InputError(f"an amount of track {track + 1} and window {low + row} is inf")
            for track, unit in enumerate(self.units):
                if not self.step and unit.transform != "log1p":
                    continue
                if (block[:, track] < 0).any():
                    raise InputError(
                        f"an amount of track {track + 1} is negative, but "
                        f"{'those of a profile' if self.step else 'those of log1p'} are 0 or more"
                    )


@dataclass(frozen=True, eq=False)
class WindowValues:
    """Further values of windows; each may be None.

    Attributes
    ----------
    lengths
        ``(W,)`` bases of each sequence; it is in the centre of its window, between padding.
    weights
        ``(W,)`` weight of each window in the loss.
    folds
        ``(W,)`` index of the fold of each window in ``fold_names``.
    fold_names
        Names of the folds.
    """

    lengths: Int32[np.ndarray, " W"] | None = None
    weights: Float32[np.ndarray, " W"] | None = None
    folds: Int32[np.ndarray, " W"] | None = None
    fold_names: tuple[str, ...] = ()

    def check(self, windows: int, window: int) -> None:
        """Check sizes and ranges for a number of windows of ``window`` bases.

        Raises
        ------
        InputError
            When an array has another size, or a value is outside its range.
        """
        for what, array in (
            ("lengths", self.lengths),
            ("weights", self.weights),
            ("folds", self.folds),
        ):
            if array is not None and array.shape != (windows,):
                raise InputError(f"{what} of {array.shape} for {windows:,} windows")
        if (self.folds is None) != (not self.fold_names):
            raise InputError("there are folds without names, or names without folds")
        if len(set(self.fold_names)) < len(self.fold_names):
            raise InputError("two folds have the same name")
        if not windows:
            return
        if self.lengths is not None and not _within(self.lengths, 1, window):
            raise InputError(f"the length of a sequence is not from 1 to {window:,}")
        if self.folds is not None and not _within(self.folds, 0, len(self.fold_names) - 1):
            raise InputError(f"the fold of a window is not from 0 to {len(self.fold_names) - 1}")
        if self.weights is not None and not (
            np.isfinite(self.weights).all() and (self.weights >= 0).all()
        ):
            raise InputError("the weight of a window is not a number of 0 or more")


def _within(array: np.ndarray, low: int, high: int) -> bool:
    return low <= int(array.min()) and int(array.max()) <= high


def columns_of(groups: Sequence[TrackGroup]) -> int:
    """Number of values of a window for all groups."""
    return sum(group.columns for group in groups)


def take(values: np.ndarray, rows: IntRow, reverse: np.ndarray | None) -> np.ndarray:
    """Amounts of rows; the steps of profiles of reverse-complemented windows in reverse order.

    Parameters
    ----------
    values
        ``(W, A)`` or ``(W, A, S)``.
    rows
        ``(B,)`` indices of windows.
    reverse
        ``(B,)`` True where the window is reverse-complemented; None for no window.
    """
    found = values[rows]
    if reverse is not None and found.ndim == 3:
        found[reverse] = found[reverse, :, ::-1]
    return found
