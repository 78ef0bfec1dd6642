"""Recognise the assembly of a genome by the lengths of its chromosomes, or by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Assembly(NamedTuple):
    """A well-known assembly.

    Attributes
    ----------
    name
        UCSC's name, and the name of the authors.
    lengths
        Bases of two chromosomes that no other assembly has: the longest and the shortest
        autosome.
    names
        Pattern of the names in headers, in lower case.
    """

    name: str
    lengths: tuple[int, int]
    names: str


# Chromosomes 1 and 22 (human), 1 and 19 (mouse), from UCSC's chrom.sizes. The lengths distinguish
# assemblies where names do not, as in brentp/somalier.
ASSEMBLIES = (
    Assembly("hg18 (NCBI36)", (247_249_719, 49_691_432), r"hg18|ncbi_?36|\bb36"),
    Assembly("hg19 (GRCh37)", (249_250_621, 51_304_566), r"hg19|grch_?37|\bb37|hs37d5|g1k_v37"),
    Assembly("hg38 (GRCh38)", (248_956_422, 50_818_468), r"hg38|grch_?38|\bb38|hs38d"),
    Assembly("T2T-CHM13", (248_387_328, 51_324_926), r"chm13|\bhs1\b|\bt2t"),
    Assembly("mm9 (NCBI37)", (197_195_432, 61_342_430), r"mm9|ncbim?37"),
    Assembly("mm10 (GRCm38)", (195_471_971, 61_431_566), r"mm10|grcm_?38"),
    Assembly("mm39 (GRCm39)", (195_154_279, 61_420_004), r"mm39|grcm_?39"),
)


def assembly_by_lengths(lengths: Iterable[int]) -> str | None:
    """Name of the assembly that has contigs of these lengths; None if none or several have."""
    found = set(lengths)
    names = [one.name for one in ASSEMBLIES if found & set(one.lengths)]
    return names[0] if len(names) == 1 else None


def assembly_by_name(text: str) -> str | None:
    """Name of the assembly that a text names, such as a header line; None if none or several."""
    lowered = text.lower()
    names = [one.name for one in ASSEMBLIES if re.search(rf"(?:{one.names})(?!\d)", lowered)]
    return names[0] if len(names) == 1 else None
