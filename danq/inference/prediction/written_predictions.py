"""Write a stream of predictions to an output: those of a run, or those that its shards stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from danq.bounded_queue import write_behind
from danq.inference.blocks.shard import Shard, describe_complete
from danq.inference.prediction.row_blocks import joined
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import PredictionLayout, Values
from danq.inference.writers.open_output import Output
from danq.notebook_display import Display, display_html, display_text
from danq.output import name_of_output


class WrittenPredictions(NamedTuple):
    """Predictions in a file.

    Attributes
    ----------
    path
        File, directory of bigWig files, or folder of a shard.
    rows
        Number of rows.
    columns
        Names of the value columns.
    tracks
        Names of the tracks.
    shard
        The shard; None for an output.
    """

    path: Path
    rows: int
    columns: tuple[str, ...]
    tracks: tuple[str, ...]
    shard: Shard | None = None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """Path, rows and tracks on one line, and what to do after a shard."""
        count = len(self.tracks)
        spread = " and standard deviations" if len(self.columns) > count else ""
        text = (
            f"{name_of_output(self.path)}: {self.rows:,} row{'s' * (self.rows != 1)}, "
            f"{count:,} track{'s' * (count != 1)}{spread}"
        )
        return text if self.shard is None else f"{text}\n{describe_complete(self.shard)}"

    @classmethod
    def of(
        cls,
        path: Path,
        rows: int,
        layout: PredictionLayout,
        format: str,
        shard: Shard | None = None,
    ) -> WrittenPredictions:
        """Predictions with the columns of a layout."""
        columns = layout.tracks if format == "deepsea" else layout.columns
        return cls(path, rows, columns, layout.tracks, shard)


def stored_columns(layout: PredictionLayout) -> int:
    """Values per row that are written: of tracks, of the steps of profiles, and their spread."""
    return (len(layout.tracks) + layout.steps) * (1 + layout.spread)


def write_rows(
    parts: Iterable[tuple[Rows, Values]],
    output: Output,
    layout: PredictionLayout,
    size: int,
    *,
    overwrite: bool = False,
) -> WrittenPredictions:
    """Write predictions, which are read while the previous ones are written.

    Parameters
    ----------
    parts
        Rows, and `stored_columns` of each: for an ensemble the means, then the spreads.
    output, layout
        The output and its columns.
    size
        Rows that are written at once.
    overwrite
        Replace an existing output.

    Raises
    ------
    InputError
        As the output; as the source of the rows.
    """
    count = 0
    with (
        output.open(layout, overwrite=overwrite) as writer,
        write_behind(writer.write) as write,
    ):
        for rows, values in joined(parts, size):
            write(rows, *_parts(values, layout))
            count += len(values)
    return WrittenPredictions.of(output.path, count, layout, output.format)


def _parts(values: Values, layout: PredictionLayout) -> Iterator[Values]:
    """Columns of the tracks, then those of the steps of profiles if there are any."""
    if not layout.profiles:
        yield values
        return
    tracks = len(layout.tracks)
    each = [values] if not layout.spread else np.split(values, 2, axis=1)
    yield np.concatenate([one[:, :tracks] for one in each], axis=1)
    yield np.concatenate([one[:, tracks:] for one in each], axis=1)
