"""Metrics of a model's amounts on one split of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from jaxtyping import Float32

from danq.datasets.column_summary import total_amounts
from danq.evaluation.amount_baseline import AmountBaseline
from danq.evaluation.amount_metrics import (
    across_tracks,
    amount_metrics,
    bootstrap_amounts,
    ceiling_of_replicates,
)
from danq.evaluation.amount_tables import amount_group_table, amount_table, stratum_table
from danq.evaluation.metric_tables import describe_leaked, describe_means, shown
from danq.inference.evaluation.fit_baselines import fit_amounts
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

_NAMES = {"pearson": "Pearson", "spearman": "Spearman", "r2": "R2", "mse": "MSE"}


@dataclass(frozen=True)
class AmountReport:
    """Metrics of a model's amounts on one split.

    Attributes
    ----------
    table
        One row per track, see `danq.evaluation.amount_tables.amount_table`.
    groups
        Means and medians over all tracks and over each group.
    predicted, measured
        ``(N, A)`` amounts of the windows of the split in the units of the dataset; totals of
        profiles. NaN where not measured.
    units
        Unit of each track, as text.
    across
        Mean over windows of Pearson's correlation over tracks, after each track's mean is
        subtracted; NaN with fewer than three tracks.
    provenance
        Model, dataset, split and settings, as in ``summary.json``.
    baseline
        The ridge regression on k-mer counts, or None.
    strata
        Metrics within each stratum, see `danq.evaluation.amount_tables.stratum_table`; None for a
        dataset without strata.
    """

    table: pl.DataFrame
    groups: pl.DataFrame
    predicted: Float32[np.ndarray, "N A"] = field(repr=False)
    measured: Float32[np.ndarray, "N A"] = field(repr=False)
    units: tuple[str, ...]
    across: float
    provenance: dict[str, Any]
    baseline: AmountBaseline | None = field(default=None, repr=False)
    strata: pl.DataFrame | None = field(default=None, repr=False)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        drawn = [
            "danq.plots.plot_scatter(report.predicted, report.measured, report.table, report.units)"
        ]
        if self.baseline is not None:
            drawn.append("danq.plots.plot_amount_baseline(report.table)")
        windows, split = self.provenance["windows"], self.provenance["split"]
        summary = (
            f"{windows:,} windows of the {split} split, {self.table.height:,} tracks of amounts"
        )
        tables = [FirstRows.of("Metrics of each track of amounts", self.table)]
        return Display(summary, self.describe(), tables=tables, plots=drawn)

    @property
    def macro_pearson(self) -> float:
        """Mean Pearson correlation over tracks; NaN when there is none."""
        value = self.groups["pearson_mean"][0]
        return float("nan") if value is None else value

    def summary(self) -> dict[str, Any]:
        """Provenance, and everything except the per-track table, as JSON types."""
        return {**self.provenance, "amounts": self.results()}

    def results(self) -> dict[str, Any]:
        """Everything except the provenance and the per-track table, as JSON types."""
        fitted = self.baseline
        return {
            "overall": self.groups.row(0, named=True),
            "groups": self.groups.to_dicts()[1:],
            "correlation_over_tracks": None if np.isnan(self.across) else self.across,
            "baseline": None
            if fitted is None
            else {
                "model": "ridge regression on k-mer counts"
                + ("" if fitted.oriented else " of both strands"),
                "k": list(fitted.lengths),
                "penalty_per_window": fitted.penalty,
                "validation_pearson_by_penalty": {str(p): v for p, v in fitted.tried.items()},
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary and the table of all tracks."""
        return {**self.summary(), "amounts_table": self.table.to_dicts()}

    def describe(self) -> str:
        """The main metrics as a few lines of text."""
        split, row = self.provenance, self.groups.row(0, named=True)
        lines = [
            f"{split['windows']:,} windows of the {split['split']} split, "
            f"{row['tracks']:,} track{'s' * (row['tracks'] != 1)} of amounts"
        ]
        for metric, name in _NAMES.items():
            compared = self.baseline is not None and f"baseline_{metric}_mean" in row
            lines.append(describe_means(row, metric, f"{name:8}", baseline=compared))
        if not np.isnan(self.across):
            lines.append(f"correlation over tracks, mean over windows {self.across:.4f}")
        leaked = split["leaked_windows"]
        if leaked:
            names = {metric: _NAMES[metric] for metric in ("pearson", "spearman", "r2")}
            lines.append(describe_leaked(row, names, leaked))
        below = row["below_baseline"]
        if below is not None:
            lines.append(f"Pearson is below the baseline on {below:,} track{'s' * (below != 1)}")
        lines += self._describe_ceiling() + self._describe_strata()
        undefined = self.table["pearson"].null_count()
        if undefined:
            lines.append(
                f"without a correlation, because predictions or amounts are equal: {undefined:,}"
            )
        return "\n".join(lines)

    def _describe_ceiling(self) -> list[str]:
        known = self.table.drop_nulls("ceiling_pearson")
        if not known.height:
            return []
        return [
            f"{known.height:,} tracks are replicates: Pearson between replicates, mean "
            f"{known['replicates_pearson'].mean():.4f}; ceiling of a prediction, mean "
            f"{known['ceiling_pearson'].mean():.4f}; of the model, mean "
            f"{shown(known['pearson'].mean())}"  # type: ignore[arg-type]
        ]

    def _describe_strata(self) -> list[str]:
        if self.strata is None:
            return []
        lines = []
        for (name,), part in self.strata.group_by(["stratum"], maintain_order=True):
            means = ", ".join(
                f"{_NAMES[metric]} {shown(part[metric].mean())}"  # type: ignore[arg-type]
                for metric in ("pearson", "spearman", "r2")
            )
            lines.append(f"stratum {name}, {part['windows'].max():,} windows: mean {means}")
        return lines


