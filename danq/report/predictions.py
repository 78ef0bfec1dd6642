"""Read predictions that `danq.write_predictions` wrote, in any format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.hdf5_input import is_hdf5
from danq.files.json_file import read_json
from danq.genome.signal.bigwig import open_bigwig
from danq.inference.writers.prediction_bigwig import INDEX
from danq.inference.writers.prediction_hdf5 import FORMAT_VERSION, MAGIC
from danq.report.provenance_text import parse_provenance
from danq.report.read_tables import open_stored_hdf5, read_stored_table

MOST_VALUES = 200_000_000
"""Values that a report reads; of bigWig files and HDF5, as many rows as fit."""

_TEXT = {"chrom": pl.String, "name": pl.String, "start": pl.Int64, "end": pl.Int64}
_AGAIN = "Predict again"


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions in memory.

    Attributes
    ----------
    rows
        ``chrom`` or ``name``, ``start``, ``end`` (0-based, half-open).
    tracks
        Names of the tracks.
    values
        ``(N, K)`` float32.
    provenance
        How they were computed.
    """

    rows: pl.DataFrame
    tracks: tuple[str, ...]
    values: np.ndarray
    provenance: Mapping[str, str]

    @property
    def are_probabilities(self) -> bool:
        """Whether all values are probabilities, by the provenance or, without it, by the values."""
        said = self.provenance.get("values")
        if said is not None:
            return said.startswith("probabilities") and "amount" not in said
        known = self.values[np.isfinite(self.values)]
        return bool(known.size and known.min() >= 0 and known.max() <= 1)


def read_predictions(path: Path) -> Predictions:
    """Read predictions: TSV, Parquet, HDF5 or a folder of bigWig files.

    Raises
    ------
    InputError
        When they are damaged, or have more than `MOST_VALUES` values.
    """
    if path.is_dir():
        return _from_bigwig(path)
    if is_hdf5(path):
        return _from_hdf5(path)
    stored = read_stored_table(path, _TEXT, complete=("start", "end"))
    frame = stored.frame
    keys = [frame.columns[0], "start", "end"]
    # A column of names follows where a BED file names its records.
    rest = [name for name in frame.columns[3:] if name not in _TEXT]
    tracks = tuple(n for n in rest if not (n.endswith("_sd") and n.removesuffix("_sd") in rest))
    _check_size(frame.height, len(tracks), path)
    values = frame.select(pl.col(list(tracks)).cast(pl.Float32).fill_null(np.nan)).to_numpy()
    return Predictions(frame.select(keys), tracks, values, stored.provenance)


def _check_size(rows: int, tracks: int, path: Path) -> None:
    if rows * tracks > MOST_VALUES:
        raise InputError(
            f"has {rows * tracks:,} values; a report reads at most {MOST_VALUES:,}",
            file=path,
            remedy="Predict one region, or select tracks",
        )


def _from_hdf5(path: Path) -> Predictions:
    what = "predictions of danq (HDF5)"
    with open_stored_hdf5(path, MAGIC, FORMAT_VERSION, what, remedy=_AGAIN) as file:
        tracks, names = file.texts("tracks/name"), file.texts("sequences/name")
        number = file.read("rows/sequence", np.uint32, (None,))
        rows = len(number)
        _check_size(rows, len(tracks), path)
        if rows and number.max() >= len(names):
            raise InputError("a row has no sequence", file=path, remedy=_AGAIN)
        key = str(file.attributes.get("key", "chrom"))
        frame = pl.DataFrame(
            {
                key: pl.Series(names, dtype=pl.String).gather(pl.Series(number)),
                "start": file.read("rows/start", np.int64, (rows,)),
                "end": file.read("rows/end", np.int64, (rows,)),
            }
        )
        values = file.read("predictions", shape=(rows, len(tracks))).astype(np.float32)
        return Predictions(
            frame, tracks, values, parse_provenance(file.attributes.get("provenance"))
        )


def _from_bigwig(path: Path) -> Predictions:
    index = read_json(path / INDEX, "the index of a folder of bigWig files", remedy=_AGAIN)
    files = index.get("tracks") if isinstance(index, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, str) for one in files.values()):
        raise InputError("does not list tracks", file=path / INDEX, remedy=_AGAIN)
    tracks = {name: file for name, file in files.items() if not name.endswith("_sd")}
    columns, rows = [], None
    for file in tracks.values():
        if Path(file).name != file:
            raise InputError(
                f"lists a file outside the folder ({file!r})", file=path / INDEX, remedy=_AGAIN
            )
        own, values = _segments(path / file, len(tracks))
        if rows is not None and not rows.equals(own):
            raise InputError(
                "its intervals are not those of the other tracks",
                file=path / file,
                remedy="Give predictions without profiles, or in another format",
            )
        rows = own
        columns.append(values)
    if rows is None:
        raise InputError("lists no track", file=path / INDEX, remedy=_AGAIN)
    about = index.get("provenance")
    provenance = {str(k): str(v) for k, v in about.items()} if isinstance(about, dict) else {}
    return Predictions(
        rows, tuple(tracks), np.stack(columns, axis=1).astype(np.float32), provenance
    )


def _segments(path: Path, tracks: int) -> tuple[pl.DataFrame, np.ndarray]:
    parts, values = [], [np.empty(0)]
    with open_bigwig(path) as file:
        for contig in file.contigs:
            for start, end, value in file.segments(contig):
                parts.append(
                    pl.DataFrame({"chrom": [contig] * len(start), "start": start, "end": end})
                )
                values.append(value)
                _check_size(sum(map(len, values)), tracks, path)
    schema = {"chrom": pl.String, "start": pl.Int64, "end": pl.Int64}
    rows = pl.concat([pl.DataFrame(schema=schema), *parts])
    return rows, np.concatenate(values)
