"""The section on attributions: contributions of bases in the sequences with the largest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS
from danq.interpretation.attribution.attributions import Attributions
from danq.interpretation.attribution.read_attributions import read_attributions
from danq.report.content import Absent, MutationMap, Part, Plot, Section, Table
from danq.report.mutation_section import MAX_BASES, SEQUENCES, TRACKS, strongest

_MOST_SEQUENCES = 1_000


def attribution_section(path: Path) -> Section:
    """Section on the HDF5 file of `danq.write_attributions`."""
    title = f"Attributions: {path.name}"
    try:
        found = read_attributions(path)
        if not found.base.size or not found.tracks:
            raise InputError("has no bases", file=path, remedy="Run danq attribute again")
    except InputError as error:
        return Section(title, path, parts=(Absent("the contributions of bases", str(error)),))
    facts = {
        "method": found.method,
        "sequences": f"{len(found):,}",
        "bases": f"{len(found.base):,}",
        "tracks": f"{len(found.tracks):,}",
    }
    if found.baseline:
        facts["baseline"] = found.baseline
    if found.completeness is not None:
        largest = float(np.abs(found.completeness).max(initial=0))
        facts["largest completeness error"] = f"{largest:.2g}"
    return Section(title, path, facts, (*_maps(found), _table(found)), found.provenance)


def _largest(found: Attributions) -> np.ndarray:
    """``(S, K)`` size of the largest contribution in each sequence to each track."""
    size = np.nan_to_num(np.abs(found.attributions))
    return np.stack(
        [size[found.bases(n)].max(axis=0, initial=0) for n in range(min(len(found), 100_000))]
    )


def _unit(found: Attributions) -> str:
    return found.provenance.get("values", "contribution").partition(",")[0]


def _maps(found: Attributions) -> Iterator[Part]:
    largest = _largest(found)
    for number in np.argsort(-largest.max(axis=1), kind="stable")[:SEQUENCES]:
        own = found.bases(int(number))
        name = str(found.sequences[found.key][int(number)])
        start = int(found.sequences["start"][int(number)])
        for track in np.argsort(-largest[number], kind="stable")[:TRACKS]:
            yield _map(found, own, name, start, int(track))


def _map(found: Attributions, own: slice, name: str, start: int, track: int) -> Plot:
    actual = found.attributions[own, track]
    low = strongest(actual[:, None])
    part = slice(own.start + low, min(own.start + low + MAX_BASES, own.stop))
    codes, values = found.base[part], found.hypothetical[part, :, track]
    actual, unit = found.attributions[part, track], _unit(found)
    drawn = MutationMap(name, start + low, codes, values, unit, importance=actual)
    bases = own.stop - own.start
    more = (
        f" Of {bases:,} bases, the {MAX_BASES} with the largest contributions are shown."
        if len(codes) < bases
        else ""
    )
    at = int(np.nan_to_num(np.abs(actual)).argmax())
    title = f"{name}:{drawn.start + 1:,}-{drawn.start + len(codes):,}, track {found.tracks[track]}"
    return Plot(
        title,
        "Above, the sequence: the height of a letter is the contribution of that base to the "
        "prediction. Below, the contribution that each of the four bases would have at each "
        f"position: {unit}. Red raises the prediction, blue lowers it, white is 0. Dots mark the "
        f"base that is there, and unknown bases are grey.{more}",
        drawn,
        pl.DataFrame(
            {
                "sequence": [name] * len(codes),
                "pos": drawn.start + 1 + np.arange(len(codes)),
                "base": [LETTERS[code] for code in codes],
                "contribution": actual,
                **{f"of_{letter}": values[:, code] for code, letter in enumerate(LETTERS[:4])},
            }
        ),
        f"The largest contribution is {actual[at]:.3g}, of {LETTERS[codes[at]]} at position "
        f"{drawn.start + at + 1:,}.",
    )


def _table(found: Attributions) -> Table:
    rows = []
    for number in range(min(len(found), _MOST_SEQUENCES)):
        own = found.bases(number)
        if own.stop == own.start:
            continue
        values = np.nan_to_num(found.attributions[own])
        at, track = np.unravel_index(int(np.abs(values).argmax()), values.shape)
        start = int(found.sequences["start"][number])
        end = int(found.sequences["end"][number])
        rows.append(
            (
                f"{found.sequences[found.key][number]}:{start + 1}-{end}",
                len(values),
                start + int(at) + 1,
                LETTERS[found.base[own][at]],
                found.tracks[track],
                float(values[at, track]),
            )
        )
    schema = {
        "sequence": pl.String,
        "bases": pl.Int64,
        "position": pl.Int64,
        "base": pl.String,
        "track": pl.String,
        "contribution": pl.Float32,
    }
    return Table(
        "Largest contribution in each sequence",
        f"The base with the largest contribution to any track, for each sequence (the first "
        f"{_MOST_SEQUENCES:,}).",
        pl.DataFrame(rows, schema=schema, orient="row"),
    )
