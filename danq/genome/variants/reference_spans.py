"""Count the intervals of carried alleles that overlap windows."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from danq.typing import IntRow

WIDTH = 1 << 40
"""More than any position, so that a group of intervals and a position fit into one integer."""


class Span(NamedTuple):
    """Bases of the genome that a carried allele replaces, and who carries it.

    Attributes
    ----------
    contig, start, end
        Contig number, and the bases, 0-based half-open.
    carriers
        Bit ``h - 1`` is set where haplotype ``h`` carries the allele, or may carry it.
    phase
        Phase set; None where the allele is on every haplotype or its phase is unknown.
    """

    contig: int
    start: int
    end: int
    carriers: int
    phase: int | None


class Spans:
    """Intervals of carried alleles, for counting."""

    def __init__(self, spans: list[Span]) -> None:
        self.size = len(spans)
        phased = [one for one in spans if one.phase is not None]
        self._any = _Groups([((one.contig,), one) for one in spans])
        self._in_set = _Groups([((one.contig, one.phase or 0), one) for one in phased])
        self._carried = _Groups(
            [
                ((one.contig, one.phase or 0, haplotype), one)
                for one in phased
                for haplotype in range(1, one.carriers.bit_length() + 1)
                if one.carriers >> (haplotype - 1) & 1
            ]
        )

    def overlapping(
        self, contig: IntRow, low: IntRow, high: IntRow, haplotype: IntRow, phase: IntRow
    ) -> IntRow:
        """Number of the alleles that overlap each of V windows and may be on its haplotype.

        Parameters
        ----------
        contig, low, high
            ``(V,)`` contig number and bases of the windows, 0-based half-open.
        haplotype, phase
            ``(V,)`` haplotype from 1 and its phase set; haplotype 0: unknown, -1: none.
        """
        known = haplotype > 0
        counts = self._any.overlapping((contig,), low, high)
        in_set = self._in_set.overlapping((contig, phase), low, high)
        carried = self._carried.overlapping((contig, phase, haplotype), low, high)
        counts -= np.where(known, in_set - carried, 0)
        return np.where(haplotype >= 0, counts, 0)


class _Groups:
    """Sorted starts and ends of intervals, by group."""

    def __init__(self, spans: list[tuple[tuple[int, ...], Span]]) -> None:
        self._number: dict[tuple[int, ...], int] = {}
        for key, _ in spans:
            self._number.setdefault(key, len(self._number))
        first = np.array([self._number[key] for key, _ in spans], dtype=np.int64) * WIDTH
        self._starts = np.sort(first + np.array([one.start for _, one in spans], dtype=np.int64))
        self._ends = np.sort(first + np.array([one.end for _, one in spans], dtype=np.int64))

    def overlapping(self, key: tuple[IntRow, ...], low: IntRow, high: IntRow) -> IntRow:
        if not self._number:
            return np.zeros(low.size, dtype=np.int64)
        wanted = zip(*(part.tolist() for part in key), strict=True)
        group = np.array([self._number.get(one, -1) for one in wanted], dtype=np.int64)
        first = group * WIDTH
        started = np.searchsorted(self._starts, first + high, side="left")
        ended = np.searchsorted(self._ends, first + low, side="right")
        return np.where(group >= 0, started - ended, 0)


_NUMBERS = re.compile(r"(?:^|;)(END|SVLEN)=([^;]*)")
_MATE = re.compile(r"([\[\]])(.+):(\d+)[\[\]]")
_ELSEWHERE = ("TRA", "BND", "CTX")
"""Symbolic alleles whose END is a position on another contig."""


def allele_span(chrom: str, pos: int, ref: str, alt: str, info: str) -> tuple[int, int]:
    """Bases of the genome that an allele which cannot be applied replaces, 0-based half-open.

    A symbolic deletion, duplication or inversion covers the bases after POS, up to INFO/END or
    over INFO/SVLEN bases; ``<INS>`` is between POS and the next base. A breakend that joins POS to
    a later base of the contig, as a deletion does, covers the bases between the two. All other
    alleles cover REF.

    Parameters
    ----------
    chrom, pos, ref, alt, info
        As in the VCF, ``pos`` 1-based.
    """
    start, end = max(pos - 1, 0), pos - 1 + len(ref)
    if alt.startswith("<"):
        kind = alt[1:].partition(">")[0].partition(":")[0].upper()
        if kind == "INS":
            return pos, pos
        if kind in _ELSEWHERE:
            return start, end
        last = _last_base(pos, info)
        if last > pos:
            return (start, last) if kind in ("*", "NON_REF") else (pos, last)
        return start, end
    mate = _MATE.search(alt)
    if mate and mate[2] == chrom:
        other = int(mate[3])
        if mate[1] == "[" and not alt.startswith("[") and other > pos:
            return start, other - 1
        if mate[1] == "]" and alt.startswith("]") and other < pos:
            return other, end
    return start, max(end, start + 1)


def lacks_length(pos: int, alt: str, info: str) -> bool:
    """Whether an allele is a symbolic deletion, duplication or inversion of unknown length."""
    kind = alt[1:].partition(">")[0].upper()
    return (
        alt.startswith("<")
        and kind.startswith(("DEL", "DUP", "INV", "CN"))
        and _last_base(pos, info) <= pos
    )


def _last_base(pos: int, info: str) -> int:
    """1-based last base of a symbolic allele; 0 where INFO does not have it."""
    last = 0
    for name, text in _NUMBERS.findall(info):
        for value in text.split(","):
            try:
                number = int(value)
            except ValueError:
                continue
            last = max(last, number if name == "END" else pos + abs(number))
    return last