def amount_report(
    dataset: Dataset,
    indices: IntRow,
    predicted: Float32[np.ndarray, "N A"],
    provenance: dict[str, Any],
    *,
    baseline: bool,
    blocks: IntRow | None,
    bootstrap: int,
    seed: int,
) -> AmountReport:
    """Compare predicted with measured amounts.

    Parameters
    ----------
    dataset
        The windows.
    indices
        ``(N,)`` windows of the split.
    predicted
        Predicted amounts of the tracks of amounts.
    provenance
        Model, dataset, split and settings.
    blocks
        ``(N,)`` block index of each window for the bootstrap; None computes no intervals.
    baseline, bootstrap, seed
        As `danq.evaluate` takes them.

    Raises
    ------
    InputError
        When a prediction is NaN or infinite.
    """
    first = dataset.peaks.size
    names, groups = dataset.tracks[first:], dataset.groups[first:]
    measured = total_amounts(dataset, indices)
    metrics = amount_metrics(predicted, measured, names)
    replicates = None
    if blocks is not None:
        replicates = bootstrap_amounts(
            predicted, measured, blocks, replicates=bootstrap, seed=seed, names=names
        )
    fitted, base = fit_amounts(dataset, indices, measured) if baseline else (None, None)
    over = across_tracks(predicted, measured)
    own = dataset.leaked[indices] == 0
    replicated = () if dataset.measured is None else dataset.measured.replicates
    strata, values = None, dataset.values
    if values.strata is not None:
        labels = [values.strata_names[number] for number in values.strata[indices]]
        strata = stratum_table(names, predicted, measured, labels)
    table = amount_table(
        names,
        groups,
        metrics,
        bootstrap=replicates,
        baseline=base,
        ceiling=ceiling_of_replicates(measured, replicated) if replicated else None,
        without_leaked=None if own.all() else amount_metrics(predicted[own], measured[own], names),
    )
    return AmountReport(
        table=table,
        groups=amount_group_table(table, replicates),
        predicted=predicted,
        measured=measured,
        units=tuple(map(str, dataset.units)),
        across=float(np.nanmean(over)) if (~np.isnan(over)).any() else float("nan"),
        provenance=provenance,
        baseline=fitted,
        strata=strata,
    )
