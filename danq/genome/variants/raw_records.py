"""Records as columns of text, and what a file says of itself."""

from __future__ import annotations

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
