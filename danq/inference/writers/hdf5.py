"""What the writers of HDF5 files share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from danq.datasets.hdf5_writer import GuardedFile, create, seal
from danq.inference.writers.writer import Writer

CHUNK_VALUES = 1 << 18
TEXT = h5py.string_dtype()


def write_header(
    file: h5py.File,
    magic: str,
    version: int,
    provenance: Mapping[str, str],
    tracks: Sequence[str],
    groups: Sequence[str] | None = None,
    **attributes: object,
) -> None:
    """Write the root attributes and the names of the tracks.

    Parameters
    ----------
    file
        File to write to.
    magic, version
        Name and version of the format.
    provenance
        How the contents were computed, from which files; stored as JSON.
    tracks
        Track names.
    groups
        Group of each track, if they are to be stored.
    attributes
        Other attributes.
    """
    file.attrs.update(
        magic=magic,
        format_version=version,
        **attributes,
        provenance=json.dumps(dict(provenance)),
    )
    file.create_dataset("tracks/name", data=list(tracks), dtype=TEXT)
    if groups is not None:
        file.create_dataset("tracks/group", data=list(groups), dtype=TEXT)


class Hdf5Writer(Writer):
    """Datasets that grow with each block; an error while writing is raised at the next block.

    Parameters
    ----------
    path
        File to create.
    total
        Number of rows, if known: chunks are no larger.
    """

    kind: str | None = None
    """Kind of the file in its seal; None for a file without a seal."""

    def __init__(self, path: Path, total: int | None = None) -> None:
        self._most = CHUNK_VALUES if total is None else max(1, total)
        self._sink = GuardedFile(path)
        try:
            self._file = h5py.File(self._sink, "w") if self.kind is None else create(self._sink)
        except BaseException:
            self._sink.close()
            raise

    def finish(self) -> None:
        self._file.close()
        if self.kind is not None:
            seal(self._sink, self.kind)
        self.release()
        self._sink.check()

    def release(self) -> None:
        self._file.close()
        self._sink.close()

    def _grow(
        self,
        name: str,
        width: tuple[int, ...] = (),
        dtype: npt.DTypeLike = TEXT,
        *,
        packed: bool = True,
    ) -> h5py.Dataset:
        """Create an empty dataset for rows of a shape, to which `_append` adds."""
        rows = min(self._most, max(1, CHUNK_VALUES // max(1, prod(width), 8)))
        packing = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        dtype = np.dtype(dtype)
        return self._file.create_dataset(
            name,
            shape=(0, *width),
            maxshape=(None, *width),
            chunks=(rows, *width),
            dtype=dtype,
            **(packing if packed and dtype.kind != "O" else {}),
        )

    def _append(self, group: str = "", **columns: Any) -> None:
        """Add rows to the datasets of a group."""
        for name, values in columns.items():
            dataset: Any = self._file[f"{group}/{name}"]
            size = dataset.shape[0]
            dataset.resize(size + len(values), axis=0)
            dataset[size:] = values
        self._sink.check()
