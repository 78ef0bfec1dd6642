"""Effects of changed bases as HDF5, and as a table with a row for each change."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS, decode
from danq.inference.mutagenesis.effects import BaseEffects, PairEffects
from danq.inference.writers import Kind, kind_by_ending
from danq.inference.writers.hdf5 import GuardedHdf5, append, growing
from danq.inference.writers.layout import Layout
from danq.inference.writers.layout import Writer as RowWriter
from danq.inference.writers.parquet import ParquetWriter
from danq.inference.writers.tsv import TsvWriter
from danq.output import replacing

MAGIC = "danq-mutations"
FORMAT_VERSION = 1

_LETTERS = np.array(list(LETTERS), dtype=object)


class ChangeRows(NamedTuple):
    """Rows of a table: sequence names, 1-based positions, and bases as in a VCF."""

    names: list[str]
    pos: np.ndarray
    ref: list[str]
    alt: list[str]


class ChangeLayout(Layout):
    """Columns of a table of changes: where ``start`` and ``end`` would stand, pos, ref and alt."""

    @property
    def header(self) -> tuple[str, ...]:
        return (self.key, "pos", "ref", "alt", *self.columns)

    def frame(self, rows: ChangeRows, values: np.ndarray) -> pl.DataFrame:  # type: ignore[override]
        keys = pl.DataFrame(
            {self.key: rows.names, "pos": rows.pos, "ref": rows.ref, "alt": rows.alt},
            schema={self.key: pl.String, "pos": pl.Int64, "ref": pl.String, "alt": pl.String},
        )
        return self.with_values(keys, values)

    def empty(self) -> pl.DataFrame:
        values = np.empty((0, len(self.columns)), dtype=np.float32)
        return self.frame(ChangeRows([], np.empty(0, np.int64), [], []), values)


class MutationWriter(ABC):
    """Takes effects window by window, and those of pairs after them."""

    @abstractmethod
    def write(self, effects: BaseEffects) -> None:
        """Append the single-base changes of a window."""

    @abstractmethod
    def write_pairs(self, effects: PairEffects) -> None:
        """Append changes of two bases; of the window that came last."""


class MutationTable(MutationWriter):
    """One row a change, through a writer of rows; unknown bases have none."""

    def __init__(self, rows: RowWriter) -> None:
        self._rows = rows

    def write(self, effects: BaseEffects) -> None:
        window, codes = effects.window, effects.codes
        place, base = np.nonzero((codes[:, None] != np.arange(4)) & (codes[:, None] < 4))
        rows = ChangeRows(
            [window.target.name] * len(place),
            window.first + window.low + place + 1,
            _LETTERS[codes[place]].tolist(),
            _LETTERS[base].tolist(),
        )
        parts = [part[place, base] for part in (effects.mean, effects.spread) if part is not None]
        self._rows.write(rows, np.concatenate(parts, axis=1))

    def write_pairs(self, effects: PairEffects) -> None:
        window = effects.window
        text = decode(window.codes)
        _, place, base = effects.substitutions
        letters = _LETTERS[base].tolist()
        ref = [text[first : second + 1] for first, second in place.tolist()]
        alt = [
            before + old[1:-1] + after for (before, after), old in zip(letters, ref, strict=True)
        ]
        rows = ChangeRows([window.target.name] * len(ref), window.first + place[:, 0] + 1, ref, alt)
        values = [part for part in effects.values if part is not None]
        self._rows.write(rows, np.concatenate(values, axis=1))


class MutationHdf5(GuardedHdf5, MutationWriter):
    """The tree that docs/formats.md draws.

    Parameters
    ----------
    path
        File to make.
    layout
        Tracks and provenance.
    effect
        ``"logit"`` or ``"probability"``.
    pairs
        Whether changes of two bases will come.
    """

    def __init__(self, path: Path, layout: ChangeLayout, effect: str, *, pairs: bool) -> None:
        super().__init__(path)
        self._file.attrs.update(
            magic=MAGIC,
            format_version=FORMAT_VERSION,
            key=layout.key,
            effect=effect,
            provenance=json.dumps(dict(layout.provenance)),
        )
        text = h5py.string_dtype()
        self._file.create_dataset("tracks/name", data=list(layout.tracks), dtype=text)
        self._file.create_dataset("tracks/group", data=list(layout.groups), dtype=text)
        tracks = len(layout.tracks)
        shapes: dict[str, tuple[tuple[int, ...], np.dtype]] = {
            "sequences/name": ((), text),
            "sequences/start": ((), np.dtype(np.int64)),
            "sequences/end": ((), np.dtype(np.int64)),
            "windows/sequence": ((), np.dtype(np.uint32)),
            "windows/start": ((), np.dtype(np.int64)),
            "windows/reference": ((tracks,), np.dtype(np.float32)),
            "bases/window": ((), np.dtype(np.uint32)),
            "bases/position": ((), np.dtype(np.int64)),
            "bases/base": ((), np.dtype(np.uint8)),
            "effects": ((4, tracks), np.dtype(np.float32)),
        }
        if pairs:
            shapes |= {
                "pairs/window": ((), np.dtype(np.uint32)),
                "pairs/position": ((2,), np.dtype(np.int64)),
                "pairs/base": ((2,), np.dtype(np.uint8)),
                "pairs/effects": ((tracks,), np.dtype(np.float32)),
            }
        if layout.spread:
            shapes["spread"] = shapes["effects"]
            if pairs:
                shapes["pairs/spread"] = shapes["pairs/effects"]
        # The digits of an effect are noise to a packer, which would take longer than a GPU.
        self._data = {
            name: growing(self._file, name, *kind, packed=kind[1].kind != "f")
            for name, kind in shapes.items()
        }
        self._sequences = self._windows = 0

    def write(self, effects: BaseEffects) -> None:
        window, target = effects.window, effects.window.target
        if window.first + window.low == target.start:
            self._append("sequences", name=target.name, start=target.start, end=target.end)
            self._sequences += 1
        self._append(
            "windows",
            sequence=self._sequences - 1,
            start=window.first,
            reference=effects.reference,
        )
        self._windows += 1
        position = window.first + np.arange(window.low, window.high)
        append(self._data["bases/window"], np.full(len(position), self._windows - 1))
        append(self._data["bases/position"], position)
        append(self._data["bases/base"], effects.codes)
        append(self._data["effects"], effects.mean)
        if effects.spread is not None:
            append(self._data["spread"], effects.spread)
        self._sink.check()

    def write_pairs(self, effects: PairEffects) -> None:
        _, place, base = effects.substitutions
        append(self._data["pairs/window"], np.full(len(place), self._windows - 1))
        append(self._data["pairs/position"], effects.window.first + place)
        append(self._data["pairs/base"], base)
        append(self._data["pairs/effects"], effects.values.mean)
        if effects.values.spread is not None:
            append(self._data["pairs/spread"], effects.values.spread)
        self._sink.check()

    def _append(self, group: str, **row: object) -> None:
        """Add one row to the datasets of a group."""
        for name, value in row.items():
            dataset = self._data[f"{group}/{name}"]
            append(dataset, np.array([value], dtype=object if isinstance(value, str) else None))


def mutation_kind(out: str | Path) -> Kind:
    """Kind of output that a name asks for.

    Raises
    ------
    InputError
        When the ending is none of ``.tsv``, ``.tsv.gz``, ``.h5``, ``.hdf5`` and ``.parquet``.
    """
    kind = kind_by_ending(Path(out).name)
    if kind is None or kind == "bigwig":
        raise InputError(
            "names no kind of output for changed bases",
            file=out,
            remedy="Use the ending .tsv, .tsv.gz, .h5, .hdf5 or .parquet",
        )
    return kind


@contextmanager
def open_mutations(
    out: str | Path, layout: ChangeLayout, effect: str, *, pairs: bool, overwrite: bool = False
) -> Iterator[MutationWriter]:
    """Writer for an output that appears whole when the block ends well, or else not at all.

    Raises
    ------
    InputError
        As `mutation_kind`; when the output exists and ``overwrite`` is false, or the system
        refuses to write.
    """
    kind = mutation_kind(out)
    with replacing(out, overwrite) as temporary:
        if kind == "hdf5":
            writer = MutationHdf5(temporary, layout, effect, pairs=pairs)
            try:
                yield writer
                writer.finish()
            finally:
                writer.release()
            return
        rows = (
            ParquetWriter(temporary, layout)
            if kind == "parquet"
            else TsvWriter(temporary, layout, zipped=kind == "tsv.gz")
        )
        with rows:
            yield MutationTable(rows)
