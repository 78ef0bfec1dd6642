"""Variant effects as features: what `danq variants` wrote, and columns that others computed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import polars as pl
from jaxtyping import Float32

from danq.errors import InputError
from danq.genome.input_files import check_file, open_bytes
from danq.inference.variants.allele_scores import DIFF, LOGIT
from danq.inference.writers.variant_hdf5 import FORMAT_VERSION, MAGIC

KEYS = ("chrom", "pos", "ref", "alt")
"""What tells one variant from another; ``pos`` is 1-based, as in a VCF."""

SCORES = (LOGIT, DIFF)
REMEDY = "Write it by 'danq variants' with both scores, logit and diff"

UNKNOWN = ("", ".", "na", "nan", "n/a")
"""What stands for an unknown number, in capitals or not."""

_KEY_TYPES = {"chrom": pl.String, "pos": pl.Int64, "id": pl.String, "ref": pl.String}
_TYPES = _KEY_TYPES | {"alt": pl.String}


@dataclass(frozen=True, eq=False)
class EffectFeatures:
    """Features of V variants.

    Attributes
    ----------
    variants
        V rows: ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``.
    values
        ``(V, F)`` absolute values of the change in log2 odds on each track, then of the change in
        probability; then further columns as they are, NaN where one is unknown.
    names
        Names of the F features.
    path
        The file they came from.
    """

    variants: pl.DataFrame
    values: Float32[np.ndarray, "V F"]
    names: tuple[str, ...]
    path: Path | None = None

    def take(self, rows: np.ndarray) -> EffectFeatures:
        """Some rows, by number or by flags."""
        chosen = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(self, variants=self.variants[chosen], values=self.values[chosen])

    def with_columns(self, table: pl.DataFrame, path: Path) -> EffectFeatures:
        """Append the numeric columns of a table that names the same variants.

        Parameters
        ----------
        table
            Columns `KEYS`, once a variant, and numbers; `UNKNOWN` where one is not known.
        path
            Its file, for messages.

        Raises
        ------
        InputError
            When it has no column of numbers, a number that is infinite, a variant twice, or none
            of these variants.
        """
        numbers = [name for name in table.columns if name not in _TYPES]
        table = table.with_columns(_numbers(table, name, path) for name in numbers)
        if not numbers:
            raise InputError(
                "has no column of numbers", file=path, remedy=f"Give some beside {', '.join(KEYS)}"
            )
        refuse_repeats(table, path)
        marked = table.with_columns(pl.lit(True).alias("_known"))
        joined = self.variants.join(marked, on=KEYS, how="left", maintain_order="left")
        known = joined["_known"].is_not_null()
        if not known.any():
            raise InputError(
                "holds none of the variants",
                file=path,
                remedy="Name them as in the effects: contig, 1-based position and alleles",
            )
        more = joined.select(pl.col(numbers).fill_null(np.nan)).to_numpy()
        values = np.concatenate([self.values, more.astype(np.float32)], axis=1)
        return replace(self, values=values, names=(*self.names, *numbers))


def read_effects(path: str | Path) -> EffectFeatures:
    """Read the features of the variants that `danq variants` scored.

    Parameters
    ----------
    path
        HDF5, Parquet or TSV (plain or gzip) with the scores ``logit`` and ``diff``.

    Raises
    ------
    InputError
        When the file is missing, of no such kind or version, or damaged; when it lacks a score;
        or when a value is not finite.
    """
    path = check_file(path)
    with path.open("rb") as handle:
        head = handle.read(4)
    if h5py.is_hdf5(path):
        features = _from_hdf5(path)
    elif head == b"PAR1":
        features = _from_table(path, parquet=True)
    else:
        features = _from_table(path, parquet=False)
    bad = np.asarray(~np.isfinite(features.values).all(axis=1))
    if bad.any():
        raise InputError(
            f"{int(bad.sum())} of {len(bad)} variants have a score that is not a finite number",
            file=path,
            record=str(features.variants["id"][int(bad.argmax())]),
        )
    return features


def read_table(path: str | Path, *needed: str) -> pl.DataFrame:
    """Read a tab-separated table (plain or gzip) of variants; ``#`` begins a comment line.

    Parameters
    ----------
    path
        The file, with a header line.
    needed
        Columns that it must have.

    Raises
    ------
    InputError
        When it is missing, empty or damaged, or lacks a column.
    """
    path = Path(path)
    with open_bytes(path) as handle:
        data = handle.read()
    table = _parse(path, data)
    for name in needed:
        if name not in table.columns:
            raise InputError(
                f"has no column '{name}'",
                file=path,
                remedy=f"It needs a header line and the columns {', '.join(needed)}",
            )
    return table


def refuse_repeats(table: pl.DataFrame, path: str | Path | None) -> None:
    """Refuse a table that names a variant more than once.

    Raises
    ------
    InputError
        Naming the first one.
    """
    again = table.select(KEYS).is_duplicated()
    if again.any():
        row = table.row(int(again.arg_max() or 0), named=True)
        raise InputError(
            f"{int(again.sum())} rows name a variant that another row names too",
            file=path,
            record=_named(row),
            remedy="Leave one row a variant",
        )


def _numbers(table: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """A column as Float32, null where it is unknown."""
    column = table[name]
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        text = text.set(text.str.to_lowercase().is_in(UNKNOWN), None)
        column = text.cast(pl.Float32, strict=False)
        strange = text.is_not_null() & column.is_null()
    else:
        strange = pl.repeat(
            not (column.dtype.is_numeric() or column.dtype == pl.Null), len(column), eager=True
        )
        column = column.cast(pl.Float32, strict=False)
    for wrong, what in (
        (strange, f"column '{name}' holds other things than numbers"),
        (column.is_infinite().fill_null(False), f"column '{name}' holds an infinite number"),
    ):
        if wrong.any():
            row = table.row(int(wrong.arg_max() or 0), named=True)
            raise InputError(
                what,
                file=path,
                record=_named(row),
                remedy="Write NA where a number is not known",
            )
    return column


def _named(row: dict[str, object]) -> str:
    return " ".join(str(row[key]) for key in KEYS)


def _parse(path: Path, data: bytes) -> pl.DataFrame:
    first = next((line for line in data.splitlines() if line and not line.startswith(b"#")), b"")
    types = {}
    for name in first.decode("utf-8", "replace").split("\t"):
        types[name] = _TYPES.get(name, pl.Float32 if _track_of(name) else None)
    try:
        return pl.read_csv(
            data,
            separator="\t",
            comment_prefix="#",
            quote_char=None,
            infer_schema_length=None,
            schema_overrides={name: kind for name, kind in types.items() if kind is not None},
        )
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot be read as a table ({reason})", file=path) from error


def _track_of(column: str) -> str | None:
    """Track of a column TRACK_logit or TRACK_diff."""
    track, _, score = column.rpartition("_")
    return track if track and score in SCORES else None


def _from_table(path: Path, *, parquet: bool) -> EffectFeatures:
    if parquet:
        try:
            table = pl.read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"cannot be read as Parquet ({error})", file=path) from error
    else:
        table = read_table(path)
    tracks = [
        name.removesuffix(f"_{LOGIT}")
        for name in table.columns
        if name.endswith(f"_{LOGIT}") and f"{name.removesuffix(LOGIT)}{DIFF}" in table.columns
    ]
    if not tracks or not set(_TYPES) <= set(table.columns):
        raise InputError(
            "is no table of variant effects with the columns chrom, pos, id, ref, alt, TRACK_logit "
            "and TRACK_diff",
            file=path,
            remedy=REMEDY,
        )
    names = tuple(f"{track}_{score}" for score in SCORES for track in tracks)
    values = np.abs(table.select(pl.col(names).cast(pl.Float32)).fill_null(np.nan).to_numpy())
    return EffectFeatures(table.select(list(_TYPES)), values, names, path)


def _from_hdf5(path: Path) -> EffectFeatures:
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("magic") != MAGIC:
                raise InputError("holds no variant effects", file=path, remedy=REMEDY)
            if file.attrs["format_version"] != FORMAT_VERSION:
                raise InputError(
                    f"is of format version {file.attrs['format_version']}, not {FORMAT_VERSION}",
                    file=path,
                )
            missing = [score for score in SCORES if f"scores/{score}" not in file]
            if missing:
                raise InputError(f"lacks the score {missing[0]}", file=path, remedy=REMEDY)
            columns = {
                name: file[f"variants/{name}"].asstr()[:].tolist()  # type: ignore[union-attr]
                if kind == pl.String
                else file[f"variants/{name}"][:]  # type: ignore[index]
                for name, kind in _TYPES.items()
            }
            tracks = file["tracks/name"].asstr()[:].tolist()  # type: ignore[union-attr]
            rows = file["variants/pos"].shape[0]  # type: ignore[union-attr]
            values = np.empty((rows, len(SCORES) * len(tracks)), np.float32)
            for place, score in enumerate(SCORES):
                part = slice(place * len(tracks), (place + 1) * len(tracks))
                values[:, part] = file[f"scores/{score}"][:]  # type: ignore[index]
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"damaged or cut short ({error})", file=path) from error
    np.abs(values, out=values)
    names = tuple(f"{track}_{score}" for score in SCORES for track in tracks)
    return EffectFeatures(pl.DataFrame(columns, schema=_TYPES), values, names, path)
