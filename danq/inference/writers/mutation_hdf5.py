"""Mutation effects as HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from danq.inference.mutagenesis.dependencies import DependencyMap
from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.mutagenesis.pair_effects import PairEffects
from danq.inference.writers.hdf5 import Hdf5Writer, write_header
from danq.inference.writers.mutation_layout import MutationLayout

MAGIC = "danq-mutations"
FORMAT_VERSION = 2


class MutationHdf5(Hdf5Writer):
    """Effects of each base in ``/effects``; docs/formats.md shows the tree.

    Parameters
    ----------
    path
        File to create.
    layout
        Tracks and provenance.
    """

    def __init__(self, path: Path, layout: MutationLayout) -> None:
        super().__init__(path)
        write_header(
            self._file,
            MAGIC,
            FORMAT_VERSION,
            layout.provenance,
            layout.tracks,
            layout.groups,
            key=layout.key,
            effect=layout.effect,
        )
        tracks = (len(layout.tracks),)
        self._grow("sequences/name")
        self._grow("sequences/start", dtype=np.int64)
        self._grow("sequences/end", dtype=np.int64)
        self._grow("windows/sequence", dtype=np.uint32)
        self._grow("windows/start", dtype=np.int64)
        self._grow("windows/reference", tracks, np.float32, packed=False)
        self._grow("bases/window", dtype=np.uint32)
        self._grow("bases/position", dtype=np.int64)
        self._grow("bases/base", dtype=np.uint8)
        if layout.pairs:
            self._grow("pairs/window", dtype=np.uint32)
            self._grow("pairs/position", (2,), np.int64)
            self._grow("pairs/base", (2,), np.uint8)
        # Effects do not compress well, and compressing them would take longer than a GPU does.
        for name in ("effects", *(["spread"] if layout.spread else [])):
            self._grow(name, (4, *tracks), np.float32, packed=False)
            if layout.pairs:
                self._grow(f"pairs/{name}", tracks, np.float32, packed=False)
        self._sequences = self._windows = 0

    def write(self, effects: BaseEffects | PairEffects | DependencyMap) -> None:
        """Append the single substitutions of a window, or pairs of the window that came last."""
        if isinstance(effects, PairEffects):
            self._write_pairs(effects)
            return
        if isinstance(effects, DependencyMap):
            self._write_dependencies(effects)
            return
        window, target = effects.window, effects.window.target
        if window.first + window.low == target.start:
            name = np.array([target.name], dtype=object)
            self._append("sequences", name=name, start=[target.start], end=[target.end])
            self._sequences += 1
        self._append(
            "windows",
            sequence=[self._sequences - 1],
            start=[window.first],
            reference=effects.reference[None],
        )
        self._windows += 1
        position = window.first + np.arange(window.low, window.high)
        number = np.full(len(position), self._windows - 1)
        self._append("bases", window=number, position=position, base=effects.codes)
        self._append(effects=effects.mean)
        if effects.spread is not None:
            self._append(spread=effects.spread)

    def _write_pairs(self, effects: PairEffects) -> None:
        self._append(
            "pairs",
            window=np.full(len(effects.position), self._windows - 1),
            position=effects.window.first + effects.position,
            base=effects.base,
            effects=effects.values.mean,
        )
        if effects.values.spread is not None:
            self._append("pairs", spread=effects.values.spread)

    def _write_dependencies(self, found: DependencyMap) -> None:
        position = found.start + np.arange(len(found.codes))
        self._file.create_dataset("dependencies/position", data=position)
        self._file.create_dataset("dependencies/interaction", data=found.values)
        self._sink.check()
