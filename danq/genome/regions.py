"""Regions of a genome: ``chr:start-end`` as a user types it, and intervals inside a contig."""

from __future__ import annotations

import re

from danq.errors import InputError

BOUNDS = re.compile(r"([0-9][0-9,]*)-([0-9][0-9,]*)")


def parse_region(text: str) -> tuple[str, int, int | None]:
    """Parse a region as typed by a user: ``chr:start-end``, 1-based and closed, or ``chr``.

    Parameters
    ----------
    text
        Region; the numbers may contain commas.

    Returns
    -------
    chrom : str
        Contig name.
    start : int
        0-based first position.
    end : int or None
        0-based position after the last one; None for a whole contig.

    Raises
    ------
    InputError
        When there is no contig name, the text after the last colon is not ``start-end``, the
        start is below 1 or the end is below the start.

    Examples
    --------
    >>> parse_region("chrIV:1,001-2,000")
    ('chrIV', 1000, 2000)
    >>> parse_region("chrIV")
    ('chrIV', 0, None)
    """
    text = text.strip()
    chrom, colon, bounds = text.rpartition(":")
    if not colon:
        chrom = text
    if not chrom or any(letter.isspace() for letter in chrom):
        raise _bad_region(text, "has no contig name")
    if not colon:
        return chrom, 0, None
    numbers = BOUNDS.fullmatch(bounds)
    if numbers is None:
        raise _bad_region(text, f"has '{bounds}' after the colon, not start-end")
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
        raise InputError(f"no contig '{name}': the genome has {few}")
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
