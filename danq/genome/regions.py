"""Regions of a genome: ``chr:start-end`` as a user types it, and intervals inside a contig."""

from __future__ import annotations

import re

from danq.errors import InputError

BOUNDS = re.compile(r"([0-9][0-9,]*)-([0-9][0-9,]*)")


def parse_region(text: str) -> tuple[str, int, int | None]:
    """Read a region as a person types it: ``chr:start-end``, 1-based and closed, or ``chr``.

    Parameters
    ----------
    text
        Region; commas inside the numbers do no harm.

    Returns
    -------
    chrom : str
        Contig name.
    start : int
        0-based first position.
    end : int or None
        0-based position after the last one; None where only a contig was named.

    Raises
    ------
    InputError
        When there is no name, a part after the last colon that is not ``start-end``, a
        start below 1 or an end below the start.

    Examples
    --------
    >>> parse_region("chrIV:1,001-2,000")
    ('chrIV', 1000, 2000)
    >>> parse_region("chrIV")
    ('chrIV', 0, None)
    """
    text = text.strip()
    chrom, colon, place = text.rpartition(":")
    if not colon:
        chrom = text
    if not chrom or any(letter.isspace() for letter in chrom):
        raise _bad_region(text, "names no contig")
    if not colon:
        return chrom, 0, None
    numbers = BOUNDS.fullmatch(place)
    if numbers is None:
        raise _bad_region(text, f"has '{place}' after the colon, not start-end")
    start, end = (int(number.replace(",", "")) for number in numbers.groups())
    if start < 1:
        raise _bad_region(text, f"starts at {start}, below 1")
    if end < start:
        raise _bad_region(text, f"ends at {end}, below its start, {start}")
    return chrom, start - 1, end


def check_interval(contigs: dict[str, int], name: str, start: int, end: int | None) -> None:
    """Refuse an interval that is not inside a contig; 0-based half-open.

    Raises
    ------
    InputError
        When ``name`` is not in ``contigs``, ``start`` is negative, ``end`` is below
        ``start`` or ``end`` is above the contig's length.
    """
    if name not in contigs:
        few = ", ".join(list(contigs)[:5])
        raise InputError(f"no contig '{name}' in the genome, which has {few}")
    stop = contigs[name] if end is None else end
    if not 0 <= start <= stop <= contigs[name]:
        raise InputError(
            f"{name}:{start}-{stop} (0-based half-open) is not inside the contig, "
            f"which has {contigs[name]:,} bases"
        )


def _bad_region(text: str, problem: str) -> InputError:
    return InputError(
        f"the region '{text}' {problem}",
        remedy="Write chr:start-end, 1-based with both ends included, or chr alone",
    )
