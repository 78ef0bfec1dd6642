"""The text of a motif file: checks of its lines, and Biopython's reading of its matrices."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from Bio import motifs as bio
from jaxtyping import Float64

from danq.errors import InputError, few
from danq.genome.motif_matrix import LETTERS, SLACK, Motif

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
LARGEST = 1e12
"""Largest number that a matrix may hold."""

MIN_TOTAL = 1.5
"""Smallest sum of fractional counts at a position; a smaller one may be a wrong frequency."""

RNA = "are of RNA; U is read as T"

END = re.compile(r"(MOTIF|URL|BL)\b|[-*=_]{3,}\s*$|\w+-\w+ matrix|//")
"""Start of a line that ends the rows of a matrix."""

MIN_NUMBERS = 3
"""Number of numbers that make a line a row, also after a first field that is none."""

SUFFIXES = (".gz", ".bgz", ".txt", ".pwm", ".pfm", ".pcm", ".tsv")
TRUNCATED = "The file may be truncated; download it again"

log = logging.getLogger("danq")


class MotifText:
    """Lines of the motif file ``path``, without line ends, and notices about its motifs."""

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
            log.warning(
                "%s: %d of %d motifs %s (%s)", self.path, len(names), count, text, few(names)
            )

    def check_numbers(self, fields: Sequence[str], line: int, record: str) -> None:
        """Check that the fields of a row are finite numbers.

        Raises
        ------
        InputError
            At a field that is not.
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

    def name_or_file(self, name: str, line: int, remedy: str, *, alone: bool) -> str:
        """The name of a matrix; that of the file if its only matrix has none.

        Raises
        ------
        InputError
            When one of several matrices has no name.
        """
        if not name and not alone:
            raise self.error("the matrix has no name", line, remedy=remedy)
        if not name:
            name = self.path.name
            while name.lower().endswith(SUFFIXES):
                name = name[: name.rindex(".")]
            self.notice("are named after their file", name or "motif")
        return name or "motif"

    def bases(self, letters: Sequence[str], line: int, record: str) -> str:
        """The bases of columns or rows, with T for U.

        Raises
        ------
        InputError
            When they are not those of DNA or RNA.
        """
        found = "".join(letters).upper()
        if len(found) != len(letters) or sorted(found) not in (list(LETTERS), list("ACGU")):
            raise self.error(
                f"the columns of the matrix are {' '.join(letters) or 'not named'}, not A C G T",
                line,
                record,
                "Give motifs of DNA or RNA; the file may be truncated",
            )
        if "U" in found:
            self.notice(RNA, record)
        return found.replace("U", "T")

    def positions(
        self,
        start: int,
        record: str,
        end: re.Pattern[str] = END,
        *,
        numbered: bool = False,
        more: bool = False,
        empty: str = TRUNCATED,
    ) -> tuple[dict[int, list[str]], int]:
        """Find and check the rows of a matrix with one row per position, from index ``start``.

        The matrix ends at a line without numbers, or that starts with ``end``. Its rows are
        ``numbered`` if the number of the position precedes each; ``more`` fields may follow the
        four numbers. ``empty`` is the remedy when there is no row.

        Returns
        -------
        tuple
            1-based line of each position -> its four numbers; and the index of the next line.

        Raises
        ------
        InputError
            When there is no row, a row does not have four finite numbers, or positions are not
            numbered one after another.
        """
        rows: dict[int, list[str]] = {}
        first = index = 0
        for index in range(start, len(self.lines)):
            line = self.lines[index].strip()
            if not line or line.startswith("#"):
                continue
            fields = line.split()
            number_like = line[0] in "+-.0123456789" or fields[0].lower() in ("nan", "inf")
            numbers = sum(NUMBER.fullmatch(one) is not None for one in fields)
            if end.match(line) or not (number_like or numbers >= MIN_NUMBERS):
                break
            label = fields.pop(0) if numbered else ""
            if len(fields) < 4 or (len(fields) > 4 and not more):
                raise self.error(
                    f"a row of the matrix has {len(fields)} numbers, not 4 (A, C, G, T)",
                    index + 1,
                    record,
                    "Correct the row; the file may be truncated, or of protein",
                )
            if numbered:
                self.check_numbers([label], index + 1, record)
                first = first if rows else float(label)
                if float(label) != first + len(rows):
                    raise self.error(
                        f"position {label} does not follow position {first + len(rows) - 1:g}",
                        index + 1,
                        record,
                        "A row may be missing; download the file again",
                    )
            self.check_numbers(fields[:4], index + 1, record)
            rows[index + 1] = fields[:4]
        else:
            index = len(self.lines)
        if not rows:
            raise self.error("the matrix has no rows", start, record, empty)
        return rows, index

    def parse(
        self, form: str, lines: Iterable[str], width: int, line: int, record: str
    ) -> Float64[np.ndarray, "W 4"]:
        """Parse the checked lines of one motif of ``width`` positions with Biopython.

        Parameters
        ----------
        form
            Name of the format in `Bio.motifs`.

        Raises
        ------
        InputError
            When Biopython cannot read the lines, or reads another number of positions.
        """
        try:
            (motif,) = bio.parse(io.StringIO("\n".join(lines) + "\n"), form, strict=False)
            table = np.array([motif.counts[base] for base in LETTERS], dtype=np.float64).T
            if len(table) != width:
                raise ValueError(f"{len(table)} of {width} positions were read")
        except Exception as error:  # Biopython raises it bare, beside many of its subclasses
            raise self.error(
                f"Biopython cannot read the matrix ({type(error).__name__}: {error})",
                line,
                record,
                "Give the motif in MEME's minimal format",
            ) from error
        return table

    def motif(
        self,
        name: str,
        table: Float64[np.ndarray, "W 4"],
        line: int,
        lines: Sequence[int] | None = None,
    ) -> Motif:
        """Make the motif of a matrix of counts or of base frequencies.

        The matrix holds frequencies if all positions sum to 1. Each position of counts is divided
        by its own sum; the number of sites is the largest sum. ``lines`` are those of the
        positions, if each has one.

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
