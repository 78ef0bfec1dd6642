"""Sections on experiments with sequences: effects of motifs, and designs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.interpretation.marginalization.write_marginalization import FORMAT as EFFECTS
from danq.interpretation.marginalization.write_marginalization import (
    FORMAT_VERSION as EFFECTS_VERSION,
)
from danq.interpretation.sequence_design.write_designs import FORMAT as DESIGNS
from danq.interpretation.sequence_design.write_designs import FORMAT_VERSION as DESIGNS_VERSION
from danq.report.content import Absent, Axis, Chart, Part, Plot, Section, Series, Table
from danq.report.result_folder import ResultFolder, open_result_folder, summary_texts

PAIRS, TRACKS = 4, 2
"""Pairs of motifs with a chart of their spacing, and tracks of each: those with the largest."""

LINES = 6
"""Lines of a chart of copies."""

NAMED = 8
"""Starts are separate lines if there are at most this many."""

_EFFECTS_AGAIN, _DESIGN_AGAIN = "Run danq marginalize again", "Run danq design again"
_TEXT: dict[str, type[pl.DataType]] = dict.fromkeys(
    ("motif", "partner", "side", "strand", "track"), pl.String
)
_DESIGN_TEXT: dict[str, type[pl.DataType]] = dict.fromkeys(
    ("name", "start", "changes", "from", "to", "sequence", "start_sequence"), pl.String
)
_EFFECTS_FACTS = ("motifs", "backgrounds", "window", "values", "ablation")
_EFFECTS_ABOUT = ("danq", "model", "seed", "strand", "precision", "tolerance")
_DESIGN_FACTS = ("designs", "improved", "objective", "max_edits", "beam", "input")
_DESIGN_ABOUT = ("created_by", "model", "seed", "strand", "precision", "proposals")


def marginalization_section(path: Path) -> Section:
    """Section on the folder of `danq.write_marginalization`."""
    folder, summary, error = open_result_folder(
        path, "a report of the effects of motifs", (EFFECTS, EFFECTS_VERSION), _EFFECTS_AGAIN
    )
    title = f"Effects of motifs: {path.name}"
    if error is not None:
        return Section(title, path, parts=(Absent("the effects of motifs", str(error)),))
    unit = str(summary.get("values", "effect")).partition(",")[0]
    parts = (
        *_effects(folder, unit),
        *_dose(folder, unit),
        *_spacing(folder, unit),
        *_ablation(folder, unit),
    )
    facts = summary_texts(summary, _EFFECTS_FACTS)
    return Section(title, path, facts, parts, summary_texts(summary, _EFFECTS_ABOUT))


def _effects(folder: ResultFolder, unit: str) -> Iterator[Part]:
    table = folder.table("effects.tsv", _TEXT, ("motif", "track", "effect", "sd", "se"))
    if isinstance(table, InputError):
        yield Absent("the effects of motifs", str(table))
        return
    yield Table(
        "Effect of each motif",
        f"What inserting a motif into background sequences does to each track: {unit}, as mean, "
        "standard deviation and standard error over the backgrounds. The prediction is the mean "
        "without the motif.",
        _by_size(table, "effect"),
        {"sd": "Standard deviation", "se": "Standard error"},
    )


def _dose(folder: ResultFolder, unit: str) -> Iterator[Part]:
    if not _has(folder, "dose.tsv"):
        return
    table = folder.table("dose.tsv", _TEXT, ("motif", "copies", "track", "effect", "se"))
    if isinstance(table, InputError):
        yield Absent("the effects of several copies", str(table))
        return
    kept = _by_size(table, "effect").unique(("motif", "track"), keep="first", maintain_order=True)
    series = []
    for motif, track in kept.select("motif", "track").head(LINES).iter_rows():
        own = table.filter(motif=motif, track=track).sort("copies")
        series.append(_line(f"{motif}, {track}", own, "copies", "effect"))
    yield Plot(
        "Effect of several copies",
        "Effect of 1 to n copies of a motif on a track, for the largest effects. Vertical lines "
        "are two standard errors in each direction.",
        Chart(Axis("Copies", whole=True), Axis(unit), tuple(series)),
        table,
        f"{table['motif'].n_unique():,} motifs with up to {table['copies'].max()} copies.",
    )


def _spacing(folder: ResultFolder, unit: str) -> Iterator[Part]:
    if not _has(folder, "spacing.tsv"):
        return
    needed = ("motif", "partner", "side", "strand", "distance", "track", "excess", "se")
    table = folder.table("spacing.tsv", _TEXT, needed)
    if isinstance(table, InputError):
        yield Absent("the spacing of motifs", str(table))
        return
    ordered = _by_size(table, "excess")
    pairs = ordered.unique(("motif", "partner"), keep="first", maintain_order=True)
    for motif, partner in pairs.select("motif", "partner").head(PAIRS).iter_rows():
        own = table.filter(motif=motif, partner=partner)
        strongest = _by_size(own, "excess").unique("track", keep="first", maintain_order=True)
        for row in strongest.head(TRACKS).iter_rows(named=True):
            yield _spacing_plot(own.filter(track=row["track"]), row, unit)


def _spacing_plot(own: pl.DataFrame, largest: dict, unit: str) -> Plot:
    motif, partner, track = largest["motif"], largest["partner"], largest["track"]
    orientations = own.select("side", "strand").unique(maintain_order=True).rows()
    series = tuple(
        _line(
            f"{side}, {strand} strand",
            own.filter(side=side, strand=strand).sort("distance"),
            "distance",
            "excess",
        )
        for side, strand in orientations
    )
    return Plot(
        f"Spacing of {motif} and {partner}, track {track}",
        f"How much more both motifs together change the prediction than the sum of their effects "
        f"alone: {unit}. Each line is a position and strand of {partner} relative to {motif}; 0 "
        "means that the motifs act independently. Vertical lines are two standard errors in each "
        "direction.",
        Chart(
            Axis(f"Bases between {motif} and {partner}", whole=True),
            Axis(f"Excess: {unit}"),
            series,
        ),
        own,
        f"The largest excess is {largest['excess']:+.3g} at {largest['distance']:.0f} bases, "
        f"{partner} {largest['side']} on the {largest['strand']} strand.",
    )


def _ablation(folder: ResultFolder, unit: str) -> Iterator[Part]:
    if not _has(folder, "ablation.tsv"):
        return
    table = folder.table("ablation.tsv", _TEXT, ("motif", "track", "effect", "sd", "se"))
    if isinstance(table, InputError):
        yield Absent("the ablation of motifs", str(table))
        return
    titles = {
        "sd": "Standard deviation",
        "se": "Standard error",
        "flanks_effect": "Effect of shuffled flanks",
        "flanks_sd": "Standard deviation of flanks",
        "flanks_se": "Standard error of flanks",
    }
    yield Table(
        "Ablation of each motif",
        f"What shuffling all instances of a motif does to each track: {unit}, as mean over "
        "sequences with instances. A motif that raises predictions has a negative effect here. "
        "For comparison, as many bases beside the instances are shuffled (flanks).",
        _by_size(table, "effect"),
        titles,
    )


def design_section(path: Path) -> Section:
    """Section on the folder of `danq.write_designs`."""
    folder, summary, error = open_result_folder(
        path, "a report of designs", (DESIGNS, DESIGNS_VERSION), _DESIGN_AGAIN
    )
    title = f"Designs: {path.name}"
    if error is not None:
        return Section(title, path, parts=(Absent("the designs", str(error)),))
    facts = summary_texts(summary, _DESIGN_FACTS)
    objective = str(summary.get("objective", "objective"))
    parts = (*_trajectories(folder, objective), *_designs(folder))
    return Section(title, path, facts, parts, summary_texts(summary, _DESIGN_ABOUT))


def _trajectories(folder: ResultFolder, objective: str) -> Iterator[Part]:
    table = folder.table("trajectory.tsv", _DESIGN_TEXT, ("start", "edits", "objective"))
    if isinstance(table, InputError):
        yield Absent("the objective by edits", str(table))
        return
    own = {str(name): part for (name,), part in table.group_by("start", maintain_order=True)}
    if len(own) > NAMED:
        edits = np.arange(max(map(len, own.values())))
        # A start whose search ended keeps its last objective.
        values = np.stack([_extended(part["objective"], len(edits)) for part in own.values()])
        series = (
            Series(f"{len(own):,} starts", edits, values, "crowd"),
            Series("median", edits, np.median(values, axis=0)),
        )
    else:
        series = tuple(
            Series(name, part["edits"].to_numpy(), part["objective"].to_numpy())
            for name, part in own.items()
        )
    median = np.median([part["objective"][-1] for part in own.values()])
    yield Plot(
        "Objective by number of edits",
        f"Each line is a start: the objective ({objective}) of the best sequence after each edit.",
        Chart(Axis("Edits", whole=True), Axis("Objective"), series),
        table,
        f"{len(own):,} starts; the median objective of the designs is {median:.4g}.",
    )


def _extended(values: pl.Series, length: int) -> np.ndarray:
    return np.pad(values.to_numpy(), (0, length - len(values)), mode="edge")


def _designs(folder: ResultFolder) -> Iterator[Part]:
    needed = ("name", "edits", "changes", "objective", "sequence")
    table = folder.table("designs.tsv", _DESIGN_TEXT, needed)
    if isinstance(table, InputError):
        yield Absent("the table of designs", str(table))
        return
    yield Table(
        "Designs",
        "Each row is a design: its edits in the order in which they were made (old base, 1-based "
        "position, new base), and objective and predictions at the start and of the design, from "
        "full evaluation. The link to the numbers has the sequences.",
        table.drop("sequence", "start_sequence", strict=False),
        {"gc": "GC content", "start_objective": "Objective at the start"},
        "objective",
        numbers=table,
    )


def _has(folder: ResultFolder, name: str) -> bool:
    """Whether a folder has a file, by its summary."""
    return folder.checksums is not None and name in folder.checksums


def _by_size(table: pl.DataFrame, value: str) -> pl.DataFrame:
    return table.sort(pl.col(value).abs(), descending=True, maintain_order=True, nulls_last=True)


def _line(name: str, own: pl.DataFrame, x: str, y: str) -> Series:
    values, errors = own[y].to_numpy(), 2 * own["se"].fill_null(0).to_numpy()
    return Series(name, own[x].to_numpy(), values, low=values - errors, high=values + errors)
