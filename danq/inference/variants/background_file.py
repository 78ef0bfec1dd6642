"""Background distributions as HDF5 files; docs/formats.md shows the tree."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from danq.datasets.hdf5_writer import writing
from danq.errors import InputError
from danq.files.hdf5_input import Hdf5Input
from danq.files.sealed_hdf5 import open_sealed
from danq.inference.variants.background import Background, StratumScores, ranks, tail_ranks
from danq.inference.variants.region_classes import ELSEWHERE, RegionClasses
from danq.inference.variants.strata import Stratum, members
from danq.inference.writers.hdf5 import TEXT, write_header
from danq.names import check_names
from danq.output import replacing

MAGIC = "danq-background"
FORMAT_VERSION = 4
KIND = "background"
"""Kind of the file in its seal."""

MOST_VARIANTS = 1 << 53
"""Largest number of background variants: float64 counts no further."""

INTERVALS = ("contig", "start", "end", "number")

EXPECTED, REMEDY = "a background of danq (HDF5)", "Use a background file of danq"


def write_background_file(path: Path, background: Background, *, overwrite: bool = False) -> None:
    """Write the file.

    Raises
    ------
    InputError
        As `danq.output.replacing`.
    """
    classes, strata = background.classes, background.strata
    with replacing(path, overwrite) as temporary, writing(temporary, KIND) as file:
        write_header(
            file,
            MAGIC,
            FORMAT_VERSION,
            background.provenance,
            background.tracks,
            count=background.count,
            conditions=json.dumps(dict(background.conditions)),
        )
        for name in ("rank", "product", "logit", "specific"):
            file.create_dataset(name, data=getattr(background, name))
        file.create_dataset("regions/class", data=list(classes.names), dtype=TEXT)
        file.create_dataset("regions/contig_name", data=list(classes.contigs), dtype=TEXT)
        for name in INTERVALS:
            file.create_dataset(f"regions/{name}", data=getattr(classes, name))
        for name in Stratum._fields:
            texts = [getattr(one.stratum, name) for one in strata]
            file.create_dataset(f"strata/{name}", data=texts, dtype=TEXT)
        file.create_dataset(
            "strata/count", data=np.array([one.count for one in strata], dtype=np.int64)
        )
        empty = np.zeros(0, np.int64)
        file.create_dataset("strata/rank", data=np.concatenate([empty, *(o.rank for o in strata)]))
        none = np.zeros((len(background.tracks), 0), np.float32)
        file.create_dataset(
            "strata/specific",
            data=np.concatenate([none, *(one.specific for one in strata)], axis=1),
        )


def read_background(path: str | Path) -> Background:
    """Read a background file and check its content.

    Raises
    ------
    InputError
        When the file is missing or damaged, was not written by danq, or its arrays contradict each
        other.
    """
    with open_sealed(path, KIND, EXPECTED, remedy=REMEDY) as file:
        about = file.attributes
        if about.get("magic") != MAGIC:
            raise InputError("is not a background of danq", file=path, remedy=REMEDY)
        version = about.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"background format version {version}, this danq reads {FORMAT_VERSION}",
                file=path,
                remedy="Make the background again",
            )
        tracks = file.texts("tracks/name")
        check_names(tracks, "track", file=path)
        if not tracks or len(set(tracks)) < len(tracks):
            raise ValueError("'tracks/name' is empty or repeats a name")
        count = _count(about["count"])
        rank = ranks(count)
        shape = (len(tracks), len(rank))
        _check_equal("rank", _array(file, "rank", np.int64, rank.shape), rank)
        classes = _classes(file)
        return Background(
            tracks,
            count,
            rank,
            _scores(file, "product", shape),
            _scores(file, "logit", shape),
            _scores(file, "specific", shape),
            _object(about, "conditions"),
            _object(about, "provenance"),
            classes,
            _strata(file, classes, len(tracks), count),
        )


def _classes(file: Hdf5Input) -> RegionClasses:
    names, contigs = file.texts("regions/class"), file.texts("regions/contig_name")
    size = file.info("regions/start").shape
    found = RegionClasses(
        names, contigs, *(_array(file, f"regions/{name}", np.int64, size) for name in INTERVALS)
    )
    if names[:1] != (ELSEWHERE,) or len(set(names)) < len(names):
        raise ValueError("'regions/class' does not begin with '.' or repeats a name")
    if len(size) != 1:
        raise ValueError(f"'regions/start' has {len(size)} dimensions, not 1")
    contig, start, end, number = (getattr(found, name) for name in INTERVALS)
    same = contig[1:] == contig[:-1]
    ordered = np.where(same, start[1:] >= end[:-1], contig[1:] > contig[:-1])
    inside = (contig >= 0) & (contig < len(contigs)) & (number > 0) & (number < len(names))
    if not (ordered.all() and inside.all() and (start >= 0).all() and (start < end).all()):
        raise ValueError("the intervals of 'regions' are not sorted, overlap or are outside")
    if len(end) and end.max() >= MOST_VARIANTS:
        raise ValueError("the intervals of 'regions' are outside of any genome")
    return found


def _strata(
    file: Hdf5Input, classes: RegionClasses, tracks: int, total: int
) -> tuple[StratumScores, ...]:
    strata = [
        Stratum(*texts)
        for texts in zip(*(file.texts(f"strata/{name}") for name in Stratum._fields), strict=True)
    ]
    counts = _array(file, "strata/count", np.int64, (len(strata),))
    if len(set(strata)) < len(strata) or not set(strata) <= set(members(classes.names)):
        raise ValueError("'strata' repeats a stratum or has an unknown one")
    if len(counts) and not 0 < counts.min() <= counts.max() <= total:
        raise ValueError(f"'strata/count' is not between 1 and {total}")
    each = [tail_ranks(int(count)) for count in counts]
    expected = np.concatenate([np.zeros(0, np.int64), *each])
    _check_equal("strata/rank", _array(file, "strata/rank", np.int64, expected.shape), expected)
    ends = np.cumsum([len(one) for one in each])
    starts = {int(end) - len(one) for one, end in zip(each, ends, strict=True)}
    specific = _scores(file, "strata/specific", (tracks, len(expected)), starts)
    parts = np.split(specific, ends[:-1], axis=1) if strata else []
    return tuple(
        StratumScores(stratum, int(count), rank, np.ascontiguousarray(part))
        for stratum, count, rank, part in zip(strata, counts, each, parts, strict=True)
    )


def _scores(
    file: Hdf5Input, name: str, shape: tuple[int, ...], starts: set[int] | None = None
) -> np.ndarray:
    """Finite values that are 0 or more and ascend within each part that begins at ``starts``."""
    values = _array(file, name, np.float32, shape)
    if not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(f"'{name}' has values that are not finite, or are below 0")
    falls = np.flatnonzero((values[:, 1:] < values[:, :-1]).any(axis=0)) + 1
    if not set(falls.tolist()) <= (starts or set()):
        raise ValueError(f"'{name}' is not in ascending order")
    return values


def _array(file: Hdf5Input, name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    """An array of a known type and shape, which the file holds uncompressed."""
    found = file.info(name)
    if found.dtype != dtype or found.shape != shape:
        expected = f"{np.dtype(dtype)} {shape}"
        raise ValueError(f"'{name}' is {found.type} {found.shape}, not {expected}")
    if found.stored != math.prod(found.shape) * found.itemsize:
        raise ValueError(f"'{name}' is not stored in the file as danq writes it")
    return file.read(name)


def _check_equal(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    if not np.array_equal(found, expected):
        raise ValueError(f"'{name}' does not hold the ranks of the stored values")


def _count(value: object) -> int:
    if not isinstance(value, int | np.integer) or not 0 < value <= MOST_VARIANTS:
        raise ValueError(f"'count' is {value!r}, not a number of variants")
    return int(value)


def _object(about: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = json.loads(about[name])
    if not isinstance(value, dict):
        raise ValueError(f"'{name}' is not a JSON object")
    return value
