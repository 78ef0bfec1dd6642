"""The text of a motif file: its lines, the numbers in them, and what was assumed about them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError
from danq.genome.motif_matrix import SLACK, Motif

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
LARGEST = 1e12
"""Largest number that a matrix may hold."""

MIN_TOTAL = 1.5
"""Smallest sum of fractional counts at a position; a smaller one may be a wrong frequency."""

RNA = "are of RNA; U is read as T"
SHOWN = 3

log = logging.getLogger("danq")


class MotifText:
    """Lines of a motif file, and notices about its motifs.

    Parameters
    ----------
    path
        The file, for errors.
    lines
        Its lines, without line ends.
    """

    def __init__(self, path: Path, lines: Sequence[str]) -> None:
        self.path = path
        self.lines = lines
        self.notices: dict[str, list[str]] = {}

    def error(
        self,
        problem: str,
        line: int | None = None,
        record: str | None = None,
        remedy: str | None = None,
    ) -> InputError:
        """Make an error that names the file."""
        return InputError(problem, file=self.path, line=line, record=record, remedy=remedy)

    def notice(self, text: str, motif: str) -> None:
        """Remember that ``text``, the end of a sentence about motifs, applies to a motif."""
        self.notices.setdefault(text, []).append(motif)

    def log_notices(self, count: int) -> None:
        """Log each notice once, with the number of its motifs out of ``count``."""
        for text, names in self.notices.items():
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            log.warning("%s: %d of %d motifs %s (%s)", self.path, len(names), count, text, shown)

    def numbers(self, fields: Sequence[str], line: int, record: str) -> list[float]:
        """Parse the numbers of a row.

        Raises
        ------
        InputError
            At a field that is not a finite number.
        """
        for field in fields:
            if not NUMBER.fullmatch(field) or abs(float(field)) > LARGEST:
                comma = re.fullmatch(r"[-+]?[0-9]*,[0-9]+", field)
                raise self.error(
                    f"'{field}' in the matrix is not a number",
                    line,
                    record,
                    "Write a decimal point, not a comma" if comma else "Correct the number",
                )
        return [float(field) for field in fields]

    def frequencies(
        self,
        name: str,
        table: Sequence[Sequence[float]],
        lines: Sequence[int],
        nsites: int | None = None,
        comment: Mapping[str, str] | None = None,
    ) -> Motif:
        """Make the motif of base frequencies ``(W, 4)``; ``lines`` are those of the positions.

        Raises
        ------
        InputError
            At a position with a negative number, or whose frequencies do not sum to 1.
        """
        for row, line in zip(table, lines, strict=True):
            total = sum(row)
            if min(row) < 0 or abs(total - 1) > SLACK:
                shown = " ".join(f"{value:g}" for value in row)
                raise self.error(
                    f"the frequencies ({shown}) sum to {total:.4g}, not to 1, or are negative",
                    line,
                    name,
                    "Give the frequencies of A, C, G and T: divide counts by their sum; log odds "
                    "cannot be read",
                )
        return Motif(name, np.array(table), nsites, comment or None)

    def counts(
        self,
        name: str,
        table: Float64[np.ndarray, "W 4"],
        line: int,
        lines: Sequence[int] | None = None,
    ) -> Motif:
        """Make the motif of a matrix of counts or of base frequencies.

        The matrix holds frequencies if all positions sum to 1. Each position of counts is divided
        by its own sum; the number of sites is the largest sum.

        Parameters
        ----------
        name
            Name of the motif.
        table
            Counts or frequencies of A, C, G, T.
        line
            Line of the motif.
        lines
            Lines of the positions, if each has one.

        Raises
        ------
        InputError
            At a negative number, a position of zeros, and a position whose sum is neither 1 nor
            that of counts.
        """
        totals = table.sum(axis=1)

        def error(at: int, problem: str, remedy: str) -> InputError:
            return self.error(problem, line if lines is None else lines[at], name, remedy)

        negative = np.flatnonzero((table < 0).any(axis=1))
        if len(negative):
            at = int(negative[0])
            raise error(
                at,
                f"the matrix has a negative number at position {at + 1} ({table[at].min():g}), so "
                "it may hold log odds (a PWM)",
                "Give the counts or the base frequencies of the motif (a PCM or PFM)",
            )
        low = int(np.argmin(totals))
        if totals[low] == 0:
            raise error(
                low,
                f"the numbers at position {low + 1} are all 0",
                "Remove the position, or correct its numbers",
            )
        if (np.abs(totals - 1) <= SLACK).all():
            return Motif(name, table / totals[:, None])
        if totals[low] < MIN_TOTAL and (table != np.round(table)).any():
            raise error(
                low,
                f"the numbers at position {low + 1} sum to {totals[low]:.4g}: they are neither "
                "frequencies, whose sum is 1, nor counts",
                "Correct the numbers; the file may have its rows and columns exchanged",
            )
        if totals.max() - totals.min() > SLACK * totals.max():
            self.notice(
                "have different sums of counts at their positions; each position is divided by "
                "its own sum",
                name,
            )
        return Motif(name, table / totals[:, None], round(float(totals.max())))
