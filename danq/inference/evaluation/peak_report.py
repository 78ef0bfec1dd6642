"""Metrics of a model's probabilities of peaks on some windows of a dataset."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from danq.errors import few
from danq.evaluation.calibration import Calibration, calibration
from danq.evaluation.calibration_slope import CalibrationSlope, calibration_slope
from danq.evaluation.confidence_intervals import Bootstrap, window_blocks
from danq.evaluation.confidence_intervals import bootstrap as resample
from danq.evaluation.curves import CurveGrid, curve_grid
from danq.evaluation.kmer_baseline import KmerBaseline
from danq.evaluation.metric_tables import (
    TrackCalibration,
    describe_leaked,
    describe_means,
    group_table,
    shown,
    track_table,
    without_positives,
)
from danq.evaluation.metrics import Ranking, rank
from danq.evaluation.published_metrics import Comparison
from danq.inference.evaluation.amount_report import AmountReport, amount_report
from danq.inference.evaluation.ensemble_members import describe_members
from danq.inference.evaluation.fit_baselines import fit_baseline
from danq.inference.evaluation.precision_cost import PrecisionCost
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.typing import IntRow, LabelBatch, Scores

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

log = logging.getLogger("danq")

FEW_POSITIVES = 20
"""Positives below which an AUPR is clearly too high on average.

