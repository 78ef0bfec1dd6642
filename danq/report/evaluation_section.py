"""The section on an evaluation: metrics of each track, curves, calibration, baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.files.open_input import check_file
from danq.inference.evaluation.evaluation_folder import FORMAT, FORMAT_VERSION, SUMMARY
from danq.provenance import sha256_of
from danq.report.content import Absent, Axis, Chart, Part, Plot, Section, Series, Table
from danq.report.evaluation_plots import (
    aupr_and_base_rate,
    baseline_plots,
    calibration_plots,
    curve_plots,
    spoken,
)
from danq.report.read_tables import read_stored_table

_TEXTS = {"track": pl.String, "group": pl.String, "stratum": pl.String, "model": pl.String}
_AGAIN = "Run danq evaluate again"
_NEEDED = {
    "metrics.tsv": ("track", "base_rate", "auroc", "aupr"),
    "curves.tsv": ("track", "x", "precision", "true_positive_rate"),
    "calibration.tsv": ("track", "low", "high", "windows", "predicted", "observed"),
    "amounts.tsv": ("track", "pearson", "spearman"),
    "scatter.tsv": ("track", "measured", "predicted"),
}
"""Columns that sections draw; all others of these tables hold numbers, too."""


def evaluation_section(path: Path) -> Section:
    """Section on the folder of an evaluation.

    A file that is missing, or is not as `danq.write_evaluation` wrote it, is named.
    """
    title = f"Evaluation: {path.name}"
    try:
        summary = read_json(path / SUMMARY, "an evaluation", remedy=_AGAIN)
        if not isinstance(summary, dict) or summary.get("format") != FORMAT:
            raise InputError(
                "is not the summary of an evaluation", file=path / SUMMARY, remedy=_AGAIN
            )
        if summary.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"has format version {summary.get('format_version')}, not {FORMAT_VERSION}",
                file=path / SUMMARY,
                remedy=_AGAIN,
            )
        if not _has_types(summary):
            raise InputError(
                "has values of other types than an evaluation", file=path / SUMMARY, remedy=_AGAIN
            )
    except InputError as error:
        return Section(title, path, parts=(Absent("the evaluation", str(error)),))
    parts = [*_peaks(path, summary), *_amounts(path, summary), *_other_tables(path, summary)]
    about = {name.replace("_", " "): _text(summary[name]) for name in _ABOUT if name in summary}
    return Section(title, path, _facts(summary), tuple(parts), about)


_ABOUT = ("created_by", "model", "model_sha256", "dataset", "dataset_sha256", "strand", "precision")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


_METRICS = (("aupr", "auroc"), ("pearson", "spearman"))


def _has_types(summary: Mapping[str, Any]) -> bool:
    """Whether the values that are shown have the types that `danq.write_evaluation` writes."""
    amounts = summary.get("amounts") or {}
    if not isinstance(amounts, dict):
        return False
    tables = [summary.get("overall") or {}, amounts.get("overall") or {}]
    if not all(isinstance(one, dict) for one in tables):
        return False
    means = [
        table.get(f"{metric}_mean{end}")
        for table, metrics in zip(tables, _METRICS, strict=True)
        for metric in metrics
        for end in ("", "_low", "_high")
    ]
    counts = [summary.get(name, 0) for name in ("windows", "leaked_windows")]
    return all(isinstance(one, float | int | None) for one in means) and all(
        isinstance(one, int) for one in counts
    )


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    facts = {"split": str(summary.get("split")), "windows": f"{summary.get('windows', 0):,}"}
    overall = summary.get("overall") or {}
    amounts = (summary.get("amounts") or {}).get("overall") or {}
    for table, metrics in zip((overall, amounts), _METRICS, strict=True):
        for metric in metrics:
            value = table.get(f"{metric}_mean")
            if value is not None:
                low, high = table.get(f"{metric}_mean_low"), table.get(f"{metric}_mean_high")
                interval = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
                facts[f"mean {spoken(metric)}"] = f"{value:.3f}{interval}"
    for name in ("log_loss", "calibration_error"):
        if isinstance(summary.get(name), float):
            facts[spoken(name)] = f"{summary[name]:.4f}"
    if summary.get("leaked_windows"):
        facts["leaked windows"] = f"{summary['leaked_windows']:,}"
    return facts


class _Files:
    """Tables of an evaluation whose checksums are right."""

    def __init__(self, path: Path, summary: Mapping[str, Any]) -> None:
        self.path = path
        files = summary.get("files")
        self.checksums: Mapping[str, Any] = files if isinstance(files, dict) else {}

    def __contains__(self, name: str) -> bool:
        return name in self.checksums

    def read(self, name: str) -> pl.DataFrame | Absent:
        try:
            if sha256_of(check_file(self.path / name)) != self.checksums.get(name):
                raise InputError(
                    "has changed since it was written", file=self.path / name, remedy=_AGAIN
                )
            needed = _NEEDED.get(name, ())
            known = read_stored_table(self.path / name, _TEXTS, needed=needed, numeric=bool(needed))
            return known.frame
        except InputError as error:
            return Absent(f"the table {name}", str(error))


def _peaks(path: Path, summary: Mapping[str, Any]) -> Iterator[Part]:
    files = _Files(path, summary)
    if "metrics.tsv" not in files:
        if not summary.get("amounts"):
            yield Absent("the metrics of each track", f"{path / SUMMARY} names no table of metrics")
        return
    table = files.read("metrics.tsv")
    if isinstance(table, Absent):
        yield table
        return
    yield metric_table(table)
    yield aupr_and_base_rate(table)
    curves = files.read("curves.tsv")
    if isinstance(curves, Absent):
        yield curves
    else:
        yield from curve_plots(curves, table)
    calibration = files.read("calibration.tsv")
    if isinstance(calibration, Absent):
        yield calibration
    else:
        yield from calibration_plots(calibration, table)
    yield from baseline_plots(table, ("aupr", "auroc"))


def metric_table(table: pl.DataFrame, sorted_by: str = "aupr", caption: str = "") -> Table:
    """Table of metrics of each track, with intervals as text and without empty columns."""
    kept = [name for name in table.columns if table[name].null_count() < table.height]
    if "group" in kept and not any(table["group"].fill_null("")):
        kept.remove("group")
    shown = table.select(kept)
    for low in (name for name in kept if name.endswith("_low")):
        metric = low.removesuffix("_low")
        high = f"{metric}_high"
        ends = (
            pl.col(end).map_elements(lambda value: f"{value:.3f}", pl.String) for end in (low, high)
        )
        text = pl.format("{} to {}", *ends)
        shown = shown.with_columns(text.alias(f"{metric}_interval")).drop(low, high)
        names = shown.columns
        names.remove(f"{metric}_interval")
        names.insert(names.index(metric) + 1, f"{metric}_interval")
        shown = shown.select(names)
    return Table(
        "Metrics of each track",
        caption or _CAPTION,
        shown,
        {name: spoken(name) for name in shown.columns},
        sorted_by if sorted_by in kept else None,
        numbers=table,
    )


_CAPTION = (
    "One row per track. The base rate is the fraction of positive windows, and the AUPR of a "
    "random prediction. Intervals are 95 % confidence intervals over blocks of neighbouring "
    "windows."
)


def _amounts(path: Path, summary: Mapping[str, Any]) -> Iterator[Part]:
    files = _Files(path, summary)
    if "amounts.tsv" not in files:
        return
    table = files.read("amounts.tsv")
    if isinstance(table, Absent):
        yield table
        return
    caption = (
        "One row per track of amounts. Pearson's and Spearman's correlations compare predicted and "
        "measured amounts of the windows; 1 is perfect. R² is the explained fraction of the "
        "variance, below 0 if the mean would predict better. The ceiling is what replicates allow."
    )
    yield metric_table(table, "pearson", caption)
    yield from _scatter(files)
    yield from baseline_plots(table, ("pearson", "spearman"))


def _scatter(files: _Files) -> Iterator[Part]:
    """Predicted against measured amounts, from the points that the evaluation stored."""
    name = "scatter.tsv"
    if name not in files:
        yield Absent("the scatter plot of amounts", f"the evaluation has no {name}. {_AGAIN}")
        return
    table = files.read(name)
    if isinstance(table, Absent):
        yield table
        return
    for (track,), rows in table.partition_by("track", as_dict=True, maintain_order=True).items():
        both = rows.select("measured", "predicted").to_numpy().astype(float)
        low, high = (float(v) for v in (both.min(), both.max()))
        yield Plot(
            f"Predicted and measured amounts: {track}",
            "Each mark is a window. On the dashed line, the predicted amount equals the measured "
            f"one. {rows.height:,} windows are shown, at equal distances in the order of the "
            "measured amounts.",
            Chart(
                Axis("Measured amount", low, high),
                Axis("Predicted amount", low, high),
                (Series(str(track), both[:, 0], both[:, 1], "points"),),
                diagonal=True,
            ),
            rows,
            f"Pearson's correlation of the shown windows: {_pearson(both):.3f}.",
        )


def _pearson(both: np.ndarray) -> float:
    if len(both) < 3 or (both.std(axis=0) == 0).any():
        return float("nan")
    return float(np.corrcoef(both.T)[0, 1])


_TABLES = {
    "groups.tsv": ("Groups of tracks", "Means and medians over all tracks and over each group."),
    "amount_groups.tsv": (
        "Groups of tracks of amounts",
        "Means and medians over all tracks and over each group.",
    ),
    "strata.tsv": ("Strata", "Metrics of each track within each stratum of the dataset."),
    "members.tsv": ("Models of the ensemble", "Means over the tracks of each model alone."),
    "paper.tsv": ("Published metrics", "Metrics of each track, and those that were published."),
}


def _other_tables(path: Path, summary: Mapping[str, Any]) -> Iterator[Part]:
    files = _Files(path, summary)
    for name, (title, caption) in _TABLES.items():
        if name not in files:
            continue
        table = files.read(name)
        if isinstance(table, Absent):
            yield table
            continue
        kept = [one for one in table.columns if table[one].null_count() < table.height]
        yield Table(title, caption, table.select(kept), {one: spoken(one) for one in kept})
