"""The regions of a genome that are held out for validation and test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from danq.datasets.dataset_format import SPLITS
from danq.errors import InputError, few
from danq.genome.regions import UnknownContig, parse_regions

log = logging.getLogger("danq")

SHARE = 0.10
"""Fraction of the genome for each held-out split that the user does not define."""


@dataclass(frozen=True)
class HeldOutRegion:
    """A held-out region, 0-based half-open on a contig, and its split."""

    contig: str
    start: int
    end: int
    split: str

    def __str__(self) -> str:
        return f"{self.contig}:{self.start + 1:,}-{self.end:,}"


def held_out(
    valid: str | Sequence[str] | None,
    test: str | Sequence[str] | None,
    contigs: Mapping[str, int],
) -> list[HeldOutRegion]:
    """Regions of both held-out splits.

    Parameters
    ----------
    valid, test
        Contigs (``chr8``) or regions (``chr8:1-500000``, 1-based, closed), as a sequence or
        separated by commas; `danq.genome.regions.parse_regions` reads them. None chooses the
        contig whose length is nearest to a tenth of the genome. With too few contigs it chooses
        the end of the longest one; with contigs that are too small, the longest ones that make a
        tenth together. The choice is logged.
    contigs
        Length of each usable contig, by name.

    Returns
    -------
    list of HeldOutRegion
        Validation first.

    Raises
    ------
    InputError
        When a contig is unknown, a region is not inside its contig, a list is empty, or two
        regions overlap, within one split or between them.
    """
    regions: list[HeldOutRegion] = []
    for split, entries in (("valid", valid), ("test", test)):
        if entries is not None:
            regions += _read(split, entries, contigs)
    for split, entries in (("test", test), ("valid", valid)):
        if entries is None:
            chosen = _choose(split, contigs, regions)
            listed = ",".join(_as_typed(region, contigs) for region in chosen)
            log.info("no %s regions given: using %s", split, listed)
            regions += chosen
    regions.sort(key=lambda region: SPLITS.index(region.split))
    _refuse_overlap(regions)
    return regions


def _read(
    split: str, entries: str | Sequence[str], contigs: Mapping[str, int]
) -> list[HeldOutRegion]:
    if not (entries.strip() if isinstance(entries, str) else entries):
        raise InputError(
            f"the {split} split is empty: no contig was given",
            remedy="Give contigs or regions, such as chr8,chr9:1-500000",
        )
    source = f"the {split} split"
    try:
        found = parse_regions(entries, contigs, source=source)
    except UnknownContig as error:
        raise InputError(
            f"{source} has the contig '{error.name}', which is not in the genome or is skipped",
            remedy=f"The {len(contigs)} contigs are {few(contigs, 20)}",
        ) from error
    except InputError as error:
        raise InputError(f"{source}: {error.problem}", remedy=error.remedy) from error
    return [HeldOutRegion(*region, split) for region in found]


def _as_typed(region: HeldOutRegion, contigs: Mapping[str, int]) -> str:
    whole = (region.start, region.end) == (0, contigs[region.contig])
    return region.contig if whole else f"{region.contig}:{region.start + 1}-{region.end}"


def _refuse_overlap(regions: Sequence[HeldOutRegion]) -> None:
    ordered = sorted(regions, key=lambda region: (region.contig, region.start))
    for one, other in pairwise(ordered):
        if one.contig == other.contig and other.start < one.end:
            raise InputError(
                f"{one} ({one.split}) and {other} ({other.split}) overlap",
                remedy="Hold out each base at most once",
            )


def _choose(
    split: str, contigs: Mapping[str, int], taken: Sequence[HeldOutRegion]
) -> list[HeldOutRegion]:
    total = sum(contigs.values())
    used = {region.contig for region in taken}
    free = sorted((name for name in contigs if name not in used), key=lambda name: -contigs[name])
    nearest = min(free, key=lambda name: abs(contigs[name] / total - SHARE), default=None)
    share = contigs[nearest] / total if nearest else 1.0
    if nearest and SHARE / 2 <= share <= SHARE * 2 and len(free) > 1:
        return [HeldOutRegion(nearest, 0, contigs[nearest], split)]
    if share < SHARE / 2 and contigs[free[0]] / total <= 2 * SHARE:
        chosen: list[HeldOutRegion] = []
        while sum(region.end for region in chosen) < SHARE * total and len(chosen) < len(free):
            name = free[len(chosen)]
            chosen.append(HeldOutRegion(name, 0, contigs[name], split))
        return chosen
    return [_end_of_longest(split, contigs, taken)]


def _end_of_longest(
    split: str, contigs: Mapping[str, int], taken: Sequence[HeldOutRegion]
) -> HeldOutRegion:
    name = max(contigs, key=lambda contig: contigs[contig])
    end = min((piece.start for piece in taken if piece.contig == name), default=contigs[name])
    size = max(1, int(SHARE * contigs[name]))
    if end <= size:
        raise InputError(
            f"{name} has no bases left for the {split} split",
            remedy="Give the contigs or regions of both splits",
        )
    return HeldOutRegion(name, end - size, end, split)