If scores of positives are 1.5 standard deviations above those of negatives, the AUPR of 20
positives is on average 53 % above that of infinitely many windows when .4 % are positive, 19 % when
2 % are and 5 % when 10 % are (simulations of 400 draws).
"""


@dataclass(frozen=True)
class EvaluationReport:
    """Metrics of a model on one split.

    Attributes
    ----------
    table
        One row per track, see `danq.evaluation.metric_tables.track_table`.
    groups
        Means and medians over all tracks and over each group, see
        `danq.evaluation.metric_tables.group_table`.
    curves
        Precision-recall and ROC curves of all tracks.
    calibration
        Predicted and observed frequencies.
    calibration_slope
        Log loss, and slope and intercept of the regression of labels on logits.
    without_positives
        Tracks without a positive window in the split. They are excluded from means.
    provenance
        Model, dataset, split and settings, as in ``summary.json``.
    baseline
        The k-mer baseline, or None.
    paper
        The published metrics next to the model's, or None.
    precision_cost
        The metrics in bf16 and in fp32, or None.
    members
        Metrics of each model alone, see
        `danq.inference.evaluation.ensemble_members.MemberMetrics.table`; None for one model.
        ``table`` then also has the columns ``auroc_sd``, ``aupr_sd`` and ``log_loss_sd``.
    amounts
        Metrics of the tracks of amounts, or None. All other attributes are of the tracks of peaks.
    """

    table: pl.DataFrame
    groups: pl.DataFrame
    curves: CurveGrid = field(repr=False)
    calibration: Calibration = field(repr=False)
    calibration_slope: CalibrationSlope = field(repr=False)
    without_positives: tuple[str, ...]
    provenance: dict[str, Any]
    baseline: KmerBaseline | None = field(default=None, repr=False)
    paper: Comparison | None = field(default=None, repr=False)
    precision_cost: PrecisionCost | None = None
    members: pl.DataFrame | None = None
    amounts: AmountReport | None = None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        drawn = [
            "danq.plots.plot_precision_recall(report.curves, report.table)",
            "danq.plots.plot_roc(report.curves, report.table)",
            "danq.plots.plot_calibration(report.calibration, report.table)",
        ]
        if self.baseline is not None:
            drawn.append("danq.plots.plot_baseline(report.table)")
        tables = [FirstRows.of("Metrics of each track of peaks", self.table)]
        if self.amounts is not None:
            tables.append(FirstRows.of("Metrics of each track of amounts", self.amounts.table))
        about, tracks = self.provenance, self.table.height
        summary = f"{about['windows']:,} windows of the {about['split']} split, {tracks:,} tracks"
        return Display(summary, self.describe(), tables=tables, plots=drawn)

    @property
    def macro_aupr(self) -> float:
        """Mean AUPR over the tracks with a positive; NaN when there is none."""
        return _number(self.groups["aupr_mean"][0])

    @property
    def macro_auroc(self) -> float:
        """Mean AUROC over the tracks with a positive and a negative; NaN when there is none."""
        return _number(self.groups["auroc_mean"][0])

    def summary(self) -> dict[str, Any]:
        """Everything except the per-track table, as JSON types."""
        fitted, cost = self.baseline, self.precision_cost
        measured = {} if self.amounts is None else {"amounts": self.amounts.results()}
        return {
            **self.provenance,
            **measured,
            "overall": self.groups.row(0, named=True),
            "groups": self.groups.to_dicts()[1:],
            "tracks_without_positives": list(self.without_positives),
            "log_loss": _known(self.calibration_slope.mean_log_loss),
            "calibration_error": float(self.calibration.pooled().error()[0]),
            "calibration_slope": _known(self.calibration_slope.pooled_slope),
            "calibration_intercept": _known(self.calibration_slope.pooled_intercept),
            "precision_cost": None if cost is None else cost.row(),
            "members": None if self.members is None else self.members.to_dicts(),
            "published": None if self.paper is None else self.paper.means.to_dicts(),
            "baseline": None
            if fitted is None
            else {
                "model": "ridge regression on k-mer counts of both strands",
                "k": fitted.k,
                "penalty_per_window": fitted.penalty,
                "validation_aupr_by_penalty": {str(p): v for p, v in fitted.tried.items()},
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """The summary and the tables of all tracks."""
        amounts = {} if self.amounts is None else {"amounts_table": self.amounts.table.to_dicts()}
        return {**self.summary(), "table": self.table.to_dicts(), **amounts}

    def describe(self) -> str:
        """The main metrics as a few lines of text."""
        split, row = self.provenance, self.groups.row(0, named=True)
        lines = [
            f"{split['windows']:,} windows of the {split['split']} split, "
            f"{row['tracks']:,} tracks with positives"
        ]
        for metric, name in (("aupr", "AUPR"), ("auroc", "AUROC")):
            lines.append(
                describe_means(row, metric, f"{name:5}", baseline=self.baseline is not None)
            )
        if self.members is not None:
            lines.append(describe_members(self.members))
        slope = self.calibration_slope
        lines.append(
            f"log loss {slope.mean_log_loss:.4f}; calibration slope "
            f"{shown(_known(slope.pooled_slope))} (ideal: 1), "
            f"intercept {shown(_known(slope.pooled_intercept))} (ideal: 0)"
        )
        leaked = split["leaked_windows"]
        if leaked:
            lines.append(describe_leaked(row, {"aupr": "AUPR", "auroc": "AUROC"}, leaked))
        if row["below_baseline"] is not None:
            count = row["below_baseline"]
            lines.append(f"AUPR is below the baseline on {count:,} track{'s' * (count != 1)}")
        rare = self.table.filter(pl.col("positives").is_between(1, FEW_POSITIVES - 1)).height
        if rare:
            lines.append(
                f"{rare:,} track{'s have' if rare != 1 else ' has'} fewer than {FEW_POSITIVES} "
                "positives, with which an AUPR is too high on average; intervals do not show this"
            )
        if self.without_positives:
            lines.append(f"excluded, without positives: {few(self.without_positives, 5)}")
        if self.precision_cost is not None:
            lines += self.precision_cost.describe()
        if self.paper is not None:
            lines += self.paper.describe()
        if self.amounts is not None:
            lines.append(self.amounts.describe())
        return "\n".join(lines)


def report_predictions(
    dataset: Dataset,
    indices: IntRow,
    predicted: Scores,
    provenance: dict[str, Any],
    *,
    baseline: bool = False,
    bootstrap: int,
    seed: int = 0,
) -> EvaluationReport | AmountReport:
    """Compare predictions with the labels and amounts of windows.

    Parameters
    ----------
    dataset
        A dataset.
    indices
        ``(N,)`` windows of the dataset.
    predicted
        ``(N, K)`` probabilities and amounts of these windows.
    provenance
        Model, dataset, split and settings.
    baseline, bootstrap, seed
        As `danq.evaluate` takes them.

    Returns
    -------
    EvaluationReport or AmountReport
        An `AmountReport` for tracks of amounts alone.

    Raises
    ------
    InputError
        When a prediction is NaN.
    """
    peaks, labels = dataset.peaks.size, dataset.labels(indices)
    blocks = _blocks(dataset, indices) if bootstrap else None
    provenance = provenance | {
        "bootstrap_replicates": 0 if blocks is None else bootstrap,
        "bootstrap_seed": seed,
    }
    amounts = None
    if dataset.measured is not None:
        amounts = amount_report(
            dataset,
            indices,
            predicted[:, peaks:],
            provenance,
            baseline=baseline,
            blocks=blocks,
            bootstrap=bootstrap,
            seed=seed,
        )
        if not peaks:
            return amounts
    scores = predicted[:, :peaks]
    fitted = fit_baseline(dataset, indices, labels) if baseline else (None, None)
    replicates = None
    if blocks is not None:
        names = dataset.tracks[:peaks]
        replicates = resample(scores, labels, blocks, replicates=bootstrap, seed=seed, names=names)
    report = _report(dataset, indices, scores, labels, replicates, fitted, provenance)
    return replace(report, amounts=amounts)


def _blocks(dataset: Dataset, indices: IntRow) -> IntRow | None:
    """Blocks of neighbouring windows for the bootstrap; None for a single one."""
    blocks = window_blocks(dataset.contig[indices], dataset.start[indices])
    if blocks.max() > 0:
        return blocks
    log.warning("a bootstrap interval needs more than one window")
    return None


def _report(
    dataset: Dataset,
    indices: IntRow,
    scores: Scores,
    labels: LabelBatch,
    replicates: Bootstrap | None,
    baseline: tuple[KmerBaseline, Ranking] | tuple[None, None],
    provenance: dict[str, Any],
) -> EvaluationReport:
    names = dataset.tracks[: dataset.peaks.size]
    fitted, base = baseline
    own = dataset.leaked[indices] == 0
    bins = calibration(scores, labels, names=names)
    slope = calibration_slope(scores, labels, names)
    table = track_table(
        names,
        dataset.groups[: len(names)],
        rank(scores, labels, names),
        len(scores),
        bootstrap=replicates,
        baseline=base,
        without_leaked=None if own.all() else rank(scores[own], labels[own], names),
        calibration=TrackCalibration(slope.log_loss, bins.error(), slope.slope, slope.intercept),
    )
    return EvaluationReport(
        table=table,
        groups=group_table(table, replicates),
        curves=curve_grid(scores, labels, names=names),
        calibration=bins,
        calibration_slope=slope,
        without_positives=tuple(without_positives(table)),
        provenance=provenance,
        baseline=fitted,
    )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
