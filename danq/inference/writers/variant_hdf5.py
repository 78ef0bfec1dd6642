"""Variant effects as HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from danq.inference.writers.hdf5 import TEXT, Hdf5Writer, write_header
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VariantLayout

MAGIC = "danq-variants"
KIND = "variants"
"""Kind of the file in its seal."""

EXPECTED = "variant effects of danq (HDF5)"
FORMAT_VERSION = 2


class VariantHdf5(Hdf5Writer):
    """One row per variant-allele in a dataset for each score; docs/formats.md shows the tree.

    Scores are not compressed: gzip would save a tenth of the space and take ten times as long.

    Parameters
    ----------
    path
        File to create.
    layout
        Columns and provenance.
    """

    kind = KIND

    def __init__(self, path: Path, layout: VariantLayout) -> None:
        super().__init__(path, layout.total)
        self.layout = layout
        write_header(
            self._file, MAGIC, FORMAT_VERSION, layout.provenance, layout.tracks, layout.groups
        )
        for name, kind in KEYS.items():
            dtype = np.uint8 if name == "flags" else TEXT if kind == pl.String else np.int64
            self._grow(f"variants/{name}", dtype=dtype)
        self._file["variants/flags"].attrs.update(FLAGS)
        meanings, tracks = layout.meanings(), len(layout.tracks)
        for number, name in enumerate(layout.per_track):
            scores = self._grow(f"scores/{name}", (tracks,), np.float32, packed=False)
            scores.attrs["meaning"] = meanings[number * tracks].rpartition("; track ")[0]
        after = len(layout.per_track) * tracks
        for name, meaning in zip(layout.summaries, meanings[after:], strict=True):
            dtype = np.uint32 if name in layout.index_columns else np.float32
            summary = self._grow(f"summary/{name}", dtype=dtype, packed=False)
            summary.attrs["meaning"] = meaning

    def write(self, rows: pl.DataFrame, values: Values) -> None:
        if rows.height == 0:
            return
        columns = {
            name: np.array(rows[name].to_list(), dtype=object if kind == pl.String else None)
            for name, kind in KEYS.items()
        }
        self._append("variants", **columns | {"flags": flag_bits(rows["flags"])})
        for name in self.layout.per_track:
            self._append("scores", **{name: self.layout.part(values, name)})
        summaries = self.layout.summaries
        first = values.shape[1] - len(summaries)
        for column, name in enumerate(summaries, start=first):
            self._append("summary", **{name: values[:, column]})


def flag_bits(flags: pl.Series) -> np.ndarray:
    """Flags as bits, uint8."""
    bits = {
        text: sum(FLAGS[word] for word in text.split(",") if word != NO_FLAG)
        for text in flags.unique().to_list()
    }
    return np.array([bits[text] for text in flags.to_list()], dtype=np.uint8)
