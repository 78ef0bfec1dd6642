"""The section on in silico mutagenesis: a logo above a heat map for the strongest sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.hdf5_input import is_hdf5
from danq.inference.writers.mutation_hdf5 import FORMAT_VERSION, MAGIC
from danq.report.content import Absent, MutationMap, Part, Plot, Section, Table
from danq.report.provenance_text import parse_provenance
from danq.report.read_tables import open_stored_hdf5, read_stored_table

SEQUENCES, TRACKS = 3, 3
"""Sequences, and tracks of each, that are drawn: those with the largest effects."""

MAX_BASES = 400
"""Bases of a map; of a longer sequence, those with the largest effects."""

_LETTERS = "ACGT"
_TEXT = {"chrom": pl.String, "name": pl.String, "pos": pl.Int64, "ref": pl.String, "alt": pl.String}
_AGAIN = "Run danq mutate again"
_MOST_VALUES = 200_000_000


@dataclass(frozen=True, eq=False)
class _Sequence:
    name: str
    start: int
    codes: np.ndarray
    effects: np.ndarray


@dataclass(frozen=True, eq=False)
class _Mutations:
    sequences: list[_Sequence]
    tracks: tuple[str, ...]
    provenance: dict[str, str]

    @property
    def unit(self) -> str:
        text = self.provenance.get("values", "effect")
        return text.partition(", mutant")[0]


def mutation_section(path: Path) -> Section:
    """Section on an output of `danq.write_mutations`: HDF5, TSV or Parquet."""
    title = f"Mutations: {path.name}"
    try:
        found = _from_hdf5(path) if is_hdf5(path) else _from_table(path)
        if not found.sequences or not found.tracks:
            raise InputError("has no effects", file=path, remedy=_AGAIN)
    except InputError as error:
        return Section(title, path, parts=(Absent("the effects of mutations", str(error)),))
    bases = sum(len(one.codes) for one in found.sequences)
    facts = {
        "sequences": f"{len(found.sequences):,}",
        "bases": f"{bases:,}",
        "tracks": f"{len(found.tracks):,}",
        "effect": found.unit,
    }
    return Section(title, path, facts, (*_maps(found), _table(found)), found.provenance)


def _from_hdf5(path: Path) -> _Mutations:
    what = "mutation effects of danq (HDF5)"
    with open_stored_hdf5(path, MAGIC, FORMAT_VERSION, what, remedy=_AGAIN) as file:
        tracks, names = file.texts("tracks/name"), file.texts("sequences/name")
        start = file.read("sequences/start", np.int64, (len(names),))
        end = file.read("sequences/end", np.int64, (len(names),))
        codes = file.read("bases/base", np.uint8, (None,))
        info = file.info("effects")
        if info.shape != (len(codes), 4, len(tracks)) or int((end - start).sum()) != len(codes):
            raise InputError(
                "the arrays do not have the bases of the sequences", file=path, remedy=_AGAIN
            )
        if np.prod(info.shape) > _MOST_VALUES:
            raise InputError(
                f"has {np.prod(info.shape):,} effects; a report reads at most {_MOST_VALUES:,}",
                file=path,
                remedy="Write fewer sequences or tracks",
            )
        effects = file.read("effects", np.float32, info.shape)
        ends = np.cumsum(end - start)
        sequences = [
            _Sequence(name, int(first), codes[last - size : last], effects[last - size : last])
            for name, first, size, last in zip(names, start, end - start, ends, strict=True)
        ]
        return _Mutations(sequences, tracks, parse_provenance(file.attributes.get("provenance")))


def _from_table(path: Path) -> _Mutations:
    stored = read_stored_table(path, _TEXT, complete=("pos", "ref", "alt"))
    frame = stored.frame
    key = frame.columns[0]
    tracks = tuple(
        name
        for name in frame.columns[4:]
        if not (name.endswith("_sd") and name.removesuffix("_sd") in frame.columns)
    )
    single = frame.filter(pl.col("ref").str.len_chars() == 1, pl.col("alt").str.len_chars() == 1)
    sequences = []
    for (name,), rows in single.partition_by(key, as_dict=True, maintain_order=True).items():
        position = rows["pos"].to_numpy()
        for run in np.split(np.arange(len(position)), np.flatnonzero(np.diff(position) > 1) + 1):
            sequences.append(_sequence(str(name), rows[run], tracks, path))
    return _Mutations(sequences, tracks, dict(stored.provenance))


def _sequence(name: str, rows: pl.DataFrame, tracks: tuple[str, ...], path: Path) -> _Sequence:
    """The effects on consecutive bases."""
    if rows["pos"].is_sorted() is False or not set(rows["ref"]) | set(rows["alt"]) <= set(_LETTERS):
        raise InputError(
            "the rows are not in the order in which danq writes them", file=path, remedy=_AGAIN
        )
    start = int(rows["pos"][0]) - 1
    at = rows["pos"].to_numpy() - 1 - start
    codes = np.full(int(at[-1]) + 1, 4, np.uint8)
    effects = np.full((len(codes), 4, len(tracks)), np.nan, np.float32)
    ref, alt = ([_LETTERS.index(base) for base in rows[column]] for column in ("ref", "alt"))
    codes[at] = ref
    effects[at, ref] = 0
    effects[at, alt] = rows.select(pl.col(tracks).cast(pl.Float32)).to_numpy()
    return _Sequence(name, start, codes, effects)


def _maps(found: _Mutations) -> Iterator[Part]:
    size = [float(np.nan_to_num(np.abs(one.effects)).max(initial=0)) for one in found.sequences]
    for number in np.argsort(-np.array(size), kind="stable")[:SEQUENCES]:
        one = found.sequences[number]
        by_track = np.nan_to_num(np.abs(one.effects)).max(axis=(0, 1))
        for track in np.argsort(-by_track, kind="stable")[:TRACKS]:
            effects = one.effects[:, :, track]
            low = strongest(effects)
            part = slice(low, low + MAX_BASES)
            drawn = MutationMap(
                one.name, one.start + low, one.codes[part], effects[part], found.unit
            )
            name = found.tracks[track]
            end = drawn.start + len(drawn.codes)
            cut = len(drawn.codes) < len(one.codes)
            more = (
                f" Of {len(one.codes):,} bases, the {MAX_BASES} with the largest effects are shown."
                if cut
                else ""
            )
            yield map_plot(
                f"{one.name}:{drawn.start + 1:,}-{end:,}, track {name}", drawn, name, more
            )


def strongest(effects: np.ndarray) -> int:
    """First of the `MAX_BASES` bases with the largest effects."""
    if len(effects) <= MAX_BASES:
        return 0
    total = np.concatenate([[0], np.cumsum(np.nan_to_num(np.abs(effects)).sum(axis=1))])
    return int(np.argmax(total[MAX_BASES:] - total[:-MAX_BASES]))


def map_plot(title: str, drawn: MutationMap, track: str, more: str = "") -> Plot:
    """Plot of a map, with its caption, numbers and summary."""
    size = np.nan_to_num(np.abs(drawn.effects))
    position, code = np.unravel_index(int(size.argmax()), size.shape)
    rows = [
        (
            drawn.sequence,
            drawn.start + p + 1,
            "ACGTN"[drawn.codes[p]],
            _LETTERS[c],
            float(drawn.effects[p, c]),
        )
        for p in range(len(drawn.codes))
        if drawn.codes[p] < 4
        for c in range(4)
        if c != drawn.codes[p]
    ]
    schema = {
        "sequence": pl.String,
        "pos": pl.Int64,
        "ref": pl.String,
        "alt": pl.String,
        track: pl.Float64,
    }
    marked = " The outlined position is that of the variant." if drawn.mark is not None else ""
    return Plot(
        title,
        "Above, the reference sequence: the height of a letter is minus the mean effect of its "
        "three substitutions, so a letter that points up is one whose changes lower the "
        "prediction. Below, the effect of each substitution: "
        f"{drawn.unit}. Red raises the prediction, blue lowers it, white is 0. Dots mark the "
        f"reference base, and unknown bases are grey.{marked}{more}",
        drawn,
        pl.DataFrame(rows, schema=schema, orient="row"),
        f"The largest effect is {drawn.effects[position, code]:.3g} at position "
        f"{drawn.start + position + 1:,}, {'ACGTN'[drawn.codes[position]]} to {_LETTERS[code]}.",
    )


def _table(found: _Mutations) -> Table:
    rows = []
    for one in found.sequences[:1_000]:
        size = np.nan_to_num(np.abs(one.effects))
        position, code, track = np.unravel_index(int(size.argmax()), size.shape)
        rows.append(
            (
                f"{one.name}:{one.start + 1}-{one.start + len(one.codes)}",
                len(one.codes),
                one.start + int(position) + 1,
                f"{'ACGTN'[one.codes[position]]}>{_LETTERS[code]}",
                found.tracks[track],
                float(one.effects[position, code, track]),
            )
        )
    schema = {
        "sequence": pl.String,
        "bases": pl.Int64,
        "position": pl.Int64,
        "change": pl.String,
        "track": pl.String,
        "effect": pl.Float32,
    }
    return Table(
        "Largest effect in each sequence",
        "The substitution with the largest effect on any track, for each sequence (the first "
        "1,000).",
        pl.DataFrame(rows, schema=schema, orient="row"),
    )
