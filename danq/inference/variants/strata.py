"""Strata: kinds of variants in classes of regions, within which variants are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from danq.genome.variants import VariantBlock
from danq.inference.variants.region_classes import Lookup, RegionClasses
from danq.typing import IntRow

LENGTHS = {"1": 1, "2 to 5": 5, "6 or more": None}
"""Classes of the bases that an insertion or deletion adds or removes, and the largest of each."""

INDELS = ("insertion", "deletion")
KINDS = ("SNV", *(f"{kind} of {length}" for kind in INDELS for length in LENGTHS), "other")
"""Kinds of normalised variants: one base for one base; bases added or removed only, by their
number; any other replacement."""

ALL = ""
"""In the place of a class of regions: all of them."""


class Stratum(NamedTuple):
    """A group of variants.

    Attributes
    ----------
    kind
        One of `KINDS`, or of `INDELS` for all lengths.
    region
        Class of regions, or `ALL`.
    """

    kind: str
    region: str

    def describe(self) -> str:
        """Kind and region as text."""
        return self.kind if self.region == ALL else f"{self.kind} in {self.region}"


@dataclass(frozen=True)
class Strata:
    """Finds the stratum of variants: strata are numbered region by region, kind by kind.

    Attributes
    ----------
    classes
        Classes of regions.
    lookup
        Finds the class of a position.
    """

    classes: RegionClasses
    lookup: Lookup

    def of(self, block: VariantBlock) -> IntRow:
        """``(V,)`` number of each variant's stratum.

        The region is that of the first base of the normalised allele: the first replaced or
        removed base, or the base after which bases are inserted.
        """
        first = np.array([not text for text in block.ref_allele], dtype=np.int64)
        region = self.lookup(block.contig, np.maximum(block.start - first, 0))
        return region * len(KINDS) + kinds(block.ref_allele, block.alt_allele)


def nested(regions: Sequence[str]) -> list[tuple[Stratum, ...]]:
    """Each stratum by its number, and the larger ones that contain it, the smallest first.

    The larger ones are the same kind in all regions, and an indel of all lengths.
    """
    found = []
    for region in regions:
        for kind in KINDS:
            own = [Stratum(kind, region)] if len(regions) > 1 else []
            group = [Stratum(one, ALL) for one in INDELS if kind.startswith(one)]
            found.append((*own, Stratum(kind, ALL), *group))
    return found


def members(regions: Sequence[str]) -> dict[Stratum, list[int]]:
    """Every stratum of `nested`, with the numbers of those in it."""
    found: dict[Stratum, list[int]] = {}
    for number, strata in enumerate(nested(regions)):
        for stratum in strata:
            found.setdefault(stratum, []).append(number)
    return found


def kinds(ref: Sequence[str], alt: Sequence[str]) -> IntRow:
    """Index in `KINDS` of each pair of trimmed alleles."""
    removed, added = (np.array([len(one) for one in each], dtype=np.int64) for each in (ref, alt))
    limits = [size for size in LENGTHS.values() if size is not None]
    length = np.searchsorted(limits, np.maximum(removed, added), side="left")
    indel = 1 + length + np.where(added == 0, len(LENGTHS), 0)
    single = (removed == 1) & (added == 1)
    return np.where(single, 0, np.where((removed == 0) | (added == 0), indel, len(KINDS) - 1))
