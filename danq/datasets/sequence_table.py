"""Read tables of designed sequences with measured amounts, as of reporter assays."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float32, Int32, UInt8

from danq.datasets.repeated_sequences import join_repeats
from danq.datasets.table_values import amounts_of, names_of, splits_of, weights_of
from danq.errors import InputError, few
from danq.files.data_frames import TextTable, is_parquet, read_parquet, read_text_table
from danq.files.open_input import check_file
from danq.files.text_tables import MISSING
from danq.genome.nucleotide_codes import LETTER_CODES, REFUSED, N, refused_letter
from danq.names import check_name

SEQUENCE_NAMES = ("sequence", "seq", "dna", "oligo", "promoter")
"""Names of a column of sequences, in lower case, in the order in which they are looked for."""

USES = ("split", "weight", "fold", "stratum")
"""Uses of columns that are recognised by their name."""

SHORTEST = 10
"""Letters of a DNA sequence that is recognised without the name of its column."""

MAX_LENGTH = 1_000_000
"""Largest number of bases of a sequence."""

_LETTERS = re.compile(r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+")
_NUMBER = re.compile(r"[+-]?([0-9]+[.,]?[0-9]*|[.,][0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf")

_ROWS = 1 << 16

log = logging.getLogger("danq")


@dataclass(frozen=True)
class TableColumns:
    """Columns of a table of sequences.

    Attributes
    ----------
    sequence
        Column of the sequences. None for a column with one of `SEQUENCE_NAMES`, or else the only
        column of DNA.
    values
        Columns of the amounts. Empty for all columns of numbers without another use.
    split
        Column with train, valid or test. None for a column ``split``, if there is one.
    weight
        Column of weights of 0 or more. None for a column ``weight``, if there is one.
    fold
        Column of folds. None for a column ``fold``, if there is one.
    stratum
        Column of strata, within each of which an evaluation reports metrics. None for a column
        ``stratum``, if there is one.
    left_flank, right_flank
        Bases before and after each sequence: the name of a column, or the same bases for all.
    """

    sequence: str | None = None
    values: Sequence[str] = ()
    split: str | None = None
    weight: str | None = None
    fold: str | None = None
    stratum: str | None = None
    left_flank: str = ""
    right_flank: str = ""


@dataclass(frozen=True)
class SequenceTable:
    """Sequences with measured amounts.

    Attributes
    ----------
    codes
        ``(N, L)`` flanks included. Shorter sequences are centred: L // 2 - length // 2 codes of 4
        (N) come before them.
    lengths
        ``(N,)`` bases of each sequence; the others are padding.
    values
        ``(N, K)`` amounts; NaN where one was not measured.
    tracks
        ``K`` names of the columns of amounts.
    split
        ``(N,)`` index in `danq.datasets.dataset_format.SPLITS`; None without such a column.
    weights
        ``(N,)`` weights; None without such a column.
    folds
        ``(N,)`` index in ``fold_names``; None without such a column.
    fold_names
        Names of the folds.
    strata, strata_names
        The same for strata.
    decisions
        Number of rows by what was done with them.
    """

    codes: UInt8[np.ndarray, "N L"]
    lengths: Int32[np.ndarray, "N"]
    values: Float32[np.ndarray, "N K"]
    tracks: tuple[str, ...]
    split: UInt8[np.ndarray, "N"] | None = None
    weights: Float32[np.ndarray, "N"] | None = None
    folds: Int32[np.ndarray, "N"] | None = None
    fold_names: tuple[str, ...] = ()
    strata: Int32[np.ndarray, "N"] | None = None
    strata_names: tuple[str, ...] = ()
    decisions: dict[str, int] = field(default_factory=dict)


def read_sequence_table(
    path: str | Path, columns: TableColumns | None = None, *, window: int | None = None
) -> SequenceTable:
    """Read a table of sequences and amounts.

    Rows without any amount are left out. Rows of one sequence become one row with the means of
    their amounts. Both are counted and logged.

    Parameters
    ----------
    path
        TSV, CSV (separated by commas or semicolons; plain, gzip or bgzip) or Parquet. The first
        line names the columns; without names, a column of DNA and columns of numbers are
        recognised. A missing amount is empty, NA or NaN.
    columns
        Use of the columns; None to recognise it.
    window
        Number L of bases, at least those of the longest sequence; None for those.

    Raises
    ------
    InputError
        When the file cannot be read, a column does not exist, is used twice or cannot be
        recognised; at a row without sequence, with a letter that is no IUPAC letter, or with a
        sequence longer than the window; at an amount or weight that is not a finite number, such as
        one with a decimal comma, a negative weight, or another split than train, valid and test;
        when rows of one sequence have different splits, folds or strata; and when a column has no
        amount, or the table no row.
    """
    path = check_file(path)
    columns = columns or TableColumns()
    table = _read(path)
    use = _recognised(table, columns)
    sequences = _whole_sequences(table, use, columns)
    _check_letters(table, sequences)
    values = np.stack([amounts_of(table, name) for name in use.values], axis=1)
    none = np.zeros(table.frame.height)
    rest = pl.DataFrame(
        {
            "sequence": sequences,
            "split": splits_of(table, use.split) if use.split else none,
            "fold": names_of(table, use.fold, "fold") if use.fold else none,
            "stratum": names_of(table, use.stratum, "stratum") if use.stratum else none,
            "weight": weights_of(table, use.weight) if use.weight else none + 1,
        }
    )
    measured = ~np.isnan(values).all(axis=1)
    decisions = {
        "empty rows": table.empty,
        "rows without any amount": int((~measured).sum()),
    }
    values, rest = values[measured], rest.filter(pl.Series(np.asarray(measured)))
    _check_tracks(table, use.values, values)
    values, rest, merged = join_repeats(path, values, rest, weighted=use.weight is not None)
    decisions |= merged
    for what, count in decisions.items():
        if count:
            log.info("%s: %s: %s", path, what, f"{count:,}")
    codes, lengths = _encode(rest["sequence"], path, window)
    folds, fold_names = _numbered(rest["fold"], use.fold)
    strata, strata_names = _numbered(rest["stratum"], use.stratum)
    return SequenceTable(
        codes=codes,
        lengths=lengths,
        values=values.astype(np.float32),
        tracks=tuple(use.values),
        split=rest["split"].to_numpy().astype(np.uint8) if use.split else None,
        weights=rest["weight"].to_numpy().astype(np.float32) if use.weight else None,
        folds=folds,
        fold_names=fold_names,
        strata=strata,
        strata_names=strata_names,
        decisions=decisions,
    )


def _numbered(
    texts: pl.Series, column: str | None
) -> tuple[Int32[np.ndarray, "N"] | None, tuple[str, ...]]:
    """Index of each text in the sorted names, and the names; nothing without a column."""
    if column is None:
        return None, ()
    names = sorted(texts.unique().to_list())
    return np.searchsorted(names, texts.to_numpy()).astype(np.int32), tuple(names)


def _read(path: Path) -> TextTable:
    table = (
        TextTable(path, read_parquet(path), True, 0, b'"', "\t")
        if is_parquet(path)
        else read_text_table(path, lambda fields: not any(map(_is_dna, fields)))
    )
    if not table.frame.height:
        raise InputError("has no row of a sequence", file=path, remedy="Check the path")
    if not table.named:
        log.info("%s: the first line has a sequence, so it does not name the columns", path)
    return table


def _recognised(table: TextTable, columns: TableColumns) -> TableColumns:
    """The columns with a name for each use, checked."""
    frame, path = table.frame, table.path
    lower = {name.lower(): name for name in reversed(frame.columns)}
    sequence = columns.sequence or next(
        (lower[name] for name in SEQUENCE_NAMES if name in lower), None
    )
    if sequence is None:
        dna = [one.name for one in frame if _is_dna(one.drop_nulls().head(1).to_list())]
        if len(dna) != 1:
            raise InputError(
                f"has {len(dna)} columns of DNA ({few(dna) or few(frame.columns)})",
                file=path,
                remedy="Name the column of the sequences 'sequence', or give its name",
            )
        sequence = dna[0]
    found: dict[str, Any] = {use: getattr(columns, use) or lower.get(use) for use in USES}
    flanks = [one for one in (columns.left_flank, columns.right_flank) if one in frame.columns]
    used = [sequence, *filter(None, found.values()), *flanks]
    values = tuple(columns.values) or tuple(
        name for name in frame.columns if name not in used and _is_numeric(frame[name])
    )
    for name in (*used, *values):
        if name not in frame.columns:
            raise InputError(
                f"has no column '{name}'",
                file=path,
                remedy=f"Its columns are {few(frame.columns, 20)}",
            )
    twice = [name for name in dict.fromkeys((*used, *values)) if (*used, *values).count(name) > 1]
    if twice or not values:
        raise InputError(
            f"the column '{twice[0]}' has two uses" if twice else "has no column of numbers",
            file=path,
            remedy=f"Name the columns of the amounts; its columns are {few(frame.columns, 20)}",
        )
    for name in values:
        check_name(name, "track", file=path)
    if not columns.values:
        log.info("%s: sequences are in '%s', amounts in %s", path, sequence, few(values, 10))
        others = [name for name in frame.columns if name not in (*used, *values)]
        if others:
            log.info("%s: columns that are left out: %s", path, few(others, 10))
    for use, name in found.items():
        if name and not getattr(columns, use):
            log.info("%s: uses the column '%s' as %s", path, name, use)
    return TableColumns(sequence, values, **found)


def _whole_sequences(table: TextTable, use: TableColumns, columns: TableColumns) -> pl.Series:
    """Sequences with their flanks, in upper case, with T for U."""
    frame, path = table.frame, table.path
    assert use.sequence is not None
    own = frame[use.sequence]
    if own.dtype != pl.String:
        raise InputError(f"the column '{use.sequence}' is not text", file=path)
    own = own.str.strip_chars()
    missing = np.flatnonzero((own.fill_null("") == "").to_numpy())
    if missing.size:
        raise InputError(
            f"{missing.size:,} rows have no sequence",
            file=path,
            line=table.line(int(missing[0])),
            remedy="Remove them, or write their sequences",
        )
    sides = {}
    for side in ("left_flank", "right_flank"):
        text = getattr(columns, side)
        if text in frame.columns:
            sides[side] = frame[text].fill_null("").str.strip_chars()
        elif text and not _LETTERS.fullmatch(text):
            raise InputError(
                f"the {side.replace('_', ' ')} '{text[:40]}' is neither a column nor a sequence",
                file=path,
                remedy=f"Its columns are {few(frame.columns, 20)}",
            )
        else:
            sides[side] = pl.Series([text]).new_from_index(0, frame.height)
    whole = sides["left_flank"] + own + sides["right_flank"]
    return whole.str.to_uppercase().str.replace_all("U", "T", literal=True)


def _check_letters(table: TextTable, sequences: pl.Series) -> None:
    for low in range(0, sequences.len(), _ROWS):
        texts = sequences[low : low + _ROWS].to_list()
        flat = LETTER_CODES[np.frombuffer("".join(texts).encode(), np.uint8)]
        if not np.bitwise_or.reduce(flat, initial=0) & REFUSED:
            continue
        row = next(i for i, text in enumerate(texts) if not _LETTERS.fullmatch(text))
        at = next(i for i, letter in enumerate(texts[row]) if not _LETTERS.fullmatch(letter))
        letter, line = ord(texts[row][at]), table.line(low + row)
        raise refused_letter(letter, at + 1, file=table.path, line=line)


def _encode(
    sequences: pl.Series, path: Path, window: int | None
) -> tuple[UInt8[np.ndarray, "N L"], Int32[np.ndarray, "N"]]:
    lengths = sequences.str.len_bytes().to_numpy().astype(np.int32)
    longest, shortest = int(lengths.max()), int(lengths.min())
    most = MAX_LENGTH if window is None else window
    if longest > most:
        row = int(np.flatnonzero(lengths > most)[0])
        raise InputError(
            f"{int((lengths > most).sum()):,} sequences are longer than {most:,} bases; the "
            f"longest has {longest:,}. The first is {sequences[row][:20]}...",
            file=path,
            remedy="Use a longer window" if window is not None else "Give shorter sequences",
        )
    if shortest < longest:
        log.info(
            "%s: sequences have %s to %s bases; shorter ones are centred and padded with N",
            path,
            f"{shortest:,}",
            f"{longest:,}",
        )
    width = longest if window is None else window
    codes = np.full((lengths.size, width), N, np.uint8)
    unknown = 0
    for low in range(0, lengths.size, _ROWS):
        part = slice(low, low + _ROWS)
        flat = LETTER_CODES[np.frombuffer("".join(sequences[part].to_list()).encode(), np.uint8)]
        unknown += int(np.count_nonzero(flat == N))
        # As `danq predict` places a sequence that is shorter than the window of a model.
        place = np.arange(width) - (width // 2 - lengths[part, None] // 2)
        codes[part][(place >= 0) & (place < lengths[part, None])] = flat
    if unknown:
        log.info("%s: %s bases are N or another ambiguity code", path, f"{unknown:,}")
    return codes, lengths


def _check_tracks(table: TextTable, names: Sequence[str], values: np.ndarray) -> None:
    for name, column in zip(names, values.T, strict=True):
        known = column[~np.isnan(column)]
        if not known.size:
            raise InputError(
                f"the column '{name}' has no amount",
                file=table.path,
                remedy="Leave the column out, or correct it",
            )
        if known.min() == known.max():
            log.warning("%s: all amounts of '%s' are %g", table.path, name, known[0])


def _is_dna(fields: str | list) -> bool:
    """Whether a field, or the only field of a list, is a DNA sequence."""
    if isinstance(fields, list):
        return len(fields) == 1 and _is_dna(fields[0])
    return isinstance(fields, str) and len(fields) >= SHORTEST and bool(_LETTERS.fullmatch(fields))


def _is_numeric(column: pl.Series) -> bool:
    """Whether the first value of a column that is not missing is a number."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    given = column.filter(~column.str.to_lowercase().is_in(list(MISSING)))
    return bool(given.len()) and bool(_NUMBER.fullmatch(given[0]))
