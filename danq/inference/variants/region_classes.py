"""Classes of genomic regions, by which variants are compared with background variants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int

from danq.errors import InputError
from danq.genome.bed import read_bed
from danq.genome.contig_names import match_contigs
from danq.genome.packed_genome import PackedGenome
from danq.names import check_names
from danq.typing import IntRow, Location

ELSEWHERE = "."
"""Class of the positions outside all intervals."""

MOST_CLASSES = 100
"""Largest number of classes: each needs many background variants of each kind."""

Lookup = Callable[[IntRow, IntRow], IntRow]
"""Class number of each position, from contig numbers of a genome and 0-based positions."""


def _none() -> IntRow:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class RegionClasses:
    """Intervals of a genome, each of one class; they do not overlap.

    Attributes
    ----------
    names
        Classes in order of their numbers. The first one is `ELSEWHERE`.
    contigs
        Contig names C.
    contig
        ``(I,)`` index in ``contigs``, ascending.
    start, end
        ``(I,)`` 0-based half-open, ascending within a contig.
    number
        ``(I,)`` class number of each interval, from 1.
    """

    names: tuple[str, ...] = (ELSEWHERE,)
    contigs: tuple[str, ...] = ()
    contig: Int[np.ndarray, "I"] = field(default_factory=_none)
    start: Int[np.ndarray, "I"] = field(default_factory=_none)
    end: Int[np.ndarray, "I"] = field(default_factory=_none)
    number: Int[np.ndarray, "I"] = field(default_factory=_none)

    def sha256(self) -> str:
        """SHA-256 of the classes and intervals, in hexadecimal."""
        sha = hashlib.sha256(f"{self.names} {self.contigs}".encode())
        for part in (self.contig, self.start, self.end, self.number):
            sha.update(part.astype("<i8").data)
        return sha.hexdigest()

    def lookup(self, genome: PackedGenome, source: str) -> Lookup:
        """Function that finds the class of positions of a genome.

        Parameters
        ----------
        genome
            The genome; its contigs may have other names.
        source
            File of the intervals, for messages.

        Raises
        ------
        InputError
            As `danq.genome.contig_names.match_contigs`.
        """
        found = match_contigs(self.contigs, genome.contigs, source=source)
        numbers = {
            index: genome.numbers[name]
            for index, contig in enumerate(self.contigs)
            if (name := found[contig]) is not None
        }
        # One coordinate over all contigs.
        before = np.append(0, np.cumsum(genome.lengths + 1))
        theirs = np.array([numbers.get(i, -1) for i in range(len(self.contigs))], dtype=np.int64)
        at = theirs[self.contig] if len(theirs) else self.contig
        kept = np.flatnonzero(at >= 0)
        order = kept[np.argsort(before[at[kept]] + self.start[kept], kind="stable")]
        start, end = (before[at[order]] + one[order] for one in (self.start, self.end))
        number = self.number[order]

        def classes(contig: IntRow, position: IntRow) -> IntRow:
            if not len(start):
                return np.zeros(len(contig), dtype=np.int64)
            place = before[contig] + np.minimum(position, genome.lengths[contig] - 1)
            last = np.searchsorted(start, place, side="right") - 1
            inside = (last >= 0) & (place < end[last])
            return np.where(inside, number[last], 0)

        return classes


def read_region_classes(
    path: Location, genome: PackedGenome, chrom_map: Mapping[str, str] | None = None
) -> RegionClasses:
    """Read intervals with the name of a class in column 4.

    Where intervals of several classes overlap, the class that the file names first applies.

    Parameters
    ----------
    path
        BED file.
    genome
        The genome that the intervals are of.
    chrom_map
        Contig names of the file to names of the genome.

    Raises
    ------
    InputError
        As `danq.genome.bed.read_bed` and `danq.genome.contig_names.match_contigs`; when an
        interval has no name, a name is unsuitable, or there are more than `MOST_CLASSES`.
    """
    table = read_bed(path)
    if "name" not in table.columns:
        raise InputError(
            "has no names in column 4",
            file=path,
            remedy="Put the class of each region (such as promoter) into column 4",
        )
    labels = table["name"].to_list()
    names = tuple(dict.fromkeys(labels))
    if ELSEWHERE in names or "" in names:
        raise InputError(
            f"interval {min(labels.index(one) for one in (ELSEWHERE, '') if one in names) + 1} "
            "has no class in column 4",
            file=path,
            remedy="Give each interval a class, or remove it",
        )
    if len(names) > MOST_CLASSES:
        raise InputError(
            f"has {len(names):,} classes in column 4 ('{names[0]}', '{names[1]}', ...); at most "
            f"{MOST_CLASSES} are allowed",
            file=path,
            remedy="Give one name to all regions of a class, such as promoter",
        )
    check_names(names, "class of regions", file=path)
    contigs = table["chrom"].to_list()
    matched = match_contigs(contigs, genome.contigs, source=str(Path(path)), chrom_map=chrom_map)
    chrom = np.array([genome.numbers.get(matched[one] or "", -1) for one in table["chrom"]])
    number = np.array([names.index(one) + 1 for one in labels])
    start, end = table["start"].to_numpy(), table["end"].to_numpy()
    parts = []
    for contig in np.unique(chrom[chrom >= 0]):
        rows = chrom == contig
        pieces = _flat(start[rows], end[rows], number[rows])
        parts.append([np.full(len(pieces[0]), contig), *pieces])
    contig, *rest = (np.concatenate(one).astype(np.int64) for one in zip(*parts, strict=True))
    used, index = np.unique(contig, return_inverse=True)
    return RegionClasses(
        (ELSEWHERE, *names), tuple(genome.names[one] for one in used), index, *rest
    )


def _flat(start: IntRow, end: IntRow, number: IntRow) -> tuple[IntRow, IntRow, IntRow]:
    """Intervals of one contig without overlaps, each with the smallest of its numbers."""
    edges = np.unique(np.concatenate([start, end]))
    label = np.zeros(len(edges), dtype=np.int64)
    for one in np.unique(number)[::-1]:
        rows = number == one
        change = np.zeros(len(edges), dtype=np.int64)
        np.add.at(change, np.searchsorted(edges, start[rows]), 1)
        np.add.at(change, np.searchsorted(edges, end[rows]), -1)
        label[np.cumsum(change) > 0] = one
    first = np.flatnonzero(np.append(True, label[1:] != label[:-1]))
    stop = np.append(first[1:], len(edges) - 1)
    inside = label[first] > 0
    first, stop = first[inside], stop[inside]
    return edges[first], edges[stop], label[first]
