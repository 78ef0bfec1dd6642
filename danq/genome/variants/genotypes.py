"""Parse a sample's genotypes: which haplotypes carry an allele, and in which phase set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

UNPHASED = -1
PLOIDY = 62
"""Largest number of haplotypes: one bit of an int64 each."""

KEPT = 1 << 12
"""Most genotypes that are cached."""

MISSING = -1
"""Code of a missing allele (``.``)."""

_SEPARATOR = re.compile(r"[/|]")


class Call(NamedTuple):
    """Haplotypes that carry an allele.

    Attributes
    ----------
    carriers, missing
        Bit ``h - 1`` is set where haplotype ``h`` carries the allele, and where its allele is
        missing.
    every
        Whether all haplotypes carry it.
    phase
        Phase set, or UNPHASED.
    """

    carriers: int
    missing: int
    every: bool
    phase: int


class Genotypes:
    """Calls of alleles, cached by the text of the genotype."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, str], Call] = {}
        self._sets: dict[str, int] = {".": 0}

    def call(self, genotype: str, allele: int, phase_set: str) -> Call:
        """Haplotypes that carry an allele; 0 is REF.

        Raises
        ------
        ValueError
            When the genotype cannot be parsed.
        """
        key = genotype, allele, phase_set
        if key not in self._known:
            if len(self._known) > KEPT:
                # Every phase set adds keys.
                self._known.clear()
            self._known[key] = self._parse(genotype, allele, phase_set)
        return self._known[key]

    def _parse(self, genotype: str, allele: int, phase_set: str) -> Call:
        called = codes(genotype)
        carriers = sum(1 << i for i, one in enumerate(called) if one == allele)
        missing = sum(1 << i for i, one in enumerate(called) if one == MISSING)
        every = all(one == allele for one in called)
        phase = self._sets.setdefault(phase_set, len(self._sets))
        if not every and "/" in genotype:
            phase = UNPHASED
        return Call(carriers, missing, every, phase)


def codes(genotype: str) -> list[int]:
    """Allele of each haplotype: 0 for REF, MISSING where it is missing.

    Raises
    ------
    ValueError
        When an allele is neither a number nor ``.``, or there are more than PLOIDY.
    """
    called = _SEPARATOR.split(genotype.lstrip("/|"))
    if len(called) > PLOIDY or not all(one == "." or one.isdecimal() for one in called):
        raise ValueError(genotype)
    return [MISSING if one == "." else int(one) for one in called]


def phased(values: Mapping[str, str]) -> tuple[str, str]:
    """Genotype and phase set of a call.

    PS is the phase set (PSL where there is one for each allele). Without it, GATK's PID is, if PGT
    has the alleles of GT: PGT then replaces an unphased GT. PGT of a record with several ALT
    alleles may number other alleles than GT does, and is then ignored.

    Parameters
    ----------
    values
        Values of the sample by their key in FORMAT.
    """
    genotype = values.get("GT", ".")
    phase_set = values.get("PS", ".")
    if phase_set == "." and ("PSL" in values or "PID" in values):
        return _without_ps(genotype, values)
    return genotype, phase_set


def _without_ps(genotype: str, values: Mapping[str, str]) -> tuple[str, str]:
    phase_set = values.get("PSL", ".")
    pid, pgt = values.get("PID", "."), values.get("PGT", ".")
    if phase_set == "." and pid != "." and "|" in pgt and "/" not in pgt:
        unphased = "/" in genotype
        ours, theirs = _SEPARATOR.split(genotype), pgt.split("|")
        if (sorted(ours) == sorted(theirs)) if unphased else ours == theirs:
            return pgt, f"PID {pid}"
    return genotype, phase_set
