"""Segments of a signal: intervals of one contig with a value each, and the checks on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from danq._jit import kernel
from danq.errors import InputError
from danq.genome.contig_names import REMEDY, ContigBridge, match_contigs

SORT = "Sort it, for example with: sort -k1,1 -k2,2n"


class Segments(NamedTuple):
    """Segments of one contig, in ascending order and without overlap.

    Attributes
    ----------
    contig
        Name in the genome.
    start, end
        0-based half-open.
    value
        Value of each base of a segment; NaN where the file states that it is missing.
    """

    contig: str
    start: Int64[np.ndarray, "N"]
    end: Int64[np.ndarray, "N"]
    value: Float64[np.ndarray, "N"]


class Problem(NamedTuple):
    """The first invalid segment: its index, what is wrong and what to do."""

    index: int
    text: str
    remedy: str


class SignalContigs:
    """The genome's contigs for the contig names of a file, which come one after another.

    Parameters
    ----------
    genome
        Lengths of the genome's contigs by name.
    path
        The file.
    chrom_map
        As in `danq.genome.contig_names.ContigBridge`.
    """

    def __init__(
        self, genome: Mapping[str, int], path: Path, chrom_map: Mapping[str, str] | None = None
    ) -> None:
        self.genome, self.path, self.chrom_map = genome, path, chrom_map
        self.bridge = ContigBridge(genome, source=str(path), chrom_map=chrom_map)
        self.found: dict[str, str | None] = {}
        self.last: str | None = None
        self._ends: dict[str, int] = {}
        self._reported = False

    def enter(self, name: str, line: int | None = None) -> str | None:
        """The genome's contig for the next name of the file; None if the genome lacks it.

        Parameters
        ----------
        name
            Name in the file. Calls with the name of the call before continue a contig.
        line
            Line for errors.

        Raises
        ------
        InputError
            When the contig, also under another name, was left before.
        """
        if name == self.last:
            return self.found[name]
        if name in self.found:
            raise InputError(
                f"returns to '{name}' after other contigs",
                file=self.path,
                line=line,
                remedy=SORT,
            )
        contig = self.bridge.find(name).contig
        if contig is not None and contig in self.found.values():
            first = next(other for other, same in self.found.items() if same == contig)
            raise InputError(
                f"'{first}' and '{name}' are the same contig of the genome, {contig}",
                file=self.path,
                line=line,
                remedy="Keep one of them",
            )
        self.found[name], self.last = contig, name
        return contig

    def check(self, segments: Segments, line_of: Callable[[int], int] | None = None) -> Segments:
        """Check the next segments of a contig, and return them.

        Parameters
        ----------
        segments
            Segments in the order of the file.
        line_of
            Line of a segment, by its index, for errors.

        Raises
        ------
        InputError
            At the first segment that cannot be right (see `first_problem`).
        """
        contig, start, end, value = segments
        problem = first_problem(
            start, end, value, before=self._ends.get(contig, 0), contig=contig,
            length=self.genome[contig],
        )  # fmt: skip
        if problem is not None:
            raise InputError(
                problem.text,
                file=self.path,
                line=None if line_of is None else line_of(problem.index),
                remedy=problem.remedy,
            )
        if end.size:
            self._ends[contig] = int(end[-1])
        return segments

    def report(self) -> None:
        """Log renamed contigs and those that the genome lacks.

        Raises
        ------
        InputError
            When the genome has none of the contigs.
        """
        if not self._reported:
            self._reported = True
            match_contigs(self.found, self.genome, source=str(self.path), chrom_map=self.chrom_map)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of contigs that the genome does not have."""
        return tuple(name for name, contig in self.found.items() if contig is None)


def first_problem(
    start: np.ndarray, end: np.ndarray, value: np.ndarray, *, before: int, contig: str, length: int
) -> Problem | None:
    """The first segment that cannot be right, or None.

    Parameters
    ----------
    start, end, value
        Segments of a contig, in the order of the file.
    before
        End of the segment before the first one; 0 for none.
    contig, length
        Name and length of the contig in the genome.
    """
    index = int(_first_problem(start, end, value, before, length))
    if index < 0:
        return None
    low, high = int(start[index]), int(end[index])
    if low < 0 or high < low:
        text = f"the segment {low}-{high} of {contig} starts below 0 or ends before it starts"
        return Problem(index, text, "Starts are 0-based and below the ends")
    if high > length:
        text = f"the segment {low}-{high} extends past the end of {contig} at {length}"
        return Problem(index, text, REMEDY)
    if not np.isfinite(value[index]) and not np.isnan(value[index]):
        text = f"the value at {contig}:{low + 1} is infinite"
        return Problem(index, text, "Remove it, or mark it as missing (NA)")
    previous = int(end[index - 1]) if index else before
    if index and start[index] < start[index - 1]:
        text = f"the segment {low}-{high} of {contig} comes after one that starts later"
        return Problem(index, text, SORT)
    text = f"the segment {low}-{high} of {contig} overlaps the one before, which ends at {previous}"
    return Problem(index, text, "Give one value for each base; 'bedtools merge -o max' joins them")


@kernel
def _first_problem(start, end, value, before, length):
    last = before
    for i in range(start.size):
        if start[i] < last or end[i] < start[i] or end[i] > length or np.isinf(value[i]):
            return i
        last = end[i]
    return -1
