"""Records as columns of text before they are checked, and the header of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from danq.errors import InputError, few
from danq.files.text_tables import number_problem

DIGITS = 18
"""Largest number of digits of a position; it then fits into 64 bits."""


Interval = tuple[int, int | None]
"""0-based half-open interval of a contig; None for the end of the contig."""


class Records(NamedTuple):
    """Consecutive records as columns of text.

    ``first`` is the 1-based number of the first record, ``numbers`` are the lines in the file
    (empty for tables in memory), ``genotype`` and ``phase_set`` a sample's genotype and phase set,
    as `danq.genome.variants.genotypes.phased` returns them, and ``info`` INFO (all three empty
    without a sample), ``lines`` the complete records, and ``end`` the last base that a record
    covers: of REF, or END of INFO (both empty unless requested).
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
    info: list[str]
    end: Sequence[int] = ()


class Header(NamedTuple):
    """Header of an input: header lines, contigs and samples; all empty for tables."""

    meta: list[str]
    contigs: list[str]
    samples: list[str]


def find_sample(samples: list[str], sample: str, name: str) -> int:
    """Index of a sample among those of a file.

    Raises
    ------
    InputError
        When the file does not have it, or names a sample twice.
    """
    check_samples(samples, name)
    if sample not in samples:
        raise InputError(
            f"has no sample '{sample}'; it has {few(samples, 5) or 'none'}",
            file=name,
            remedy="Choose a sample of the file" if samples else "Use a file with genotypes",
        )
    return samples.index(sample)


def check_samples(samples: list[str], name: str) -> None:
    """Raise an InputError when a file names a sample twice, which VCF forbids."""
    if len(set(samples)) < len(samples):
        repeated = next(one for one, count in Counter(samples).items() if count > 1)
        raise InputError(
            f"has {samples.count(repeated)} samples named '{repeated}'",
            file=name,
            remedy="Give them different names, for example with: bcftools reheader",
        )


def whole_numbers(texts: list[str], name: str, lines: list[int], first: int) -> list[int]:
    """Parse positions; an InputError names the line or record of the first invalid one."""
    joined = "".join(texts)
    fine = joined.isascii() and joined.isdigit() and max(map(len, texts)) <= DIGITS and all(texts)
    for i, text in enumerate([] if fine else texts):
        if not (text.isascii() and text.isdigit() and len(text) <= DIGITS):
            known = number_problem(text)
            raise InputError(
                f"the position {text!r} is not a whole number",
                file=name,
                line=lines[i] if lines else None,
                record=None if lines else str(first + i),
                remedy="; ".join(filter(None, ("Positions are 1-based whole numbers", known))),
            )
    return [int(text) for text in texts]
