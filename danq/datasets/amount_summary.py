"""Summary of the amounts of each track of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from danq.datasets.dataset import Dataset
from danq.datasets.track_quality import MOST_NAMED
from danq.errors import few


class TrackAmounts(NamedTuple):
    """Amounts of a track over all windows.

    Attributes
    ----------
    track, unit
        Name, and unit as text.
    masked, zero
        Fraction of the values that are masked, and of the others that are 0.
    low, mean, high
        Smallest value, mean and largest value; NaN if all are masked.
    constant
        Whether all values of the training windows are the same, or masked.
    reverse
        Track that has the amounts of the reverse strand; the track itself if it has no strand.
    replicate
        Name of the experiment that the track is a replicate of; empty for other tracks.
    """

    track: str
    unit: str
    masked: float
    zero: float
    low: float
    mean: float
    high: float
    constant: bool
    reverse: str
    replicate: str


def summarise_amounts(dataset: Dataset) -> tuple[TrackAmounts, ...]:
    """Summarise the amounts of each track, one track after another."""
    measured = dataset.measured
    if measured is None:
        return ()
    training = dataset.indices("train")
    names = dataset.tracks[dataset.peaks.size :]
    order = measured.reverse or range(len(names))
    experiments = measured.replicates or ("",) * len(names)
    found = []
    for number, (track, unit) in enumerate(zip(names, measured.units, strict=True)):
        values = measured.values[:, number]
        known = values[~np.isnan(values)]
        learnt = values[training]
        learnt = learnt[~np.isnan(learnt)]
        low, mean, high = (
            (float(known.min()), float(known.mean(dtype=np.float64)), float(known.max()))
            if known.size
            else (np.nan,) * 3
        )
        found.append(
            TrackAmounts(
                track=track,
                unit=str(unit),
                masked=1 - known.size / max(1, values.size),
                zero=float(np.count_nonzero(known == 0)) / max(1, known.size),
                low=low,
                mean=mean,
                high=high,
                constant=not learnt.size or bool(learnt.min() == learnt.max()),
                reverse=names[order[number]],
                replicate=experiments[number],
            )
        )
    return tuple(found)


def amounts_to_check(amounts: Sequence[TrackAmounts]) -> list[str]:
    """One line for each kind of problem that occurs."""
    kinds = {
        "only zeros": [one.track for one in amounts if one.low == one.high == 0],
        "all values are masked": [one.track for one in amounts if one.masked == 1],
        "the same amount in all training windows": [
            one.track for one in amounts if one.constant and not one.low == one.high == 0
        ],
    }
    return [f"{kind}: {few(found, MOST_NAMED)}" for kind, found in kinds.items() if found]
