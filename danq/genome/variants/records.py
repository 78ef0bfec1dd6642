"""Records as columns of text, what a file says of itself, and rows in memory."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

from danq.errors import InputError

DIGITS = 18
"""Most digits of a position, so that it fits 64 bits."""


class Records(NamedTuple):
    """Consecutive records, one text a record and column.

    ``first`` is the 1-based number of the first one, ``numbers`` their lines in the file
    (empty where there are none), ``genotype`` and ``phase_set`` a sample's GT and PS (empty
    where none was asked for), ``lines`` the whole records (empty unless asked for).
    """

    first: int
    numbers: list[int]
    chrom: list[str]
    pos: list[int]
    id: list[str]
    ref: list[str]
    alt: list[str]
    genotype: list[str]
    phase_set: list[str]
    lines: list[str]


class Header(NamedTuple):
    """What an input says of itself: header lines, contigs, samples; empty for tables."""

    meta: list[str]
    contigs: list[str]
    samples: list[str]


class TableSource:
    """Rows in memory: (chrom, pos, ref, alt) or (chrom, pos, ref, alt, id), ``pos`` 1-based."""

    header = Header([], [], [])

    def __init__(self, rows: Iterable[tuple], name: str) -> None:
        self.name = name
        self._rows = iter(rows)
        self._record = 1

    def skip(self, records: int) -> None:
        """Pass over records."""
        self._record += sum(1 for _ in islice(self._rows, records))

    def read(self, count: int) -> Records | None:
        """Read at most ``count`` records; None after the last one.

        Raises
        ------
        InputError
            At a row that has not four or five values or a position that is no whole number.
        """
        taken = [tuple(row) for row in islice(self._rows, count)]
        if not taken:
            return None
        first, self._record = self._record, self._record + len(taken)
        for number, row in enumerate(taken, start=first):
            if len(row) not in (4, 5):
                raise InputError(
                    f"the row has {len(row)} values, not chrom, pos, ref, alt and perhaps id",
                    file=self.name,
                    record=str(number),
                )
        chrom, pos, ref, alt = (["" if v is None else str(v) for v in c] for c in _columns(taken))
        ids = [str(row[4]) if len(row) == 5 and row[4] is not None else "." for row in taken]
        places = whole_numbers(pos, self.name, [], first)
        return Records(first, [], chrom, places, ids, ref, alt, [], [], [])


def find_sample(samples: list[str], sample: str, name: str) -> int:
    """Place of a sample among those of a file; an InputError where it is not there."""
    if sample not in samples:
        few = ", ".join(samples[:5]) + (", ..." if len(samples) > 5 else "")
        raise InputError(
            f"has no sample '{sample}'; it has {few or 'none'}",
            file=name,
            remedy="Name a sample of the file",
        )
    return samples.index(sample)


def whole_numbers(texts: list[str], name: str, lines: list[int], first: int) -> list[int]:
    """Positions from text; an InputError at the first that is none, with its line or record."""
    joined = "".join(texts)
    fine = joined.isascii() and joined.isdigit() and max(map(len, texts)) <= DIGITS and all(texts)
    for i, text in enumerate([] if fine else texts):
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
            raise InputError(
                f"the position {text!r} is not a whole number",
                file=name,
                line=lines[i] if lines else None,
                record=None if lines else str(first + i),
                remedy="Positions count from 1",
            )
    return [int(text) for text in texts]


def _columns(rows: list[tuple]) -> list[list]:
    return [[row[i] for row in rows] for i in range(4)]
