"""Design sequences by directed evolution: the best edits of starts towards goals."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from danq._memory import kept_memory
from danq._version import __version__
from danq.amounts import describe_units
from danq.errors import InputError
from danq.genome.nucleotide_codes import LETTERS, decode
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.mutant_levels import MutantLevels, PlainLevels
from danq.inference.sources import as_source
from danq.interpretation.sequence_design.beam_search import BeamSearch, Member
from danq.interpretation.sequence_design.constraints import DesignConstraints, Limits
from danq.interpretation.sequence_design.first_order import FirstOrder
from danq.interpretation.sequence_design.fixed_positions import free_positions
from danq.interpretation.sequence_design.goals import DesignGoals, Objective
from danq.interpretation.sequence_design.starts import RandomStarts, Starts, read_starts
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.progress import stage

MAX_DIFFERENCE = 1e-3
"""Largest difference of an objective between the search and full evaluation, relative to the
objective where that is above 1, without a warning."""

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class Designs:
    """Result of `danq.design`.

    Attributes
    ----------
    table
        One row per start: ``name``, number of ``edits``, the ``changes`` such as ``A12C`` (base,
        1-based position, new base) in the order of the search, fraction ``gc`` of G and C,
        ``start_objective``, ``objective``, ``<track>_start`` and ``<track>_predicted`` (probability
        or amount of each track of the goals, as `danq.predict` gives them), ``start_sequence``, and
        the designed ``sequence``.
    trajectory
        One row per sequence from a start to its design: ``start``, ``edits`` so far, the last one
        (1-based ``position``, ``from``, ``to``), ``objective``, and ``<track>_predicted``.
    tracks
        Tracks of the goals.
    difference
        Largest difference between an objective of the search and that of the full evaluation, which
        the tables have.
    provenance
        Models, starts and settings, as in ``summary.json``.
    """

    table: pl.DataFrame
    trajectory: pl.DataFrame
    tracks: tuple[str, ...]
    difference: float
    provenance: dict[str, Any] = field(repr=False)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        sequences = ["start_sequence", "sequence"]
        return Display(
            f"{self.table.height:,} design{'s' * (self.table.height != 1)}",
            self.describe(),
            facts=self.provenance,
            facts_title="Provenance",
            tables=[
                FirstRows.of("Designs", self.table.drop(sequences)),
                FirstRows.of("Trajectory", self.trajectory),
            ],
            plots=["danq.plots.plot_trajectories(report.trajectory)"],
        )

    def summary(self) -> dict[str, Any]:
        """Provenance and counts, as in ``summary.json``."""
        return {
            **self.provenance,
            "designs": self.table.height,
            "improved": int((self.table["edits"] > 0).sum()),
            "median_edits": self.table["edits"].median(),
            "median_start_objective": self.table["start_objective"].median(),
            "median_objective": self.table["objective"].median(),
            "largest_difference": self.difference,
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary, and the table of the designs."""
        return {**self.summary(), "table": self.table.to_dicts()}

    def describe(self) -> str:
        """The summary as text."""
        found = self.summary()
        plural = "s" * (found["designs"] != 1)
        lines = [
            f"{found['designs']:,} design{plural}; edits: median {found['median_edits']:g}",
            f"objective ({found['objective']}): median {found['median_start_objective']:.4g} at "
            f"the starts, {found['median_objective']:.4g} in the designs",
        ]
        for track in self.tracks:
            before, after = (self.table[f"{track}_{end}"] for end in ("start", "predicted"))
            lines.append(
                f"{track}: median {before.median():.4g} at the starts, {after.median():.4g} in the "
                "designs"
            )
        unchanged = found["designs"] - found["improved"]
        if unchanged:
            lines.append(f"starts that no allowed edit improves: {unchanged:,}")
        lines.append(
            "largest difference of an objective between the search and full evaluation: "
            f"{self.difference:.1g}"
        )
        return "\n".join(lines)


