"""Write attributions, and plot those of one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.inference.ensemble import Models
from danq.inference.writers.attribution_layout import AttributionLayout, WindowAttributions
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.writer import Writer
from danq.interpretation.attribution.attribute import write_attributions
from danq.interpretation.attribution.attribution_job import AttributionJob
from danq.interpretation.attribution.explained_sequences import ExplainedSequences
from danq.interpretation.attribution.written_attributions import WrittenAttributions
from danq.interpretation.table_with_plot import check_plotted, plotted_tracks, table_and_plot
from danq.output import check_target, write_errors
from danq.plots.mutation_heat_map import MAX_TRACKS, plot_attributions, save_plot
from danq.plots.style import check_plot_format
from danq.typing import Location


@protects_inputs
def write_attributions_and_plot(
    model: Models,
    source: Any,
    out: Location,
    *,
    plot: Location | None = None,
    tracks: Sequence[str] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> WrittenAttributions:
    """Write attributions, and optionally plot those of one sequence.

    Parameters
    ----------
    model, source, out, overwrite, options
        As in `danq.write_attributions`.
    plot
        ``.png``, ``.svg`` or ``.pdf``; see `danq.plots.plot_attributions`. None writes the
        attributions only.
    tracks
        Tracks to write and to plot, in that order. With None, or more than 12, the three tracks
        with the largest contributions are plotted.

    Raises
    ------
    InputError
        As `danq.write_attributions`; when there is more than one sequence to plot or one that is
        too long; when the output consists of several files; when the plot exists, has an unknown
        extension or cannot be written.
    """
    settings = {"tracks": tracks, "overwrite": overwrite, **options}
    if plot is None:
        return write_attributions(model, source, out, **settings)
    path = check_target(plot, overwrite)
    check_plot_format(path)
    output = find_output(out, AttributionLayout)
    if output.format in ("bigwig", "modisco"):
        raise InputError(
            "a plot goes with one file of attributions, and this output consists of several",
            file=out,
            remedy="Choose an output that ends with .h5, .tsv or .parquet, or omit the plot",
        )
    with table_and_plot(out, path, overwrite) as (temporary, table):
        all_tracks = tracks is not None and len(tracks) <= MAX_TRACKS
        observer = _Plot(all_tracks, temporary, path, table)
        return write_attributions(model, source, out, observer=observer, **settings)


class _Plot:
    """Collects the attributions of one sequence while they are written, and plots them."""

    def __init__(self, all_tracks: bool, temporary: Path, path: Path, table: Path | None) -> None:
        self._all_tracks, self._temporary, self._path = all_tracks, temporary, path
        self._table, self._unit = table, ""
        self._tracks: tuple[str, ...] = ()
        self._blocks: list[WindowAttributions] = []

    def writer(self, output: Output, layout: AttributionLayout) -> AbstractContextManager[Writer]:
        return output.open(layout) if self._table is None else output.open_at(self._table, layout)

    def begin(self, job: AttributionJob, sequences: ExplainedSequences) -> None:
        self._tracks, self._unit = job.ensemble.tracks, job.output
        check_plotted(sequences.sequences, sequences.bases, "the sequence")

    def window(self, block: WindowAttributions) -> None:
        self._blocks.append(block)

    def end(self) -> None:
        hypothetical = np.concatenate([one.hypothetical for one in self._blocks])
        target = self._blocks[0].window.target
        own = np.concatenate([one.attributions for one in self._blocks])
        shown = plotted_tracks(own, self._all_tracks)
        figure = plot_attributions(
            np.concatenate([one.codes for one in self._blocks]),
            hypothetical[:, :, shown],
            tracks=[self._tracks[track] for track in shown],
            unit=self._unit,
            name=target.name,
            start=target.start,
        )
        with write_errors(self._path):
            save_plot(figure, self._temporary, self._path.suffix)
