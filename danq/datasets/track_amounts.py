"""Amounts of tracks, and further values of windows, as a dataset stores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    reverse
        Index of the track with the amounts of each track on the reverse strand, such as 1 and 0 for
        two strands of one signal; empty if it is the track itself for all tracks.
    replicates
        Name of the experiment that each track is a replicate of, which may be empty; or no names.

    Raises
    ------
    InputError
        When the shapes do not match, or ``reverse`` does not pair tracks.
    """

    values: Float32[np.ndarray, "W A ..."]
    units: tuple[AmountUnit, ...]
    step: int = 0
    reverse: tuple[int, ...] = ()
    replicates: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.values.dtype != np.float32:
            raise InputError(f"amounts are {self.values.dtype}, not float32")
        if len(shape) != (3 if self.step else 2) or 0 in shape[1:]:
            raise InputError(f"amounts have shape {shape} with steps of {self.step} bases")
        if shape[1] != len(self.units):
            raise InputError(f"there are amounts of {shape[1]} tracks, but {len(self.units)} units")
        tracks = [*range(shape[1])]
        if self.reverse and sorted(self.reverse) != tracks:
            raise InputError("the tracks of the reverse strand are not those of the amounts")
        if [self.reverse[other] for other in self.reverse] not in ([], tracks):
            raise InputError("a track is the reverse strand of a track that has another one")
        if len(self.replicates) not in (0, shape[1]):
            raise InputError(f"{len(self.replicates)} names of replicates for {shape[1]} tracks")

    @property
    def group(self) -> TrackGroup:
        """The tracks as a group."""
        if self.step:
            return TrackGroup("profiles", len(self.units), self.values.shape[2], self.step)
        return TrackGroup("amounts", len(self.units))

    def of_rows(self, rows: IntRow) -> Amounts:
        """Amounts of some windows, copied."""
        return replace(self, values=self.values[rows])

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
    strata
        ``(W,)`` index of the stratum of each window in ``strata_names``, for separate metrics.
    strata_names
        Names of the strata.
    """

    lengths: Int32[np.ndarray, " W"] | None = None
    weights: Float32[np.ndarray, " W"] | None = None
    folds: Int32[np.ndarray, " W"] | None = None
    fold_names: tuple[str, ...] = ()
    strata: Int32[np.ndarray, " W"] | None = None
    strata_names: tuple[str, ...] = ()

    def of_rows(self, rows: IntRow) -> WindowValues:
        """Values of some windows, copied."""
        arrays = {
            name: None if array is None else array[rows]
            for name, array in (
                ("lengths", self.lengths),
                ("weights", self.weights),
                ("folds", self.folds),
                ("strata", self.strata),
            )
        }
        return replace(self, **arrays)  # type: ignore[arg-type]

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
            ("strata", self.strata),
        ):
            if array is not None and array.shape != (windows,):
                raise InputError(f"{what} of {array.shape} for {windows:,} windows")
        named = (("folds", self.folds, self.fold_names), ("strata", self.strata, self.strata_names))
        for what, array, names in named:
            if (array is None) != (not names):
                raise InputError(f"there are {what} without names, or names without {what}")
            if len(set(names)) < len(names):
                raise InputError(f"two {what} have the same name")
        if not windows:
            return
        if self.lengths is not None and not _within(self.lengths, 1, window):
            raise InputError(f"the length of a sequence is not from 1 to {window:,}")
        for what, array, names in named:
            if array is not None and not _within(array, 0, len(names) - 1):
                raise InputError(f"the {what} of a window are not from 0 to {len(names) - 1}")
        if self.weights is not None and not (
            np.isfinite(self.weights).all() and (self.weights >= 0).all()
        ):
            raise InputError("the weight of a window is not a number of 0 or more")


def _within(array: np.ndarray, low: int, high: int) -> bool:
    return low <= int(array.min()) and int(array.max()) <= high


def columns_of(groups: Sequence[TrackGroup]) -> int:
    """Number of values of a window for all groups."""
    return sum(group.columns for group in groups)


def take(amounts: Amounts, rows: IntRow, reverse: np.ndarray | None) -> np.ndarray:
    """Amounts of rows, in reverse-complemented windows those of the reverse strand.

    The tracks of two strands are exchanged, and the steps of profiles are in reverse order.

    Parameters
    ----------
    amounts
        The amounts.
    rows
        ``(B,)`` indices of windows.
    reverse
        ``(B,)`` True where the window is reverse-complemented; None for no window.
    """
    found = amounts.values[rows]
    if reverse is None:
        return found
    if found.ndim == 3:
        found[reverse] = found[reverse, :, ::-1]
    if amounts.reverse:
        found[reverse] = found[reverse][:, list(amounts.reverse)]
    return found
