"""The dataset of one fold: the windows of a dataset with the splits of that fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.fold_groups import HELD_OUT, FoldGroups
from danq.datasets.shared_sequence import WindowTable, drop_sources
from danq.datasets.splits import HeldOutRegion
from danq.errors import InputError
from danq.typing import BoolRow, IntRow

_LEFT_OUT = 255


def fold_dataset(groups: FoldGroups, fold: int) -> Dataset:
    """The windows of a dataset with the splits of one fold.

    Left out are held-out windows; training and validation windows that share a base with a window
    of a later split or a held-out window; windows between the training bins of the stride, or
    between the bins of validation and test; and, if the dataset was built to drop them, training
    windows with the sequence of held-out windows.

    Parameters
    ----------
    groups
        Groups of the windows.
    fold
        Index of the group that tests, from 0; the next one validates, and all others train.

    Raises
    ------
    InputError
        When no window is left in a split.
    """
    dataset = groups.dataset
    split = _splits(groups, fold)
    rows, leaked = np.flatnonzero(split != _LEFT_OUT), None
    if dataset.build.get("drop_leaked"):
        rows, leaked = _without_sources(groups, split, rows)
    for number, name in enumerate(SPLITS):
        if not (split[rows] == number).any():
            raise InputError(
                f"fold {fold + 1} has no window in the {name} split",
                file=dataset.path,
                remedy="Use fewer folds",
            )
    found = _taken(dataset, rows, split[rows], _about(groups, fold))
    if leaked is not None:
        found.__dict__["leaked"] = leaked
    return found


def _splits(groups: FoldGroups, fold: int) -> np.ndarray:
    """``(W,)`` split of each window, or `_LEFT_OUT`."""
    dataset, group = groups.dataset, groups.group
    train, valid, test = range(len(SPLITS))
    split = np.full(group.size, train, np.uint8)
    split[group == (fold + 1) % groups.number] = valid
    split[group == fold] = test
    held = group == HELD_OUT
    split[held] = _LEFT_OUT
    if groups.kind != "contigs":
        # Windows of different groups can overlap only on one contig.
        for number in (valid, train):
            later = held | ((split > number) & (split <= test))
            split[_sharing(dataset, split == number, later)] = _LEFT_OUT
    if not dataset.standalone and dataset.stride != dataset.bin:
        split[(split == train) & (dataset.start % dataset.stride > 0)] = _LEFT_OUT
        split[(split != train) & ~groups.separate] = _LEFT_OUT
    return split


def _sharing(dataset: Dataset, rows: BoolRow, others: BoolRow) -> BoolRow:
    """``(W,)`` windows among ``rows`` that share a base with one of ``others``."""
    contig, first = dataset.positions(np.arange(len(dataset)))
    # Positions on all contigs in one line, with more than a window between contigs.
    room = int(dataset.genome.lengths.max()) + 3 * dataset.window
    at = contig * room + first
    sorted_others = np.sort(at[others])
    shares = np.zeros(len(dataset), np.bool_)
    if sorted_others.size:
        place = np.searchsorted(sorted_others, at[rows])
        after = sorted_others[np.minimum(place, sorted_others.size - 1)]
        before = sorted_others[np.maximum(place - 1, 0)]
        distance = np.minimum(np.abs(after - at[rows]), np.abs(at[rows] - before))
        shares[rows] = distance < dataset.window
    return shares


def _without_sources(
    groups: FoldGroups, split: np.ndarray, rows: IntRow
) -> tuple[IntRow, np.ndarray]:
    """Rows without training windows of leaked sequence, and values of `find_leaked` for them."""
    dataset, test = groups.dataset, len(SPLITS) - 1
    every = np.union1d(rows, groups.held)
    contig, first = dataset.positions(every)
    held = groups.group[every] == HELD_OUT
    table = WindowTable(
        dataset.genome,
        contig.astype(np.uint32),
        first,
        np.where(held, test, split[every]).astype(np.uint8),
        dataset.window,
    )
    kept, leaked = drop_sources(table)
    inside = ~held[kept]
    return every[kept[inside]], leaked[inside]


def _taken(dataset: Dataset, rows: IntRow, split: np.ndarray, build: dict[str, object]) -> Dataset:
    """Some windows of a dataset with other splits; the arrays are shared if all are taken."""
    build = {**dataset.build, **build}
    if rows.size == len(dataset):
        return replace(dataset, split=split, build=build)
    measured = dataset.measured
    return replace(
        dataset,
        contig=dataset.contig[rows],
        start=dataset.start[rows],
        split=split,
        packed=dataset.packed[rows],
        build=build,
        measured=measured and measured.of_rows(rows),
        values=dataset.values.of_rows(rows),
    )


def _about(groups: FoldGroups, fold: int) -> dict[str, object]:
    """What the description of the fold's dataset says about its splits."""
    about: dict[str, object] = {
        "folds": groups.number,
        "fold": fold + 1,
        "hold_out": list(groups.hold_out),
    }
    for name, group in (("valid", (fold + 1) % groups.number), ("test", fold)):
        about[name] = _regions(groups, group, name)
    return about


def _regions(groups: FoldGroups, group: int, split: str) -> list[str]:
    """Contigs, or blocks, of a group as regions; nothing for standalone sequences."""
    dataset = groups.dataset
    if groups.kind not in ("contigs", "blocks"):
        return []
    rows = groups.rows(group)
    found = []
    for number in np.unique(dataset.contig[rows]).tolist():
        name, low, high = dataset.genome.names[number], 0, int(dataset.genome.lengths[number])
        if groups.kind == "blocks":
            start = dataset.start[rows][dataset.contig[rows] == number]
            low, high = int(start.min()), int(start.max()) + dataset.bin
        found.append(str(HeldOutRegion(name, low, high, split)))
    return found