@kept_memory()
def design(
    model: Models,
    starts: Any,
    goals: DesignGoals,
    *,
    constraints: DesignConstraints | None = None,
    edits: int = 8,
    beam: int = 5,
    proposals: int | None = None,
) -> Designs:
    """Design sequences by directed evolution, with exact mutagenesis in every step.

    Each start is edited one base at a time. In a step, danq evaluates all allowed substitutions of
    all sequences of the beam, as `danq.mutate` does, and keeps the best; see
    `danq.interpretation.sequence_design.beam_search.BeamSearch`. The design is the best sequence
    that meets the constraints, with the fewest edits. Finally, every sequence from a start to its
    design is evaluated in full, and these values are reported.

    Parameters
    ----------
    model
        A loaded model; for several, levels and predictions are means. The precision ``"auto"`` is
        fp32, also where predictions use bf16.
    starts
        Sequences as for `danq.predict`, or a FASTA file (`pathlib.Path`), each as long as the
        window of the model and without N; or `danq.RandomStarts`.
    goals
        The objective.
    constraints
        What must not change or occur; None for no constraints.
    edits
        Largest number of edits of a start.
    beam
        Sequences that are kept in each step; 1 is a greedy search.
    proposals
        In each step, evaluate only this number of substitutions of each sequence: those with the
        largest first-order effects, which gradients give in one pass. Faster, but the best
        substitution may be missed. None evaluates all.

    Raises
    ------
    InputError
        When a number is below 1, a track is unknown (the message suggests similar names), a
        target is no probability, a start has another length or an N, a motif or an interval is
        wrong, or the constraints contradict a start, each other or the number of edits.

    Notes
    -----
    Directed evolution of sequences with a model as in Taskiran et al., Nature 2024, there with a
    beam of one sequence.

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> goals = danq.DesignGoals(maximize=["Reb1"])  # doctest: +SKIP
    >>> danq.design(model, danq.RandomStarts(20), goals).table  # doctest: +SKIP
    """
    for name, value in (("edits", edits), ("beam", beam), ("proposals", proposals)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise InputError(f"{name} is {value!r}, the minimum is 1", remedy="Use 1 or more")
    constraints = constraints or DesignConstraints()
    ensemble = _in_fp32(Ensemble.of(model, goals.tracks))
    ensemble.check_measured()
    goals.check(ensemble)
    limits = Limits(ensemble.window, constraints.forbidden_motifs(), constraints.gc)
    if isinstance(starts, RandomStarts):
        begin = starts.draw(ensemble.window, limits.forbidden, constraints.gc)
        origin = starts.provenance()
    else:
        starts = as_source(starts)
        begin, origin = read_starts(starts, ensemble.window), starts.provenance()
    free = free_positions(constraints.fixed, begin.names, ensemble.window)
    for name, codes, own in zip(*begin, free, strict=True):
        limits.check(name, codes, own, edits)
    objective = Objective(goals, ensemble)
    gradients = None if proposals is None else FirstOrder(ensemble, objective)
    levels = MutantLevels(ensemble)
    search = BeamSearch(levels, objective, limits, edits, beam, proposals, gradients)
    found = []
    with stage("designing", "edits", edits * len(begin.names)) as now:
        for number, (name, codes, own) in enumerate(zip(*begin, free, strict=True), start=1):
            found.append(search.run(name, codes, own, now))
            now.reach(edits * number)
    units = describe_units(ensemble.tracks, ensemble.units)
    provenance = {
        "created_by": f"danq {__version__}",
        "models": ", ".join(ensemble.provenance().values()),
        "input": None,
        "seed": None,
        **origin,
        **ensemble.running(),
        "objective": goals.describe(ensemble),
        **constraints.provenance(),
        "max_edits": edits,
        "beam": beam,
        "proposals": proposals,
        "units": units if "amounts" in ensemble.kinds else None,
    }
    return _evaluated(ensemble, objective, begin, found, provenance)


def _in_fp32(ensemble: Ensemble) -> Ensemble:
    """The same models, in fp32 unless a precision is set: effects are small differences."""
    if ensemble.options.precision != "auto":
        return ensemble
    models = tuple(model.with_options(precision="fp32") for model in ensemble.models)
    return Ensemble(models, ensemble.track_indices)


def _evaluated(
    ensemble: Ensemble,
    objective: Objective,
    begin: Starts,
    found: Sequence[Member],
    provenance: dict[str, Any],
) -> Designs:
    """Tables of the full evaluation of all sequences from starts to designs."""
    owner, step, windows = [], [], []
    for number, (codes, member) in enumerate(zip(begin.codes, found, strict=True)):
        for count in range(len(member.edits) + 1):
            window = codes.copy()
            for edit in member.edits[:count]:
                window[edit.position] = edit.after
            owner.append(number)
            step.append(count)
            windows.append(window)
    levels = PlainLevels(ensemble)(np.stack(windows))
    objectives = objective(levels)
    searched = np.concatenate([member.objectives for member in found])
    differences = np.abs(objectives - searched)
    _warn(differences / np.maximum(1, np.abs(objectives)))
    last = [
        found[one].edits[count - 1] if count else None
        for one, count in zip(owner, step, strict=True)
    ]
    predicted = {
        f"{track}_predicted": levels.value[:, column].astype(np.float32)
        for column, track in enumerate(ensemble.tracks)
    }
    trajectory = pl.DataFrame(
        {
            "start": [begin.names[one] for one in owner],
            "edits": step,
            "position": [edit and edit.position + 1 for edit in last],
            "from": [edit and LETTERS[edit.before] for edit in last],
            "to": [edit and LETTERS[edit.after] for edit in last],
            "objective": objectives,
            **predicted,
        },
        schema_overrides={"position": pl.Int64, "from": pl.String, "to": pl.String},
    )
    ends = np.flatnonzero(np.diff([*owner, len(found)]))
    starts = ends - np.array([len(member.edits) for member in found])
    tracks = {}
    for name, values in predicted.items():
        tracks[f"{name.removesuffix('_predicted')}_start"] = values[starts]
        tracks[name] = values[ends]
    table = pl.DataFrame(
        {
            "name": begin.names,
            "edits": [len(member.edits) for member in found],
            "changes": [_changes(member) for member in found],
            "gc": [float(np.isin(member.codes, (1, 2)).mean()) for member in found],
            "start_objective": objectives[starts],
            "objective": objectives[ends],
            **tracks,
            "start_sequence": [decode(codes) for codes in begin.codes],
            "sequence": [decode(member.codes) for member in found],
        }
    )
    return Designs(table, trajectory, ensemble.tracks, float(differences.max()), provenance)


def _changes(member: Member) -> str:
    return " ".join(
        f"{LETTERS[edit.before]}{edit.position + 1}{LETTERS[edit.after]}" for edit in member.edits
    )


def _warn(differences: np.ndarray) -> None:
    """Warn where full evaluation gives other objectives than the search."""
    wrong = differences > MAX_DIFFERENCE
    if wrong.any():
        log.warning(
            "%d of %d objectives of the search differ from full evaluation by more than %g of "
            "their size, at most by %.2g; the tables have those of full evaluation. Use the "
            "precision fp32 and the tolerance 0",
            int(wrong.sum()), len(wrong), MAX_DIFFERENCE, float(differences.max()),
        )  # fmt: skip
