"""Predictions as HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from danq.inference.sources.tiling import Rows
from danq.inference.writers.hdf5 import Hdf5Writer, write_header
from danq.inference.writers.layout import PredictionLayout, Values

MAGIC = "danq-predictions"
FORMAT_VERSION = 3


class PredictionHdf5(Hdf5Writer):
    """One row per window in ``/predictions``, and in ``/spread`` for an ensemble.

    The steps of profiles are in ``/profiles``.

    docs/formats.md shows the tree.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    profiles = True

    def __init__(self, path: Path, layout: PredictionLayout) -> None:
        super().__init__(path, layout.total)
        self.layout = layout
        self._numbers: dict[str, int] = {}
        self._known = 0
        write_header(
            self._file,
            MAGIC,
            FORMAT_VERSION,
            layout.provenance,
            layout.tracks,
            layout.groups,
            key=layout.key,
        )
        tracks = (len(layout.tracks),)
        self._grow("sequences/name")
        self._grow("rows/sequence", dtype=np.uint32)
        self._grow("rows/start", dtype=np.int64)
        self._grow("rows/end", dtype=np.int64)
        if layout.labelled:
            self._grow("rows/name")
        packed = layout.storage.compress == "gzip"
        for name in ("predictions", *(["spread"] if layout.spread else [])):
            self._grow(name, tracks, np.dtype(layout.storage.dtype), packed=packed)
        for number, profile in enumerate(layout.profiles):
            group = self._file.create_group(f"profiles/{number}")
            group.attrs.update(track=profile.column, step_bases=profile.bases)
            for name in ("values", *(["spread"] if layout.spread else [])):
                self._grow(f"profiles/{number}/{name}", (profile.steps,), np.float32, packed=packed)

    def write(self, rows: Rows, values: Values, steps: Values | None = None) -> None:
        tracks = len(self.layout.tracks)
        self._append(
            "rows", sequence=self._sequence_numbers(rows.names), start=rows.start, end=rows.end
        )
        if self.layout.labelled:
            labels = [label or "" for label in rows.labels or ()]
            self._append("rows", name=np.array(labels, dtype=object))
        if self.layout.storage.dtype == "float16":
            # HDF5 and numpy take 30 times as long to convert small values.
            values = torch.from_numpy(np.ascontiguousarray(values)).to(torch.float16).numpy()
        self._append(predictions=values[:, :tracks])
        if self.layout.spread:
            self._append(spread=values[:, tracks:])
        at = 0
        for number, profile in enumerate(self.layout.profiles):
            assert steps is not None
            own = slice(at, at + profile.steps)
            self._append(f"profiles/{number}", values=steps[:, own])
            if self.layout.spread:
                self._append(f"profiles/{number}", spread=steps[:, self.layout.steps :][:, own])
            at += profile.steps

    def _sequence_numbers(self, names: list[str]) -> np.ndarray:
        """Indices in ``sequences/name``, to which new names are added."""
        new = [name for name in dict.fromkeys(names) if name not in self._numbers]
        if new and self.layout.contigs is None:
            # Records come one after the other: only the last can continue in the next block.
            kept = {name: self._numbers[name] for name in names[:1] if name in self._numbers}
            self._numbers = kept
        self._numbers.update({name: number for number, name in enumerate(new, self._known)})
        self._known += len(new)
        if new:
            self._append("sequences", name=np.array(new, dtype=object))
        return np.array([self._numbers[name] for name in names], dtype=np.uint32)
