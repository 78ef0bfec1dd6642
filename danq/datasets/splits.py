"""Which stretches of a genome are held out for validation and test."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from danq.datasets.dataset_format import SPLITS
from danq.errors import InputError
from danq.genome.regions import parse_region

log = logging.getLogger("danq")

SHARE = 0.10
"""Part of the genome that each held-out split takes where the user names none."""


@dataclass(frozen=True)
class Stretch:
    """A stretch held out: 0-based half-open on a contig, and what it is for."""

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
) -> list[Stretch]:
    """Read the stretches of both held-out splits.

    Parameters
    ----------
    valid, test
        Contigs (``chr8``) or regions (``chr8:1-500000``, 1-based, closed), as a sequence or
        separated by commas. None chooses: the contig whose length is nearest a tenth of the
        genome, or, where contigs are too few or too small for that, the end of the longest
        one or as many of the longest ones as make a tenth. The choice is told.
    contigs
        Length of each contig that may be used, by name.

    Returns
    -------
    list of Stretch
        Validation first.

    Raises
    ------
    InputError
        When a contig is unknown, a region leaves its contig, a list is empty, or two
        stretches overlap, within one split or between them.
    """
    stretches: list[Stretch] = []
    for split, entries in (("valid", valid), ("test", test)):
        if entries is not None:
            stretches += _read(split, entries, contigs)
    for split, entries in (("test", test), ("valid", valid)):
        if entries is None:
            chosen = _choose(split, contigs, stretches)
            listed = ",".join(_typed(stretch, contigs) for stretch in chosen)
            log.info("No %s contigs were named; taking %s.", split, listed)
            stretches += chosen
    stretches.sort(key=lambda stretch: SPLITS.index(stretch.split))
    _refuse_overlap(stretches)
    return stretches


def _read(split: str, entries: str | Sequence[str], contigs: Mapping[str, int]) -> list[Stretch]:
    listed = entries.split(",") if isinstance(entries, str) else list(entries)
    listed = [entry.strip() for entry in listed if entry.strip()]
    if not listed:
        raise InputError(
            f"the {split} split is empty: no contig was named",
            remedy="Name contigs or regions, such as chr8,chr9:1-500000",
        )
    return [_stretch(split, entry, contigs) for entry in listed]


def _stretch(split: str, entry: str, contigs: Mapping[str, int]) -> Stretch:
    # A contig may have a colon in its name, as the HLA contigs of hg38 do.
    contig, start, end = (entry, 0, None) if entry in contigs else parse_region(entry)
    if contig not in contigs:
        names = list(contigs)
        raise InputError(
            f"the {split} split names the contig '{contig}', which the genome "
            "has not, or which is skipped",
            remedy=f"Its {len(names)} contigs are {', '.join(names[:20])}"
            + (", ..." if len(names) > 20 else ""),
        )
    length = contigs[contig]
    stop = length if end is None else end
    if not 0 <= start < stop <= length:
        raise InputError(
            f"the {split} region {entry} is not inside {contig}, which has {length:,} bases",
            remedy="Regions are 1-based and closed, such as chr9:1-500000",
        )
    return Stretch(contig, start, stop, split)


def _typed(stretch: Stretch, contigs: Mapping[str, int]) -> str:
    whole = (stretch.start, stretch.end) == (0, contigs[stretch.contig])
    return stretch.contig if whole else f"{stretch.contig}:{stretch.start + 1}-{stretch.end}"


def _refuse_overlap(stretches: Sequence[Stretch]) -> None:
    ordered = sorted(stretches, key=lambda stretch: (stretch.contig, stretch.start))
    for one, other in pairwise(ordered):
        if one.contig == other.contig and other.start < one.end:
            raise InputError(
                f"{one} ({one.split}) and {other} ({other.split}) overlap",
                remedy="Each base may be held out once",
            )


def _choose(split: str, contigs: Mapping[str, int], taken: Sequence[Stretch]) -> list[Stretch]:
    total = sum(contigs.values())
    used = {stretch.contig for stretch in taken}
    free = sorted((name for name in contigs if name not in used), key=lambda name: -contigs[name])
    nearest = min(free, key=lambda name: abs(contigs[name] / total - SHARE), default=None)
    share = contigs[nearest] / total if nearest else 1.0
    if nearest and SHARE / 2 <= share <= SHARE * 2 and len(free) > 1:
        return [Stretch(nearest, 0, contigs[nearest], split)]
    if share < SHARE / 2 and contigs[free[0]] / total <= 2 * SHARE:
        chosen: list[Stretch] = []
        while sum(stretch.end for stretch in chosen) < SHARE * total and len(chosen) < len(free):
            name = free[len(chosen)]
            chosen.append(Stretch(name, 0, contigs[name], split))
        return chosen
    return [_end_of_longest(split, contigs, taken)]


def _end_of_longest(split: str, contigs: Mapping[str, int], taken: Sequence[Stretch]) -> Stretch:
    name = max(contigs, key=lambda contig: contigs[contig])
    end = min((piece.start for piece in taken if piece.contig == name), default=contigs[name])
    size = max(1, int(SHARE * contigs[name]))
    if end <= size:
        raise InputError(
            f"no room is left on {name} for the {split} split",
            remedy="Name the contigs or regions of both splits",
        )
    return Stretch(name, end - size, end, split)
