"""Number, mean and range of the values that a model learns from the windows of a dataset."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64

from danq.datasets.dataset import Dataset
from danq.typing import BoolRow, IntRow

_ROWS = 1 << 14


class ColumnSummary(NamedTuple):
    """Measured values of each column of `Dataset.target_values`, over some windows.

    Attributes
    ----------
    track
        Track of the column.
    count
        Number of measured values.
    mean, deviation
        Mean and standard deviation; 0 without measured values.
    lowest, highest
        Range; infinite without measured values.
    whole
        Whether all values, divided by the scale of the track's unit, are whole numbers.
    """

    track: IntRow
    count: IntRow
    mean: Float64[np.ndarray, "W"]
    deviation: Float64[np.ndarray, "W"]
    lowest: Float64[np.ndarray, "W"]
    highest: Float64[np.ndarray, "W"]
    whole: Bool[np.ndarray, "W"]


def summarise_columns(dataset: Dataset, rows: IntRow) -> ColumnSummary:
    """Summaries of the measured values of windows, which are read a block at a time."""
    steps = [group.steps for group in dataset.targets for _ in range(group.tracks)]
    track = np.repeat(np.arange(len(steps)), steps)
    scales = [1.0] * dataset.peaks.size + [unit.scale for unit in dataset.units]
    scale = np.array(scales)[track]
    count, mean = np.zeros(track.size, np.int64), np.zeros(track.size)
    squares, whole = np.zeros(track.size), np.ones(track.size, bool)
    lowest, highest = np.full(track.size, np.inf), np.full(track.size, -np.inf)
    for start in range(0, len(rows), _ROWS):
        values = dataset.target_values(rows[start : start + _ROWS]).astype(np.float64)
        known = ~np.isnan(values)
        own = known.sum(axis=0)
        safe = np.where(known, values, 0.0)
        own_mean = safe.sum(axis=0) / np.maximum(own, 1)
        total, change = np.maximum(count + own, 1), own_mean - mean
        squares += np.where(known, (values - own_mean) ** 2, 0.0).sum(axis=0)
        squares += change**2 * count * own / total
        mean += change * own / total
        count += own
        lowest = np.minimum(lowest, np.where(known, values, np.inf).min(axis=0))
        highest = np.maximum(highest, np.where(known, values, -np.inf).max(axis=0))
        plain = safe / scale
        whole &= (np.abs(plain - np.round(plain)) <= 1e-4).all(axis=0)
    deviation = np.sqrt(squares / np.maximum(count, 1))
    return ColumnSummary(track, count, mean, deviation, lowest, highest, whole)


def total_amounts(
    dataset: Dataset, rows: IntRow, reverse: BoolRow | None = None
) -> Float32[np.ndarray, "B A"]:
    """One amount per window and track: its value, or the total of its profile's measured steps.

    NaN where nothing was measured.
    """
    amounts = dataset.amounts(rows, reverse)
    if amounts.ndim == 2:
        return amounts
    total = np.asarray(np.nansum(amounts, axis=2, dtype=np.float64))
    total[np.isnan(amounts).all(axis=2)] = np.nan
    return total.astype(np.float32)
