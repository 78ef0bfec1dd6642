"""Divide the windows of a dataset into groups, each of which is the test split of one fold."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl

from danq.datasets.balanced_groups import balanced_groups, random_groups
from danq.datasets.dataset import Dataset
from danq.datasets.label_bits import count_bits
from danq.errors import InputError, few
from danq.genome.regions import UnknownContig, parse_regions
from danq.track_names import similar_names
from danq.typing import BoolRow, IntRow

LEAST, MOST = 3, 100
"""Smallest and largest number of folds. One group tests, one validates, and one trains."""

HELD_OUT = -1
"""Group of windows that are in no fold."""

Kind = Literal["contigs", "folds", "blocks", "sequences"]

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class FoldGroups:
    """The windows of a dataset in groups. In fold ``i``, group ``i`` tests and ``i + 1`` validates.

    Attributes
    ----------
    dataset
        All windows; their splits have no meaning.
    number
        Number of folds.
    group
        ``(W,)`` int16 group of each window, from 0; `HELD_OUT` for windows that are in no fold.
    kind
        What is never divided between groups: "contigs"; "folds" of the dataset; "blocks" of
        neighbouring windows; or "sequences", which are in one group with their copies.
    hold_out
        Names of the contigs or folds that are in no fold.
    """

    dataset: Dataset
    number: int
    group: np.ndarray
    kind: Kind
    hold_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for number, windows in enumerate(self.windows, start=1):
            if not windows:
                raise InputError(f"group {number} has no window", file=self.dataset.path)

    @cached_property
    def windows(self) -> list[int]:
        """Windows of each group."""
        return np.bincount(self.group + 1, minlength=self.number + 1)[1:].tolist()

    @cached_property
    def positives(self) -> np.ndarray:
        """``(G, P)`` positive windows of each group and track of peaks."""
        packed = np.ascontiguousarray(self.dataset.packed)
        counts = np.zeros((self.number + 1, 8 * packed.shape[1]), np.int64)
        count_bits(packed, (self.group + 1).astype(np.uint8), counts)
        return counts[1:, : self.dataset.peaks.size]

    @property
    def held(self) -> IntRow:
        """Windows that are in no fold."""
        return np.flatnonzero(self.group == HELD_OUT)

    def rows(self, group: int) -> IntRow:
        """Windows of a group."""
        return np.flatnonzero(self.group == group)

    @cached_property
    def separate(self) -> BoolRow:
        """``(W,)`` whether a window counts in validation and test: their bins do not overlap."""
        return _on_grid(self.dataset)

    @property
    def units(self) -> pl.DataFrame:
        """Group of each unit that is not divided: its name, windows and group from 1, as text.

        Blocks have the columns ``chrom``, ``start`` and ``end`` of their bins (0-based half-open);
        sequences have one row each, named by their number from 1.
        """
        names = pl.Series([*map(str, range(1, self.number + 1)), "held out"])
        shown = names.gather(pl.Series(np.where(self.group < 0, self.number, self.group)))
        if self.kind == "sequences":
            numbers = pl.Series(np.arange(1, len(self.dataset) + 1)).cast(pl.String)
            return pl.DataFrame({"name": numbers, "group": shown})
        key, values = "fold", self.dataset.folds
        if self.kind != "folds":
            key, values = "chrom", self.dataset.contig
        table = pl.DataFrame(
            {
                key: _names(self.dataset, self.kind).gather(pl.Series(values)),
                "start": self.dataset.start,
                "end": self.dataset.start + self.dataset.bin,
                "group": shown,
            }
        )
        count, bounds = pl.len().alias("windows"), [pl.col("start").min(), pl.col("end").max()]
        columns = [*bounds, count] if self.kind == "blocks" else [count]
        by = table.group_by(key, "group", maintain_order=True).agg(columns)
        return by.select(key, *(name for name in by.columns if name not in (key, "group")), "group")

    def describe(self) -> list[str]:
        """One line per group: number, windows, and what is in it."""
        if self.kind == "sequences":
            members = ["random sequences"] * (self.number + 1)
        else:
            units = self.units
            column = units.columns[0]
            groups = [*map(str, range(1, self.number + 1)), "held out"]
            members = [
                few(list(dict.fromkeys(units.filter(pl.col("group") == one)[column])), 20)
                for one in groups
            ]
        lines = [
            f"group {number}: {count:,} windows: {names}"
            for number, (count, names) in enumerate(zip(self.windows, members, strict=False), 1)
        ]
        if self.hold_out:
            lines.append(f"held out of all folds: {self.held.size:,} windows: {members[-1]}")
        return lines


def group_windows(
    dataset: Dataset, number: int, hold_out: str | Sequence[str] = (), *, seed: int = 0
) -> FoldGroups:
    """Divide the windows of a dataset into groups of about equal size.

    Folds of the dataset stay whole; without folds, contigs. A genome with one or two contigs is cut
    into blocks of neighbouring windows. Standalone sequences without folds are in random groups;
    sequences that are equal, on either strand, are in one group. The splits of the dataset are not
    used.

    Parameters
    ----------
    dataset
        The windows.
    number
        Number of groups.
    hold_out
        Contigs or folds that are in no group, as a sequence or separated by commas.
    seed
        Random seed of groups of sequences.

    Raises
    ------
    InputError
        When there are fewer than `LEAST` or more than `MOST` folds, or more folds than contigs,
        folds of the dataset, sequences or windows; when a contig or fold to hold out does not
        exist, is a part of a contig, or has no window; when sequences without folds are to be held
        out.
    """
    if not LEAST <= number <= MOST:
        raise InputError(
            f"{number} folds were asked for, but {LEAST} to {MOST} are possible: one group of "
            "windows tests, one validates, and the others train"
        )
    if dataset.folds is None and dataset.standalone:
        if hold_out:
            raise InputError(
                "sequences are to be held out, but the dataset has no folds by which to name them",
                file=dataset.path,
                remedy="Build the dataset from a table with a column of folds",
            )
        return FoldGroups(dataset, number, random_groups(dataset, number, seed), "sequences")
    kind: Kind = "contigs" if dataset.folds is None else "folds"
    units = dataset.contig.astype(np.int64) if dataset.folds is None else dataset.folds
    names = _names(dataset, kind)
    sizes = np.bincount(units, minlength=len(names))
    held = _held_units(dataset, kind, hold_out, sizes)
    free = [unit for unit in np.flatnonzero(sizes).tolist() if unit not in held]
    group_of = np.full(len(names), HELD_OUT, np.int16)
    if kind == "contigs" and 0 < len(free) < LEAST:
        group = np.full(units.size, HELD_OUT, np.int16)
        rows = np.flatnonzero(np.isin(units, free))
        rows = rows[np.lexsort((dataset.start[rows], units[rows]))]
        group[rows] = np.arange(rows.size) * number // max(1, rows.size)
        kind = "blocks"
    else:
        _check_number(dataset, number, kind, [names[unit] for unit in free])
        group_of[free] = balanced_groups(sizes[free], number)
        group = group_of[units]
    return FoldGroups(dataset, number, group, kind, tuple(names[unit] for unit in sorted(held)))


def _check_number(dataset: Dataset, number: int, kind: Kind, free: list[str]) -> None:
    if len(free) >= number:
        return
    what = "contigs with windows" if kind == "contigs" else "folds in its table"
    remedy = f"Use at most {len(free)} folds" if len(free) >= LEAST else "Hold out fewer of them"
    raise InputError(
        f"{number} folds were asked for, but the dataset has {len(free)} {what} that are not held "
        f"out ({few(free, 20)})",
        file=dataset.path,
        remedy=remedy,
    )


def _held_units(
    dataset: Dataset, kind: Kind, hold_out: str | Sequence[str], sizes: IntRow
) -> set[int]:
    if not hold_out:
        return set()
    find = _held_contigs if kind == "contigs" else _held_folds
    held, names = find(dataset, hold_out), _names(dataset, kind)
    for unit in held:
        if not sizes[unit]:
            raise InputError(
                f"'{names[unit]}' is to be held out, but has no window", file=dataset.path
            )
    return held


def _held_contigs(dataset: Dataset, hold_out: str | Sequence[str]) -> set[int]:
    genome = dataset.genome
    contigs = dict(zip(genome.names, genome.lengths.tolist(), strict=True))
    try:
        regions = parse_regions(hold_out, contigs, source="the contigs to hold out")
    except UnknownContig as error:
        raise _unknown("contig", error.name, genome.names, dataset) from error
    for region in regions:
        if region.end - region.start < contigs[region.contig]:
            raise InputError(
                f"a part of {region.contig} is to be held out",
                remedy="Hold out whole contigs",
            )
    return {genome.numbers[region.contig] for region in regions}


def _held_folds(dataset: Dataset, hold_out: str | Sequence[str]) -> set[int]:
    names = dataset.values.fold_names
    given = hold_out.split(",") if isinstance(hold_out, str) else hold_out
    for name in given:
        if name.strip() not in names:
            raise _unknown("fold", name.strip(), names, dataset)
    return {names.index(name.strip()) for name in given}


def _unknown(what: str, name: str, known: Sequence[str], dataset: Dataset) -> InputError:
    similar = [f"'{one}'" for one in similar_names(name, known)]
    nearest = f"Did you mean {' or '.join(similar)}? " if similar else ""
    return InputError(
        f"the {what} '{name}' is to be held out, but the dataset has none of that name",
        file=dataset.path,
        remedy=f"{nearest}The {what}s are {few(known, 20)}",
    )


def _names(dataset: Dataset, kind: Kind) -> pl.Series:
    names = dataset.values.fold_names if kind == "folds" else dataset.genome.names
    return pl.Series(names, dtype=pl.String)


def _on_grid(dataset: Dataset) -> BoolRow:
    """Windows whose bin starts at a multiple of its length, in datasets with a stride."""
    if dataset.standalone or dataset.stride == dataset.bin:
        return np.ones(len(dataset), np.bool_)
    return dataset.start % dataset.bin == 0
