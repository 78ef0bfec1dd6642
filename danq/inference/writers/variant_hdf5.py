"""Variant effects as HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from danq.amounts import unit_text
from danq.inference.track_levels import Kind
from danq.inference.writers.hdf5 import TEXT, Hdf5Writer, write_header
from danq.inference.writers.layout import Values
from danq.inference.writers.variant_layout import FLAGS, KEYS, NO_FLAG, VariantLayout

MAGIC = "danq-variants"
KIND = "variants"
"""Kind of the file in its seal."""

EXPECTED = "variant effects of danq (HDF5)"
FORMAT_VERSION = 3
TRACK_KINDS: tuple[Kind, ...] = ("peaks", "amounts")
"""What a track measures, by its number in ``tracks/kind``."""


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
        units = layout.units or (None,) * len(layout.tracks)
        kinds = np.array([TRACK_KINDS.index(kind) for kind in layout.kinds], np.uint8)
        self._file.create_dataset("tracks/kind", data=kinds)
        self._file.create_dataset("tracks/unit", data=list(map(unit_text, units)), dtype=TEXT)
        for one in layout.named_scores:
            scores = self._grow(f"scores/{one.name}", (len(one.tracks),), np.float32, packed=False)
            scores.attrs["meaning"] = layout.meaning(one.score, one.kind)
        meanings = layout.meanings()[len(layout.per_track) * len(layout.tracks) :]
        for name, meaning in zip(layout.summaries, meanings, strict=True):
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
        for one in self.layout.named_scores:
            part = self.layout.part(values, one.score)
            every = len(one.tracks) == part.shape[1]
            self._append("scores", **{one.name: part if every else part[:, one.tracks]})
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
