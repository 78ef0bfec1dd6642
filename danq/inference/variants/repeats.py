"""Windows that came before, so that variants that come again get the very same scores."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from danq.typing import CodeBatch

REMEMBERED = 1 << 19
"""Rows that are remembered at least, where there were so many: some 70 MB."""


class Found(NamedTuple):
    """A row that was scored before: its block, and its place in it."""

    block: int
    place: int


class Repeats:
    """Rows by their windows, of the blocks so far.

    Scores depend in their last bits on what is computed beside them. Here a variant that comes
    again, in this block or up to `REMEMBERED` rows later, takes the scores that it got first.

    Parameters
    ----------
    values
        Gives the ``(V, C)`` values of a block by its number.
    """

    def __init__(self, values: Callable[[int], np.ndarray]) -> None:
        self._values = lru_cache(maxsize=2)(values)
        self._places: dict[bytes, Found] = {}
        self._blocks: deque[tuple[int, Sequence[bytes]]] = deque()
        self._count = self._rows = 0

    def add(self, keys: Sequence[bytes]) -> None:
        """Take in the next block's rows, known by `row_keys`."""
        number, self._count = self._count, self._count + 1
        if not keys:
            return
        for place, key in enumerate(keys):
            self._places[key] = Found(number, place)
        self._blocks.append((number, keys))
        self._rows += len(keys)
        # Rows are counted, not keys: an input that repeats itself has few keys and no end of rows.
        while self._rows - len(self._blocks[0][1]) >= REMEMBERED:
            oldest, gone = self._blocks.popleft()
            self._rows -= len(gone)
            for key in gone:
                if self._places.get(key, Found(-1, 0)).block == oldest:
                    del self._places[key]

    def find(self, keys: Sequence[bytes]) -> dict[int, Found]:
        """Rows of a block that came in an earlier one."""
        found = ((row, self._places.get(key)) for row, key in enumerate(keys))
        return {row: place for row, place in found if place is not None}

    def values(self, found: Found) -> np.ndarray:
        """``(C,)`` values of a row that was found."""
        return self._values(found.block)[found.place]


def row_keys(reference: CodeBatch, alternates: Sequence[CodeBatch]) -> list[bytes]:
    """A digest of each row's windows.

    Parameters
    ----------
    reference
        ``(V, L)``.
    alternates
        ``(V, L)`` for each anchor.
    """
    joined = np.concatenate([reference, *alternates], axis=1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in joined]
