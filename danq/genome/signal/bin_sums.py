"""Sums, maxima and covered bases of bins, added up segment by segment."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64, Int64

from danq._jit import kernel
from danq.errors import InputError

Statistic = Literal["mean", "sum", "max", "coverage"]
STATISTICS: tuple[str, ...] = get_args(Statistic)

Gaps = Literal["mask", "zero"]


class BinSums:
    """Statistics of the bins of one contig.

    Parameters
    ----------
    start, end
        ``(N,)`` bins, 0-based half-open, in any order; they may overlap.
    """

    def __init__(self, start: Int64[np.ndarray, "N"], end: Int64[np.ndarray, "N"]) -> None:
        self.start, self.end = (np.ascontiguousarray(ends, np.int64) for ends in (start, end))
        self._order: np.ndarray | None = None
        if np.any(self.start[1:] < self.start[:-1]):
            self._order = np.argsort(self.start, kind="stable")
            self.start, self.end = self.start[self._order], self.end[self._order]
        self._low = 0
        self.sums = np.zeros(self.start.size)
        self.covered = np.zeros(self.start.size, np.int64)
        self.largest = np.full(self.start.size, np.nan)

    def add(self, start: np.ndarray, end: np.ndarray, value: np.ndarray) -> None:
        """Add segments, which come in ascending order and without overlap; NaN adds nothing."""
        if start.size:
            into = self.sums, self.covered, self.largest
            self._low = _add((start, end, value), (self.start, self.end), self._low, *into)

    def values(self, statistic: Statistic, gaps: Gaps = "mask") -> Float64[np.ndarray, "N"]:
        """One statistic of every bin, in the order in which the bins were given.

        Parameters
        ----------
        statistic
            ``"mean"``, ``"sum"`` and ``"max"`` of the bases with a value, or ``"coverage"``, the
            fraction of bases with a value.
        gaps
            What a base without value counts as: ``"mask"`` leaves it out, and a bin without any
            value is NaN; ``"zero"`` counts it as 0.

        Raises
        ------
        InputError
            When the statistic does not exist.
        """
        size = self.end - self.start
        zero = gaps == "zero"
        if statistic not in STATISTICS:
            raise InputError(
                f"no statistic of bins is named '{statistic}'",
                remedy=f"Choose one of {', '.join(STATISTICS)}",
            )
        with np.errstate(invalid="ignore", divide="ignore"):
            if statistic == "mean":
                found = self.sums / (size if zero else self.covered)
            elif statistic == "coverage":
                found = self.covered / size
            elif statistic == "sum":
                found = np.where(zero | (self.covered > 0), self.sums, np.nan)
            else:
                found = self.largest
                if zero:
                    found = np.where(self.covered < size, np.fmax(found, 0), found)
        if self._order is None:
            return found
        ordered = np.empty_like(found)
        ordered[self._order] = found
        return ordered


@kernel
def _add(segments, bins, low, sums, covered, largest):
    """Add segments to bins in ascending order; return the first bin that is not finished."""
    start, end, value = segments
    bin_start, bin_end = bins
    first, last = start[0], end[-1]
    while low < bin_start.size and bin_end[low] <= first:
        low += 1
    i = low
    while i < bin_start.size and bin_start[i] < last:
        # The first segment that ends after the start of the bin.
        left, right = 0, start.size
        while left < right:
            middle = (left + right) // 2
            if end[middle] > bin_start[i]:
                right = middle
            else:
                left = middle + 1
        while left < start.size and start[left] < bin_end[i]:
            v = value[left]
            if not np.isnan(v):
                bases = min(end[left], bin_end[i]) - max(start[left], bin_start[i])
                sums[i] += bases * v
                covered[i] += bases
                if bases > 0 and not largest[i] >= v:
                    largest[i] = v
            left += 1
        i += 1
    return low


def _plain_values(
    signal: np.ndarray, start: np.ndarray, end: np.ndarray, statistic: str, gaps: str
) -> np.ndarray:
    """`BinSums.values` from the value of every base of a contig, NaN for none."""
    if gaps == "zero" and statistic != "coverage":
        signal = np.nan_to_num(signal)
    found = []
    for low, high in zip(start, end, strict=True):
        known = signal[low:high][~np.isnan(signal[low:high])]
        if statistic == "coverage":
            found.append(known.size / (high - low))
        elif known.size == 0:
            found.append(np.nan)
        else:
            found.append({"mean": np.mean, "sum": np.sum, "max": np.max}[statistic](known))
    return np.array(found)
