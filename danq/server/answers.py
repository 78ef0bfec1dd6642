"""Answers of jobs: rows of a result as JSON, the map of one sequence, the table as TSV."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.inference.result import Result
from danq.inference.writers.tsv import head, write_rows

SCORES = ("logit", "log2fc", "diff", "product", "ref", "alt")
"""Scores of a track of variants, in the order in which they are shown."""

MAX_REJECTS = 200
"""Rejected alleles that an answer lists."""


@dataclass(frozen=True)
class Answer:
    """Result of a job.

    Attributes
    ----------
    result
        What the function of the library returned.
    values
        What the values are.
    meanings
        What each kind of value, or each score of variants, is.
    """

    result: Result
    values: str
    meanings: Mapping[str, str]

    def rows(self, first: int, count: int) -> dict[str, Any]:
        """Some rows with their values, as JSON; and the rejected alleles.

        Parameters
        ----------
        first
            Number of the first row, from 0.
        count
            Number of rows.
        """
        result = self.result
        part = slice(first, first + count)
        return {
            "values": self.values,
            "meanings": dict(self.meanings),
            "total": len(result),
            "first": first,
            "names": result.names[part],
            "columns": list(result.columns),
            "rows": result.rows[part].to_dicts(),
            "data": _lists(result.values[part]),
            "rejected_total": len(result.rejected),
            "rejected": result.rejected[:MAX_REJECTS].to_dicts(),
        }

    def table(self, clean: Callable[[str], str]) -> bytes:
        """The whole result, as the commands write it.

        Parameters
        ----------
        clean
            Changes the texts of the provenance.
        """
        frame = self.result.to_polars()
        text = io.BytesIO()
        about = {name: clean(one) for name, one in self.result.provenance.items()}
        text.write(head(frame.columns, about))
        write_rows(text, frame)
        return text.getvalue()

    @cached_property
    def _bounds(self) -> list[int]:
        """First row of each mutated sequence, and the number of rows."""
        rows = self.result.rows
        if rows.is_empty():
            return [0]
        name, pos = pl.col(rows.columns[0]), pl.col("pos")
        starts = rows.select(
            ((name != name.shift()) | (pos != pos.shift() + 1)).fill_null(True)
        ).to_series()
        return [*starts.arg_true().to_list(), len(rows)]

    def map(self, sequence: int, track: int) -> dict[str, Any]:
        """Effects of all substitutions of one sequence on one track, as JSON.

        Parameters
        ----------
        sequence, track
            Their numbers, from 0.

        Raises
        ------
        InputError
            When there is no such sequence or track.
        """
        result, bounds = self.result, self._bounds
        if not 0 <= sequence < len(bounds) - 1:
            raise InputError(f"sequence {sequence} is not one of {len(bounds) - 1:,}")
        if not 0 <= track < len(result.tracks):
            raise InputError(f"track {track} is not one of {len(result.tracks):,}")
        part = slice(bounds[sequence], bounds[sequence + 1])
        rows, values = result.rows[part], result.values[part][:, :, : len(result.tracks)]
        strongest = np.nan_to_num(np.abs(values)).max(axis=(0, 1))
        return {
            "values": self.values,
            "sequences": self._sequences(),
            "sequence": sequence,
            "name": rows[0, 0],
            "first": rows["pos"][0],
            "bases": "".join(rows["ref"]),
            "track": result.tracks[track],
            "effects": _lists(values[:, :, track]),
            "strongest": _lists(strongest),
        }

    def _sequences(self) -> list[str]:
        rows, bounds = self.result.rows, self._bounds
        return [
            f"{rows[low, 0]}:{rows['pos'][low]}-{rows['pos'][high - 1]}"
            for low, high in pairwise(bounds)
        ]


def score_columns(tracks: Sequence[str], columns: Sequence[str]) -> dict[str, list[int | None]]:
    """Column of each score of each track, in results of variants; None if it has no such score."""
    numbers = {name: number for number, name in enumerate(columns)}
    found = {score: [numbers.get(f"{track}_{score}") for track in tracks] for score in SCORES}
    return {score: one for score, one in found.items() if any(i is not None for i in one)}


def _lists(values: np.ndarray) -> list[Any]:
    """Nested lists of numbers, with None for what is not finite."""
    finite = np.isfinite(values)
    if finite.all():
        return values.astype(np.float64).tolist()
    listed = values.astype(object)
    listed[~finite] = None
    return listed.tolist()
