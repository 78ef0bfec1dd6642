"""Read contigs, positions and alleles from the columns of a table."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import NamedTuple

from danq.errors import InputError
from danq.files.text_tables import is_missing
from danq.genome.variants.raw_records import whole_numbers
from danq.genome.variants.table_columns import REMEDY, TableColumns

NAMED = re.compile(
    r"(?P<chrom>[^:\s]+?)[:_-](?P<pos>\d+)[:_-](?P<ref>[A-Za-z]+|\*|-)[:_/>-](?P<alt>[A-Za-z]+|\*|-)"
    r"(?:[:_](?:b|hg|GRCh)\d\d)?"
)
"""Names such as ``chr1_123_A_G_b38``, ``1:123:A:G`` and ``1-123-A-G``."""

LOCUS = re.compile(r"(?P<chrom>\S+):(?P<pos>\d+)")
START = re.compile(r"(?P<chrom>[^:\s]+?)[:_-](?P<pos>\d+)(?:[:_-].*)?")
PAIR = re.compile(r"\W*(?P<ref>[A-Za-z]+|\*|-)\W+(?P<alt>[A-Za-z]+|\*|-)\W*")
LETTERS = re.compile("[A-Za-z]+")

ONE_BASED = "Give 1-based positions in a column 'pos'"

log = logging.getLogger("danq")


REVERSE = ("-", "-1", "minus")
"""Names of the reverse strand, in lower case."""


class Values(NamedTuple):
    """Contig, 1-based position, name and alleles of consecutive rows."""

    chrom: list[str]
    pos: list[int]
    id: list[str]
    ref: list[str]
    alt: list[str]


class TableValues:
    """Reads blocks of rows of one table.

    Parameters
    ----------
    columns
        Columns of the table.
    names
        Their names.
    file
        Name of the table in messages.
    """

    def __init__(self, columns: TableColumns, names: list[str], file: str) -> None:
        self.columns, self.names, self.file = columns, names, file
        self._zero_based = columns.zero_based
        self._without_position = 0
        if columns.start >= 0 and columns.zero_based:
            self._announce(columns.zero_based)

    def read(self, column: Callable[[int], list[str]], numbers: list[int], first: int) -> Values:
        """Values of a block.

        Parameters
        ----------
        column
            Returns the texts of a column.
        numbers
            Line of each row; empty for a table in memory.
        first
            1-based number of the first row.

        Raises
        ------
        InputError
            At a position that is not a whole number, a strand ``-``, a name that does not show
            what is missing in the table, and intervals of which it is not clear whether they are
            0-based.
        """
        rows = _Rows(self.columns, self.names, self.file, column, numbers, first)
        rows.check_strand()
        chrom, pos, ref, alt = rows.values()
        if self.columns.start >= 0:
            positions = self._from_intervals(rows, ref, alt)
        else:
            positions = rows.whole(pos)
        missing = positions.count(0)
        if missing and not self._without_position:
            log.warning(
                "%s: has rows without a position, the first is %s; they are rejected",
                self.file,
                rows.place_of(positions.index(0)),
            )
        self._without_position += missing
        ids = rows.texts(self.columns.id) if self.columns.id >= 0 else ["."] * len(chrom)
        return Values(chrom, positions, [one or "." for one in ids], ref, alt)

    def _from_intervals(self, rows: _Rows, ref: list[str], alt: list[str]) -> list[int]:
        """1-based positions from the columns of start and end."""
        starts = rows.whole(rows.texts(self.columns.start))
        if self.columns.zero_based and self.columns.end < 0:
            return [start + 1 for start in starts]
        ends = rows.whole(rows.texts(self.columns.end))
        for i, (start, end, one, other) in enumerate(zip(starts, ends, ref, alt, strict=True)):
            if not LETTERS.fullmatch(one) or not (self.columns.oriented or len(one) == len(other)):
                continue
            zero_based = end - start == len(one)
            if self._zero_based is None:
                self._zero_based = zero_based
                self._announce(zero_based)
            if end - start != len(one) - 1 + self._zero_based:
                raise InputError(
                    f"{len(one)} bases of REF do not fit the interval from {start} to {end}, "
                    f"which is {'0-based' if self._zero_based else '1-based'} in other rows",
                    **rows.place(i),
                    remedy=ONE_BASED,
                )
        if self._zero_based is None:
            raise InputError(
                "the intervals do not show whether positions are 0-based",
                **rows.place(0),
                remedy=ONE_BASED,
            )
        if not self._zero_based:
            return starts
        # The empty interval of an insertion is after the base with that 1-based number.
        return [start + (end > start) for start, end in zip(starts, ends, strict=True)]

    def _announce(self, zero_based: bool) -> None:
        name = self.names[self.columns.start]
        log.info(
            "%s: the column %r is %s",
            self.file,
            name,
            "0-based, so 1 is added"
            if zero_based
            else "1-based, since REF has end - start + 1 bases",
        )


class _Rows:
    """A block of rows as text."""

    def __init__(
        self,
        columns: TableColumns,
        names: list[str],
        file: str,
        column: Callable[[int], list[str]],
        numbers: list[int],
        first: int,
    ) -> None:
        self.columns, self.names, self.file = columns, names, file
        self._column, self.numbers, self.first = column, numbers, first

    def texts(self, index: int) -> list[str]:
        """Texts of a column without spaces around them, and those of a file without quotes."""
        texts = self._column(index)
        joined = "".join(texts)
        if '"' in joined and self.numbers:
            return [unquoted(text.strip()) for text in texts]
        return [text.strip() for text in texts] if " " in joined else texts

    def place(self, i: int) -> dict:
        """Place of a row for an error."""
        if self.numbers:
            return {"file": self.file, "line": self.numbers[i]}
        return {"file": self.file, "record": str(self.first + i)}

    def place_of(self, i: int) -> str:
        """Place of a row as text."""
        return f"line {self.numbers[i]}" if self.numbers else f"row {self.first + i}"

    def whole(self, texts: list[str]) -> list[int]:
        """Positions; 0 for a missing one."""
        if not "".join(texts).isdigit() or not all(texts):
            texts = ["0" if is_missing(text) else text for text in texts]
        return whole_numbers(texts, self.file, self.numbers, self.first)

    def check_strand(self) -> None:
        """Raise at the first row of the reverse strand."""
        if self.columns.strand < 0:
            return
        strands = self.texts(self.columns.strand)
        reverse = next((i for i, one in enumerate(strands) if one.strip().lower() in REVERSE), None)
        if reverse is not None:
            name = self.names[self.columns.strand]
            raise InputError(
                f"the strand in the column {name!r} is {strands[reverse].strip()!r}",
                **self.place(reverse),
                remedy="Give alleles of the forward strand and remove the column; if it is the "
                "strand of a gene, rename it",
            )

    def values(self) -> tuple[list[str], list[str], list[str], list[str]]:
        """Contigs, positions and alleles as text; positions are empty for intervals."""
        columns = self.columns
        chrom, pos, ref, alt = (
            self.texts(index) if index >= 0 else None
            for index in (columns.chrom, columns.pos, columns.ref, columns.alt)
        )
        if columns.locus >= 0:
            found = self._matches(columns.locus, LOCUS, "CHROM:POS")
            chrom, pos = [one["chrom"] for one in found], [one["pos"] for one in found]
        if columns.alleles >= 0:
            found = self._matches(columns.alleles, PAIR, '["REF","ALT"]')
            ref, alt = [one["ref"] for one in found], [one["alt"] for one in found]
        if columns.variant >= 0:
            whole = ref is None
            pattern, form = (NAMED, "CHROM:POS:REF:ALT") if whole else (START, "CHROM:POS")
            found = self._matches(columns.variant, pattern, form)
            if whole:
                ref, alt = [one["ref"] for one in found], [one["alt"] for one in found]
            if pos is not None:
                self._check_positions(pos, found)
            if chrom is None:
                chrom, pos = [one["chrom"] for one in found], [one["pos"] for one in found]
        assert chrom is not None
        assert ref is not None
        assert alt is not None
        return chrom, pos or [], ref, alt

    def _matches(self, index: int, pattern: re.Pattern[str], form: str) -> list[re.Match[str]]:
        found = []
        for i, text in enumerate(self.texts(index)):
            if (match := pattern.fullmatch(text)) is None:
                raise InputError(
                    f"{text[:40]!r} in the column {self.names[index]!r} is not {form}, and the "
                    "table has no other columns of contig, position and alleles",
                    **self.place(i),
                    remedy=REMEDY,
                )
            found.append(match)
        return found

    def _check_positions(self, pos: list[str], found: list[re.Match[str]]) -> None:
        for i, (text, match) in enumerate(zip(pos, found, strict=True)):
            if text != match["pos"]:
                raise InputError(
                    f"the position is {text!r}, and the variant is named {match[0][:40]!r}",
                    **self.place(i),
                    remedy="Give positions of one assembly, or the alleles in columns ref and alt",
                )


def unquoted(text: str) -> str:
    """A field without the double quotes around it; ``""`` inside them is a double quote."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"').strip()
    return text
