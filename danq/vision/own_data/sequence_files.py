"""Read texts with classes, texts with a tag per word, and time series of unequal length."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from danq.errors import InputError, few
from danq.files.npy_input import damage_named, read_npy
from danq.files.open_input import check_file, open_raw
from danq.files.text_tables import MAX_TEXT, is_missing, read_text, text_lines
from danq.vision.own_data.records import SPLIT_NAMES, Record, Source

TEXT_SUFFIXES = frozenset({".txt"})
SERIES_SUFFIXES = frozenset({".csv", ".tsv", ".npy"})
TAGGED_SUFFIXES = frozenset({".conll", ".bio", ".iob", ".iob2", ".tags"})

_MOST_VALUES = 1 << 28
_TAG_REMEDY = (
    "Give one word and its tag per line, with a tab between them, and a blank line between texts"
)
_SERIES_REMEDY = (
    "Give the arrays 'series' (N, T, C) or 'values' (all steps, C) with 'lengths' (N), and 'class' "
    "or 'value' (N)"
)


def is_tagged(path: Path) -> bool:
    """Whether a file has a tag per word: by its name, or by two columns and blank lines."""
    suffix = path.suffix.lower()
    if suffix in TAGGED_SUFFIXES:
        return True
    if suffix not in {".txt", ".tsv"}:
        return False
    lines = text_lines(path)
    blank = any(not line.strip() for line in lines[:-1])
    return blank and all(line.count("\t") == 1 for line in lines if line.strip())


def read_tagged(path: Path) -> Source:
    """Read texts with a tag per word, from one file or from a folder with a file per split.

    Raises
    ------
    InputError
        When a line has no tag, a folder has no such files, or there are no texts.
    """
    if path.is_file():
        return Source(path, "tags", _texts_of(path, None))
    records: list[Record] = []
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(file.stem.lower())
        if file.is_file() and split is not None:
            records += _texts_of(file, split)
    if not records:
        raise InputError(
            "has no files train, valid and test", file=path, remedy="Name the files by their splits"
        )
    return Source(path, "tags", records)


def _texts_of(path: Path, split: str | None) -> list[Record]:
    records: list[Record] = []
    words: list[str] = []
    tags: list[str] = []
    start = 1
    lines = [*text_lines(path), ""]
    for number, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("-DOCSTART-"):
            fields = line.rstrip("\r\n").split("\t")
            fields = fields if len(fields) > 1 else line.split()
            if len(fields) < 2 or not fields[0].strip() or not fields[-1].strip():
                raise InputError(
                    f"a word has no tag ('{line.strip()[:40]}')",
                    file=path,
                    line=number,
                    remedy=_TAG_REMEDY,
                )
            start = start if words else number
            words.append(fields[0].strip())
            tags.append(fields[-1].strip())
        elif words:
            records.append(Record("\t".join(words), tuple(tags), split, None, start))
            words, tags = [], []
    if not records:
        raise InputError("has no texts", file=path, remedy=_TAG_REMEDY)
    return records


def read_series(path: str | Path) -> Float32[np.ndarray, "T C"]:
    """Read one time series: a table of numbers with one row per step, or an ``.npy`` file.

    A first row without numbers names the channels. The separator is a tab, comma or semicolon.

    Raises
    ------
    InputError
        When it cannot be read, has no steps, or a value is missing or not finite.
    """
    path = Path(path)
    if path.suffix.lower() == ".npy":
        return check_series(read_npy(path), path)
    lines = [
        (number, line)
        for number, line in enumerate(read_text(path, MAX_TEXT).split("\n"), start=1)
        if line.strip() and not line.startswith("#")
    ]
    if not lines:
        raise InputError("has no steps", file=path, remedy="Give one row per step")
    separator = max("\t,;", key=lines[0][1].count)
    rows: list[list[float]] = []
    for at, (number, line) in enumerate(lines):
        fields = [field.strip().strip('"') for field in line.split(separator)]
        try:
            rows.append([np.nan if is_missing(field) else float(field) for field in fields])
        except ValueError as error:
            if at == 0:
                continue
            raise InputError(
                f"a field is not a number ({error})",
                file=path,
                line=number,
                remedy="Give numbers with a decimal point, one row per step",
            ) from error
        if len(rows[-1]) != len(rows[0]):
            raise InputError(
                f"the row has {len(rows[-1])} numbers, the first one {len(rows[0])}",
                file=path,
                line=number,
                remedy="Give as many numbers in each row as there are channels",
            )
    return check_series(np.array(rows, np.float64), path)


def read_words(path: str | Path) -> str:
    """Read the text of a file.

    Raises
    ------
    InputError
        When it cannot be read, or is larger than `MAX_TEXT`.
    """
    return read_text(path, MAX_TEXT)


def check_series(values: np.ndarray, path: Path, record: str | None = None) -> np.ndarray:
    """A series as float32 with axes time and channel.

    Raises
    ------
    InputError
        When it has other axes, no steps, or values that are not finite.
    """
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or not values.size:
        raise InputError(
            f"an array of shape {values.shape} is not a series",
            file=path,
            record=record,
            remedy="Give the axes time and channel",
        )
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    if not np.isfinite(found).all():
        step = int(np.flatnonzero(~np.isfinite(found).all(axis=1))[0])
        raise InputError(
            f"step {step + 1:,} of {len(found):,} has a value that is missing or not finite",
            file=path,
            record=record,
            remedy="Fill it, for example by interpolation, or remove the series",
        )
    return found


def read_series_archive(path: Path) -> tuple[Source, list[np.ndarray]]:
    """Read the series of an ``.npz`` file.

    Parameters
    ----------
    path
        Its arrays: ``series`` (N, T, C) or (N, T), in which NaN at the end of a series fills up its
        length; or ``values`` (sum of lengths, C) with ``lengths`` (N). ``class`` (N, text or
        numbers) or ``value`` (N) or (N, K); optional ``split`` and ``group`` (N, text).

    Raises
    ------
    InputError
        When arrays are missing or do not fit together.
    """
    arrays = _archive(path)
    if "values" in arrays and "lengths" in arrays:
        lengths = arrays["lengths"].astype(np.int64)
        values = arrays["values"]
        if lengths.ndim != 1 or (lengths < 1).any() or lengths.sum() != len(values):
            raise InputError(
                f"the lengths sum up to {lengths.sum():,}, but there are {len(values):,} steps",
                file=path,
                remedy=_SERIES_REMEDY,
            )
        series = np.split(values, np.cumsum(lengths)[:-1])
    elif "series" in arrays:
        whole = arrays["series"]
        whole = whole[:, :, None] if whole.ndim == 2 else whole
        if whole.ndim != 3:
            raise InputError(
                f"'series' has the shape {whole.shape}", file=path, remedy=_SERIES_REMEDY
            )
        series = [_without_end(one) for one in whole]
    else:
        raise InputError(
            f"has neither 'series' nor 'values' and 'lengths'; it has {few(arrays, 8)}",
            file=path,
            remedy=_SERIES_REMEDY,
        )
    series = [
        check_series(one, path, f"series {number}") for number, one in enumerate(series, start=1)
    ]
    texts = {}
    for name in ("class", "value", "split", "group"):
        if name in arrays:
            if len(arrays[name]) != len(series):
                raise InputError(
                    f"'{name}' has {len(arrays[name]):,} entries for {len(series):,} series",
                    file=path,
                    remedy=_SERIES_REMEDY,
                )
            texts[name] = arrays[name]
    kind = "classes" if "class" in texts else "values" if "value" in texts else "none"
    if kind == "classes" and texts["class"].dtype.kind == "f" and np.isnan(texts["class"]).any():
        raise InputError(
            f"'class' is NaN for {np.isnan(texts['class']).sum():,} series",
            file=path,
            remedy="Give each series a class, or remove it",
        )
    records = []
    for i in range(len(series)):
        target: Any = None
        if kind == "classes":
            target = str(texts["class"][i])
        elif kind == "values":
            target = np.atleast_1d(texts["value"][i]).astype(float).tolist()
        split = _split(path, str(texts["split"][i])) if "split" in texts else None
        group = str(texts["group"][i]) if "group" in texts else None
        records.append(Record(f"series {i + 1}", target, split, group, None, i))
    names = []
    if kind == "values":
        width = len(records[0].target)
        names = ["value"] if width == 1 else [f"value{k + 1}" for k in range(width)]
    return Source(path, kind, records, (), names), series


def _split(path: Path, name: str) -> str:
    if name.lower() not in SPLIT_NAMES:
        raise InputError(
            f"there is no split '{name}'", file=path, remedy="Use train, valid and test"
        )
    return SPLIT_NAMES[name.lower()]


def _without_end(series: np.ndarray) -> np.ndarray:
    """A series without the steps at its end that have no values at all."""
    if series.dtype.kind != "f":
        return series
    known = np.flatnonzero(~np.isnan(series).all(axis=1))
    return series[: known[-1] + 1] if len(known) else series[:0]


def _archive(path: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    problem = "is not a readable .npz file"
    remedy = "Write it with numpy.savez"
    with open_raw(check_file(path)) as file:
        data = io.BytesIO(file.read())
    with damage_named(path, problem, remedy=remedy), zipfile.ZipFile(data) as archive:
        total = sum(one.file_size for one in archive.infolist())
        if total > _MOST_VALUES * 8:
            raise ValueError(f"unpacks to {total >> 20:,} MiB")
        for one in archive.infolist():
            with archive.open(one) as member:
                name = os.path.splitext(one.filename)[0]
                arrays[name] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def padded(series: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Series as one array (N, T, C), cut or filled with zeros, and the mask of real steps."""
    out = np.zeros((len(series), length, series[0].shape[1]), np.float32)
    real = np.zeros((len(series), length), bool)
    for row, one in enumerate(series):
        kept = one[:length]
        out[row, : len(kept)], real[row, : len(kept)] = kept, True
    return out, real
