"""Write the effects of all substitutions, and plot those of one sequence."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from danq.files.inputs_in_use import protects_inputs
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.dependencies import DependencyMap
from danq.inference.mutagenesis.effect_kinds import Effect, describe_change, effect_for
from danq.inference.mutagenesis.effects import BaseEffects
from danq.inference.mutagenesis.mutate import WrittenMutations, write_mutations
from danq.inference.mutagenesis.targets import Target
from danq.inference.writers.mutation_layout import MutationLayout
from danq.inference.writers.open_output import Output, find_output
from danq.inference.writers.writer import Writer
from danq.interpretation.table_with_plot import check_plotted, plotted_tracks, table_and_plot
from danq.output import check_target, write_errors
from danq.plots.dependency_heat_map import plot_dependencies
from danq.plots.mutation_heat_map import MAX_TRACKS, plot_effects, save_plot
from danq.plots.style import check_plot_format
from danq.typing import Location


@protects_inputs
def write_mutations_and_plot(
    model: Models,
    source: Any,
    out: Location,
    *,
    plot: Location | None = None,
    effect: Effect | None = None,
    tracks: Sequence[str] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> WrittenMutations:
    """Write the effects of all substitutions, and optionally plot those of one sequence.

    Parameters
    ----------
    model, source, out, effect, overwrite, options
        As in `danq.write_mutations`.
    plot
        ``.png``, ``.svg`` or ``.pdf``; see `danq.plots.plot_effects`, and with ``pairs``
        `danq.plots.plot_dependencies`. None writes the effects only.
    tracks
        Tracks to write and to plot, in that order. With None, or more than 12, the three tracks
        with the largest effects are plotted.

    Raises
    ------
    InputError
        As `danq.write_mutations`; when there is more than one sequence to plot or one that is too
        long; when the plot exists, has an unknown extension or cannot be written.
    """
    settings = {"effect": effect, "tracks": tracks, "overwrite": overwrite, **options}
    if plot is None:
        return write_mutations(model, source, out, **settings)
    path = check_target(plot, overwrite)
    check_plot_format(path)
    with table_and_plot(out, path, overwrite) as (temporary, table):
        find_output(out, MutationLayout)
        all_tracks = tracks is not None and len(tracks) <= MAX_TRACKS
        observer = _Plot(all_tracks, effect, temporary, path, table)
        return write_mutations(model, source, out, observer=observer, **settings)


class _Plot:
    """Collects the effects on one sequence while they are written, and plots them."""

    def __init__(
        self,
        all_tracks: bool,
        effect: Effect | None,
        temporary: Path,
        path: Path,
        table: Path | None,
    ) -> None:
        self.all_tracks, self.temporary, self.path = all_tracks, temporary, path
        self.table = table
        self.effect = effect
        self.effects: list[BaseEffects] = []
        self.map: DependencyMap | None = None
        self.tracks: tuple[str, ...] = ()
        self.changes: list[str] = []
        self.quantities: list[str] = []

    def writer(self, output: Output, layout: MutationLayout) -> AbstractContextManager[Writer]:
        return output.open(layout) if self.table is None else output.open_at(self.table, layout)

    def begin(self, ensemble: Ensemble, targets: list[Target]) -> None:
        self.tracks = ensemble.tracks
        effect = effect_for(ensemble.kinds, self.effect)
        self.changes = [describe_change(effect, unit) for unit in ensemble.units]
        self.quantities = ["probability" if one == "peaks" else "amount" for one in ensemble.kinds]
        bases, name = (targets[0].size, targets[0].text) if targets else (0, "")
        check_plotted(len(targets), bases, name)

    def window(self, effects: BaseEffects) -> None:
        self.effects.append(effects)

    def dependencies(self, found: DependencyMap) -> None:
        self.map = found

    def end(self) -> None:
        figure = self._effects() if self.map is None else self._dependencies(self.map)
        with write_errors(self.path):
            save_plot(figure, self.temporary, self.path.suffix)

    def _dependencies(self, found: DependencyMap) -> Figure:
        shown = plotted_tracks(found.values, self.all_tracks)
        return plot_dependencies(
            found.codes,
            found.values[:, :, shown],
            effects=found.effects[:, :, shown],
            tracks=[self.tracks[track] for track in shown],
            units=[self.changes[track] for track in shown],
            name=found.name,
            start=found.start,
        )

    def _effects(self) -> Figure:
        effects = np.concatenate([one.mean for one in self.effects])
        first = self.effects[0]
        shown = plotted_tracks(effects, self.all_tracks)
        return plot_effects(
            np.concatenate([one.codes for one in self.effects]),
            effects[:, :, shown],
            tracks=[self.tracks[track] for track in shown],
            units=[self.changes[track] for track in shown],
            name=first.window.target.name,
            start=first.window.target.start,
            predicted=None
            if len(self.effects) > 1
            else [f"{self.quantities[one]} {first.reference[one]:.3g}" for one in shown],
        )
