"""Attributions as sealed HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from danq.inference.writers.attribution_layout import (
    AttributionLayout,
    Completeness,
    WindowAttributions,
)
from danq.inference.writers.hdf5 import Hdf5Writer, write_header

MAGIC = "danq-attributions"
FORMAT_VERSION = 1
KIND = "attributions"
"""Kind of the file in its seal."""


class AttributionHdf5(Hdf5Writer):
    """Contributions of each base in ``/attributions``; docs/formats.md shows the tree.

    Parameters
    ----------
    path
        File to create.
    layout
        Tracks, method and provenance.
    """

    kind = KIND

    def __init__(self, path: Path, layout: AttributionLayout) -> None:
        super().__init__(path)
        write_header(
            self._file,
            MAGIC,
            FORMAT_VERSION,
            layout.provenance,
            layout.tracks,
            layout.groups,
            key=layout.key,
            method=layout.method,
            baseline=layout.baseline,
        )
        tracks = (len(layout.tracks),)
        self._grow("sequences/name")
        self._grow("sequences/start", dtype=np.int64)
        self._grow("sequences/end", dtype=np.int64)
        if layout.baseline:
            self._grow("sequences/completeness", tracks, np.float32)
            self._grow("sequences/difference", tracks, np.float32)
        self._grow("bases/sequence", dtype=np.uint32)
        self._grow("bases/position", dtype=np.int64)
        self._grow("bases/base", dtype=np.uint8)
        # They do not compress well.
        self._grow("attributions", tracks, np.float32, packed=False)
        self._grow("hypothetical", (4, *tracks), np.float32, packed=False)
        self._sequences = 0
        self._worst: Completeness | None = None

    def write(self, block: WindowAttributions) -> None:
        """Append the bases of a window; windows of a sequence follow each other."""
        window, target = block.window, block.window.target
        self._append(
            "bases",
            sequence=np.full(len(block.codes), self._sequences),
            position=block.positions,
            base=block.codes,
        )
        self._append(attributions=block.attributions, hypothetical=block.hypothetical)
        if block.completeness is not None:
            self._worst = worse(self._worst, block.completeness)
        if window.first + window.high == target.end:
            self._write_sequence(target.name, target.start, target.end)

    def _write_sequence(self, name: str, start: int, end: int) -> None:
        """Append a sequence after the last of its windows."""
        names = np.array([name], dtype=object)
        self._append("sequences", name=names, start=[start], end=[end])
        if self._worst is not None:
            self._append(
                "sequences",
                completeness=self._worst.error[None],
                difference=self._worst.difference[None],
            )
        self._worst = None
        self._sequences += 1


def worse(one: Completeness | None, other: Completeness) -> Completeness:
    """For each track, the completeness with the larger error."""
    if one is None:
        return other
    larger = np.abs(other.error) > np.abs(one.error)
    return Completeness(*(np.where(larger, b, a) for a, b in zip(one, other, strict=True)))
