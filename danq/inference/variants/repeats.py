"""Reuse the scores of repeated variants, so that they are bit-identical."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from danq.typing import CodeBatch

REMEMBERED = 1 << 19
"""Minimum number of previous rows that are remembered: about 70 MB."""


class Found(NamedTuple):
    """A row that was scored before: its block, and its row in the block."""

    block: int
    row: int


class Repeats:
    """Index of the rows of previous blocks, by a hash of their windows.

    The last bits of a score depend on the composition of the batch. A variant that repeats within
    a block, or up to `REMEMBERED` rows later, reuses its first scores.

    Parameters
    ----------
    values
        Returns the ``(V, C)`` values of a block by its index.
    """

    def __init__(self, values: Callable[[int], np.ndarray]) -> None:
        self._values = lru_cache(maxsize=1)(values)
        self._found: dict[bytes, Found] = {}
        self._blocks: deque[tuple[int, Sequence[bytes]]] = deque()
        self._count = self._rows = 0

    def add(self, keys: Sequence[bytes]) -> None:
        """Add the rows of the next block, by their `row_keys`."""
        number, self._count = self._count, self._count + 1
        if not keys:
            return
        for row, key in enumerate(keys):
            self._found[key] = Found(number, row)
        self._blocks.append((number, keys))
        self._rows += len(keys)
        # Rows are counted, not keys: an input with many repeats has few keys and many rows.
        while self._rows - len(self._blocks[0][1]) >= REMEMBERED:
            oldest, gone = self._blocks.popleft()
            self._rows -= len(gone)
            for key in gone:
                if self._found.get(key, Found(-1, 0)).block == oldest:
                    del self._found[key]

    def find(self, keys: Sequence[bytes]) -> dict[int, Found]:
        """Rows of a block that occurred in an earlier block, in the order of the earlier rows."""
        found = [(self._found.get(key), row) for row, key in enumerate(keys)]
        # In this order, each earlier block is read once.
        return {row: earlier for earlier, row in sorted(filter(itemgetter(0), found))}

    def values(self, found: Found) -> np.ndarray:
        """``(C,)`` values of an earlier row."""
        return self._values(found.block)[found.row]


def row_keys(reference: CodeBatch, alternates: Sequence[CodeBatch]) -> list[bytes]:
    """A hash of each row's windows.

    Parameters
    ----------
    reference
        ``(V, L)``.
    alternates
        ``(V, L)`` for each anchor.
    """
    joined = np.concatenate([reference, *alternates], axis=1)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in joined]
