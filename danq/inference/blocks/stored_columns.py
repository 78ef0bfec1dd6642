"""Read some columns of a file of values, compared with the checksums that they had before."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.inference.blocks.folder import open_regular


class StoredColumns(NamedTuple):
    """Values of a block that are stored in column-major order.

    Attributes
    ----------
    rows
        Number of rows.
    checksums
        CRC-32 of each column.
    """

    rows: int
    checksums: Sequence[int]

    @classmethod
    def of(cls, values: np.ndarray) -> StoredColumns:
        """The columns of the values of a file."""
        return cls(len(values), [zlib.crc32(column.data) for column in values.T])

    def read(self, path: Path, columns: slice) -> np.ndarray:
        """Some columns; a ValueError if they are damaged."""
        first, last, _ = columns.indices(len(self.checksums))
        size = self.rows * np.dtype(np.float32).itemsize
        with open_regular(path) as file:
            file.seek(-size * (len(self.checksums) - first), os.SEEK_END)
            content = file.read(size * (last - first))
        values = np.frombuffer(content, np.float32).reshape(last - first, self.rows)
        for values_of_column, checksum in zip(values, self.checksums[first:last], strict=True):
            if zlib.crc32(values_of_column.data) != checksum:
                raise ValueError("its checksum is wrong")
        return values.T
