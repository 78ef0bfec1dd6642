"""Groups of about equal size, of units that are not divided."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from danq.errors import InputError
from danq.typing import IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

_ROWS = 1 << 14

log = logging.getLogger("danq")


def balanced_groups(sizes: IntRow, number: int) -> np.ndarray:
    """Group of each unit: the largest first, each into the group with the fewest windows.

    Parameters
    ----------
    sizes
        ``(U,)`` windows of each unit; at least as many units as groups.
    number
        Number of groups.

    Returns
    -------
    numpy.ndarray
        ``(U,)`` int16 group of each unit, from 0. Groups are numbered by their first unit.
    """
    totals, group = [0] * number, np.zeros(sizes.size, np.int16)
    for unit in np.argsort(-sizes, kind="stable").tolist():
        smallest = totals.index(min(totals))
        group[unit] = smallest
        totals[smallest] += int(sizes[unit])
    _, first = np.unique(group, return_index=True)
    return np.argsort(np.argsort(first))[group].astype(np.int16)


def random_groups(dataset: Dataset, number: int, seed: int = 0) -> np.ndarray:
    """Random groups of about equal size; equal sequences, on either strand, are in one group.

    Parameters
    ----------
    dataset
        Standalone sequences.
    number
        Number of groups.
    seed
        Random seed.

    Returns
    -------
    numpy.ndarray
        ``(W,)`` int16 group of each window, from 0.

    Raises
    ------
    InputError
        When there are fewer different sequences than groups.
    """
    _, unit, copies = np.unique(_fingerprints(dataset), return_inverse=True, return_counts=True)
    if copies.size < number:
        raise InputError(
            f"{number} folds were asked for, but there are {copies.size:,} different sequences",
            file=dataset.path,
            remedy="Use fewer folds",
        )
    repeated = int(copies[copies > 1].sum())
    if repeated:
        log.info(
            "%s sequences occur more than once, on either strand; their copies are in one group",
            f"{repeated:,}",
        )
    order = np.random.default_rng(seed).permutation(copies.size)
    group = np.empty(copies.size, np.int16)
    group[order] = balanced_groups(copies[order], number)
    return group[unit]


def _fingerprints(dataset: Dataset) -> np.ndarray:
    """``(W,)`` uint64, equal for windows of the same bases on either strand."""
    # A random function of the bases: two other sequences are equal with a probability of at
    # most 2^-62.
    factors = np.random.default_rng(0).integers(0, 1 << 64, dataset.window, np.uint64)
    found = np.empty(len(dataset), np.uint64)
    for low in range(0, len(dataset), _ROWS):
        rows = np.arange(low, min(low + _ROWS, len(dataset)))
        forward, reverse = (
            dataset.codes(rows, np.full(rows.size, flip)).astype(np.uint64) @ factors
            for flip in (False, True)
        )
        found[rows] = np.minimum(forward, reverse)
    return found
