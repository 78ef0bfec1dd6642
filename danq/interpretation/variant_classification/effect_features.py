"""Features of variants: predicted effects from files, and columns such as conservation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.data_frames import read_frame, read_parquet
from danq.files.hdf5_input import is_hdf5
from danq.files.open_input import check_file
from danq.files.recognise import PARQUET
from danq.files.sealed_hdf5 import open_sealed
from danq.files.text_tables import (
    MAX_ROWS,
    MISSING,
    repeated_column,
    separator_problem,
    split_fields,
    text_lines,
    too_many_rows,
)
from danq.inference.track_levels import BITS_NAME
from danq.inference.variants.allele_scores import DIFF
from danq.inference.writers.variant_hdf5 import EXPECTED, FORMAT_VERSION, KIND, MAGIC, TRACK_KINDS
from danq.interpretation.variant_classification.match_variants import (
    KEYS,
    LABEL,
    LINE,
    ROW,
    contig_groups,
    match_rows,
)
from danq.names import check_names

REMEDY = "Give variants that danq scored with the scores logit (or log2fc) and diff"

_KEY_TYPES = {"chrom": pl.String, "pos": pl.Int64, "id": pl.String, "ref": pl.String}
_TYPES = _KEY_TYPES | {"alt": pl.String}

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class EffectFeatures:
    """Features of V variants.

    Attributes
    ----------
    variants
        V rows with the columns ``chrom``, ``pos`` (1-based), ``id``, ``ref`` and ``alt``.
    values
        ``(V, F)`` absolute change in log2 odds, or log2 fold change, of each track, then absolute
        change in probability or amount of each track, then further columns unchanged, NaN where
        unknown.
    names
        Names of the F features.
    path
        File that the features were read from.
    notes
        Texts about rows of tables and variants that had no match.
    """

    variants: pl.DataFrame
    values: Float32[np.ndarray, "V F"]
    names: tuple[str, ...]
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def take(self, rows: np.ndarray) -> EffectFeatures:
        """Select variants by a boolean mask or by indices."""
        indices = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(self, variants=self.variants[indices], values=self.values[indices])

    def _with(self, table: pl.DataFrame, row: pl.Series, path: Path) -> EffectFeatures:
        """Append the columns of a table, given the row of each variant in it."""
        numbered = table.with_row_index(ROW).with_columns(pl.col(ROW).cast(pl.Int64))
        joined = pl.DataFrame({ROW: row}).join(numbered, on=ROW, how="left", maintain_order="left")
        values = joined.select(pl.col(table.columns).fill_null(np.nan)).to_numpy()
        values = np.concatenate([self.values, values.astype(np.float32)], axis=1)
        notes = self.notes
        if lacking := row.null_count():
            what = f"{lacking:,} of {len(row):,} variants"
            if self.path is not None:
                what += f" of {self.path}"
            notes = (*notes, f"{what} are not in {path}; their values are unknown")
            log.info(notes[-1])
        return replace(self, values=values, names=(*self.names, *table.columns), notes=notes)


def add_columns(
    features: Sequence[EffectFeatures], table: pl.DataFrame, path: Path
) -> list[EffectFeatures]:
    """Append the numeric columns of a table of variants to features from one or more files.

    Variants that the table lacks, and rows that match no variant of any of the files, are counted,
    logged and added to the notes; those about rows to the notes of the first file.

    Parameters
    ----------
    features
        Features to append to.
    table
        Columns `KEYS`, one row per variant, and numeric columns with
        `danq.files.text_tables.MISSING` for unknown values. Variants that it lacks get NaN.
    path
        File of the table, for messages.

    Raises
    ------
    InputError
        When the table has no numeric column, an infinite value, a variant twice, or none of
        the variants of one of the files.
    """
    new = [name for name in table.columns if name not in (*_TYPES, LINE)]
    table = table.with_columns(_to_float(table, name, path) for name in new)
    if not new:
        raise InputError(
            "has no numeric column", file=path, remedy=f"Add one beside {', '.join(KEYS)}"
        )
    first, *others = features
    variants, ours = [first.variants.select(KEYS)], first.variants["chrom"].to_list()
    for other in others:
        # The files may name contigs in other ways than each other, and than the table.
        names = contig_groups(other.variants["chrom"].to_list(), ours, other.path or "")
        variants.append(other.variants.select(KEYS).with_columns(pl.Series("chrom", names)))
    matches = match_rows(pl.concat(variants), table, path, scored=first.path)
    if matches.note:
        log.info(matches.note)
        features = [replace(first, notes=(*first.notes, matches.note)), *others]
    start, added = 0, []
    for one in features:
        row = matches.row[start : start + one.variants.height]
        start += one.variants.height
        if row.null_count() == len(row):
            # Raises an error about this file.
            match_rows(one.variants, table, path, scored=one.path)
        added.append(one._with(table[new], row, path))
    return added


def read_effects(path: str | Path) -> EffectFeatures:
    """Read the features of variants from an output of `danq.write_variant_scores`.

    Parameters
    ----------
    path
        HDF5, Parquet or TSV (plain or gzip) with the scores ``logit`` (``log2fc`` for
        tracks of amounts) and ``diff``.

    Raises
    ------
    InputError
        When the file is missing, damaged, or of another format or version; when it lacks a score;
        or when a score is not finite.
    """
    path = check_file(path)
    if is_hdf5(path):
        features = _from_hdf5(path)
    elif format_of(path) == PARQUET:
        features = _from_table(path, read_parquet(path))
    else:
        features = _from_table(path, read_frame(path, _kind_of))
    bad = np.asarray(~np.isfinite(features.values).all(axis=1))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {len(bad)} variants have a score that is not a finite number",
            file=path,
            record=str(features.variants["id"][int(bad.argmax())]),
        )
    return features


def read_table(path: str | Path, *needed: str) -> pl.DataFrame:
    """Read a tab-separated table of variants as text, with the line of each row (`LINE`).

    Parameters
    ----------
    path
        File with a header line, as `danq.files.text_tables` reads it. The header may start with
        ``#``; the names of `KEYS`, ``id`` and ``label`` may be in upper case.
    needed
        Columns that the table must have.

    Raises
    ------
    InputError
        When the file is missing, empty or damaged, lacks a column or names it twice; at a row with
        more fields than the header; at a position that is not a whole number.
    """
    path = Path(path)
    header: list[str] = []
    names: list[str] = []
    rows: list[list[str]] = []
    for number, line in enumerate(text_lines(path), start=1):
        if line.startswith("#") and not names:
            header = line[1:].strip().split("\t")
        elif line.strip() and not line.startswith("#"):
            if names:
                if len(rows) == MAX_ROWS:
                    raise too_many_rows(path, number)
                rows.append(_fields(line, path, number, len(names)))
                continue
            names = _names(line, path, number)
            header = _lowered(header)
            if header and not set(needed) <= set(names) and set(needed) <= set(header):
                names = header
                rows.append(_fields(line, path, number, len(names)))
    for name in needed:
        if name not in names:
            raise InputError(
                f"has no column '{name}'",
                file=path,
                remedy=f"Add a header line with the columns {', '.join(needed)}",
            )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise repeated_column(repeated[0], path)
    table = pl.DataFrame(rows, schema=dict.fromkeys([*names, LINE], pl.String), orient="row")
    table = table.with_columns(pl.col(LINE).cast(pl.Int64))
    return table if "pos" not in names else _with_positions(table, path)


def _names(line: str, path: Path, number: int) -> list[str]:
    """Names of columns."""
    names = split_fields(line, path, number)
    problem = separator_problem(line, 2) if len(names) == 1 else None
    if problem is not None:
        raise InputError(problem[0], file=path, line=number, remedy=problem[1])
    return _lowered(names)


def _lowered(names: list[str]) -> list[str]:
    """Names of columns, those that danq knows in lower case."""
    known = {*_TYPES, LABEL}
    return [name.lower() if name.lower() in known else name for name in names]


def _fields(line: str, path: Path, number: int, width: int) -> list[str]:
    """Fields of a row, and its line; empty fields at its end are restored."""
    fields = split_fields(line, path, number)
    if len(fields) > width:
        raise InputError(
            f"the row has {len(fields)} columns, the header has {width}", file=path, line=number
        )
    return [*fields, *[""] * (width - len(fields)), str(number)]


def _with_positions(table: pl.DataFrame, path: Path) -> pl.DataFrame:
    position = table["pos"].cast(pl.Int64, strict=False)
    if position.null_count():
        row = int(position.is_null().arg_max() or 0)
        raise InputError(
            f"the position {table['pos'][row]!r} is not a whole number",
            file=path,
            line=table[LINE][row],
            remedy="Positions are 1-based whole numbers",
        )
    return table.with_columns(position)


def _to_float(table: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """Convert a column to Float32, null where it is unknown."""
    column = table[name]
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        text = text.set(text.str.to_lowercase().is_in(MISSING), None)
        column = text.cast(pl.Float64, strict=False).cast(pl.Float32, strict=False)
        invalid = text.is_not_null() & column.is_null()
    else:
        invalid = pl.repeat(
            not (column.dtype.is_numeric() or column.dtype == pl.Null), len(column), eager=True
        )
        column = column.cast(pl.Float32, strict=False)
    for bad, problem in (
        (invalid, f"column '{name}' has a value that is not a number"),
        (column.is_infinite().fill_null(False), f"column '{name}' has an infinite value"),
    ):
        if bad.any():
            row = table.row(int(bad.arg_max() or 0), named=True)
            raise InputError(
                problem,
                file=path,
                line=row.get(LINE),  # type: ignore[arg-type]
                record=_describe(row),
                remedy="Use NA for unknown values",
            )
    return column


def _describe(row: dict[str, object]) -> str:
    return " ".join(str(row[key]) for key in KEYS)


def _kind_of(name: str) -> type[pl.DataType] | None:
    return _TYPES.get(name, pl.Float32 if _track_of(name) else None)


def _track_of(column: str) -> str | None:
    """Track of a column TRACK_logit, TRACK_log2fc or TRACK_diff."""
    track, _, score = column.rpartition("_")
    return track if track and score in (*BITS_NAME.values(), DIFF) else None


def _from_table(path: Path, table: pl.DataFrame) -> EffectFeatures:
    bits: dict[str, str] = {}
    for name in table.columns:
        track = _track_of(name)
        if not track or name.endswith(f"_{DIFF}") or f"{track}_{DIFF}" not in table.columns:
            continue
        if track in bits:
            raise InputError(
                f"has two columns of effects of one track, '{bits[track]}' and '{name}'",
                file=path,
                remedy="Remove one of them",
            )
        bits[track] = name
    tracks = tuple(bits)
    if not tracks or not set(_TYPES) <= set(table.columns):
        raise InputError(
            "lacks columns of variant effects (chrom, pos, id, ref, alt, TRACK_logit or "
            "TRACK_log2fc, TRACK_diff)",
            file=path,
            remedy=REMEDY,
        )
    check_names(tracks, "track", file=path)
    names = (*bits.values(), *(f"{track}_{DIFF}" for track in tracks))
    values = np.abs(table.select(pl.col(names).cast(pl.Float32)).fill_null(np.nan).to_numpy())
    return EffectFeatures(table.select(list(_TYPES)), values, names, path)


def _from_hdf5(path: Path) -> EffectFeatures:
    with open_sealed(path, KIND, EXPECTED, remedy=REMEDY) as file:
        if file.attributes.get("magic") != MAGIC:
            raise InputError("has no variant effects", file=path, remedy=REMEDY)
        version = file.attributes.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"has format version {version}, not {FORMAT_VERSION}",
                file=path,
                remedy="Score the variants again",
            )
        tracks, kind = file.texts("tracks/name"), file.read("tracks/kind", np.uint8, (None,))
        if len(kind) != len(tracks) or (len(kind) and kind.max() >= len(TRACK_KINDS)):
            raise ValueError("'tracks/kind' does not hold the kinds of the tracks")
        # Columns of each score: those of a kind of track, or all.
        parts = {
            BITS_NAME[one]: np.flatnonzero(kind == number)
            for number, one in enumerate(TRACK_KINDS)
            if (kind == number).any()
        } | {DIFF: len(tracks) + np.arange(len(tracks))}
        missing = [score for score in parts if f"scores/{score}" not in file]
        if missing:
            raise InputError(f"lacks the score {missing[0]}", file=path, remedy=REMEDY)
        columns: dict[str, Any] = {
            name: list(file.texts(f"variants/{name}"))
            if kind == pl.String
            else file.read(f"variants/{name}", shape=(None,))
            for name, kind in _TYPES.items()
        }
        rows = len(columns["pos"])
        values = np.empty((rows, 2 * len(tracks)), np.float32)
        for score, own in parts.items():
            values[:, own] = file.read(f"scores/{score}", np.float32, (rows, len(own)))
        lengths = {len(column) for column in columns.values()}
        if lengths != {rows}:
            raise InputError(
                f"the columns of 'variants' have {sorted(lengths)} rows", file=path, remedy=REMEDY
            )
    np.abs(values, out=values)
    bits = [BITS_NAME[TRACK_KINDS[number]] for number in kind]
    names = (
        *(f"{track}_{score}" for track, score in zip(tracks, bits, strict=True)),
        *(f"{track}_{DIFF}" for track in tracks),
    )
    return EffectFeatures(pl.DataFrame(columns, schema=_TYPES), values, names, path)
