"""Sequences that a file holds one-hot, as rows to predict on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from danq.datasets.one_hot_arrays import Sequences, blocks
from danq.genome.two_bit_packing import UNPACKED
from danq.inference.sources.tiling import Chunk, Rows, Source, WindowTally


class ArrayRows(Source):
    """Rows of an array of one-hot sequences, named by their number from 1.

    Parameters
    ----------
    sequences
        The array; its file must stay open.
    """

    key = "name"

    def __init__(self, sequences: Sequences) -> None:
        self.sequences = sequences
        self.window, self.total = sequences.length, sequences.rows

    def chunks(self, size: int) -> Iterator[Chunk]:
        tally = WindowTally()
        for first, last in blocks(self.sequences):
            bases = np.empty((last - first, self.sequences.slot), np.uint8)
            row, position = self.sequences.pack(first, last, bases)
            for low in range(0, last - first, size):
                part = bases[low : low + size]
                codes = UNPACKED[part].reshape(len(part), -1)[:, : self.window]
                here = slice(*np.searchsorted(row, [low, low + len(part)]))
                codes[row[here] - low, position[here]] = 4
                tally.count(codes, 0)
                start = np.zeros(len(part), np.int64)
                names = [str(first + low + number) for number in range(1, len(part) + 1)]
                yield Chunk(Rows(names, start, start + self.window), codes)
        self.report(tally)
