"""Variant effects as HDF5."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from danq.inference.writers.hdf5 import GuardedHdf5
from danq.inference.writers.layout import Values, Writer
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VariantLayout

MAGIC = "danq-variants"
FORMAT_VERSION = 1


class VariantHdf5Writer(GuardedHdf5, Writer):
    """One row a variant-allele in a dataset for each score; docs/formats.md draws the tree.

    Scores lie row after row as they are, neither in chunks nor packed: their digits are noise to
    gzip, which saves a tenth of the room at ten times the time.

    Parameters
    ----------
    path
        File to make.
    layout
        Columns and provenance.
    total
        Rows that will come.
    """

    def __init__(self, path: Path, layout: VariantLayout, total: int) -> None:
        self.layout = layout
        self._done = 0
        super().__init__(path)
        text, tracks = h5py.string_dtype(), len(layout.tracks)
        self._file.attrs.update(
            magic=MAGIC,
            format_version=FORMAT_VERSION,
            provenance=json.dumps(dict(layout.provenance)),
        )
        self._sets: dict[str, h5py.Dataset] = {}
        self._make("tracks/name", data=list(layout.tracks), dtype=text)
        self._make("tracks/group", data=list(layout.groups), dtype=text)
        for name, kind in KEYS.items():
            dtype = text if kind == pl.String else np.dtype(np.int64)
            if name == "flags":
                dtype = np.dtype(np.uint8)
            self._make(f"variants/{name}", shape=(total,), dtype=dtype)
        self._sets["variants/flags"].attrs.update(FLAGS)
        meanings = layout.meanings()
        for place, name in enumerate(layout.per_track):
            made = self._make(f"scores/{name}", shape=(total, tracks), dtype=np.float32)
            made.attrs["meaning"] = meanings[place * tracks].rpartition("; track ")[0]
        after = len(layout.per_track) * tracks
        for name, meaning in zip(layout.summaries, meanings[after:], strict=True):
            made = self._make(f"summary/{name}", shape=(total,), dtype=np.float32)
            made.attrs["meaning"] = meaning

    def _make(self, name: str, **kind: Any) -> h5py.Dataset:
        self._sets[name] = self._file.create_dataset(name, **kind)
        return self._sets[name]

    def write(self, rows: pl.DataFrame, values: Values) -> None:
        to = slice(self._done, self._done + rows.height)
        self._done = to.stop
        if rows.height == 0:
            return
        for name, kind in KEYS.items():
            if name == "flags":
                data = flag_bits(rows[name])
            elif kind == pl.String:
                data = np.array(rows[name].to_list(), dtype=object)
            else:
                data = rows[name].to_numpy()
            self._sets[f"variants/{name}"][to] = data
        for name in self.layout.per_track:
            self._sets[f"scores/{name}"][to] = self.layout.part(values, name)
        summaries = self.layout.summaries
        first = values.shape[1] - len(summaries)
        for place, name in enumerate(summaries, start=first):
            self._sets[f"summary/{name}"][to] = values[:, place]
        self._sink.check()


def flag_bits(flags: pl.Series) -> np.ndarray:
    """Flags as words to flags as bits, uint8."""
    words = {
        text: sum(FLAGS[word] for word in text.split(",") if word != NO_FLAG)
        for text in flags.unique().to_list()
    }
    return np.array([words[text] for text in flags.to_list()], dtype=np.uint8)
