"""Evaluate a model on one split of a dataset."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq._version import __version__
from danq.errors import InputError, few
from danq.evaluation.calibration import Calibration, calibration
from danq.evaluation.calibration_slope import CalibrationSlope, calibration_slope
from danq.evaluation.confidence_intervals import Bootstrap, window_blocks
from danq.evaluation.confidence_intervals import bootstrap as resample
from danq.evaluation.curves import CurveGrid, curve_grid
from danq.evaluation.kmer_baseline import KmerBaseline
from danq.evaluation.metric_tables import (
    TrackCalibration,
    describe_means,
    group_table,
    shown,
    track_table,
    without_positives,
)
from danq.evaluation.metrics import Ranking, rank
from danq.evaluation.published_metrics import TRACKS, Comparison, compare, read_paper
from danq.inference.ensemble import Ensemble, Models
from danq.inference.evaluation.amount_report import AmountReport, amount_report
from danq.inference.evaluation.ensemble_members import (
    MemberMetrics,
    describe_members,
    mean_predictions,
)
from danq.inference.evaluation.fit_baselines import fit_baseline
from danq.inference.evaluation.matching import open_for, warn_of_other_dataset
from danq.inference.evaluation.precision_cost import PrecisionCost
from danq.typing import IntRow, LabelBatch, Scores

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

SPLITS = ("train", "valid", "test")
REPLICATES = 1000

log = logging.getLogger("danq")


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
            means = (
                f"{name} mean {shown(row[f'{metric}_without_leaked_mean'])}"
                for metric, name in (("aupr", "AUPR"), ("auroc", "AUROC"))
            )
            lines.append(
                f"{', '.join(means)} without {leaked:,} leaked window{'s' * (leaked != 1)}, whose "
                "sequence occurs in training windows"
            )
        if row["below_baseline"] is not None:
            count = row["below_baseline"]
            lines.append(f"AUPR is below the baseline on {count:,} track{'s' * (count != 1)}")
        if self.without_positives:
            lines.append(f"excluded, without positives: {few(self.without_positives, 5)}")
        if self.precision_cost is not None:
            lines += self.precision_cost.describe()
        if self.paper is not None:
            lines += self.paper.describe()
        if self.amounts is not None:
            lines.append(self.amounts.describe())
        return "\n".join(lines)


def evaluate(
    model: Models,
    dataset: Dataset | str | Path,
    *,
    split: str = "test",
    baseline: bool = False,
    paper: bool | str | Path = False,
    compare_fp32: bool = False,
    bootstrap: int = REPLICATES,
    seed: int = 0,
) -> EvaluationReport | AmountReport:
    """Evaluate a model, or an ensemble, on one split of a dataset.

    The result is an `AmountReport` for tracks of amounts alone. An `EvaluationReport` has the
    metrics of tracks of peaks, and those of amounts in its attribute ``amounts``.

    When windows of the split are leaked (`danq.datasets.shared_sequence`), the metrics are reported
    with and without them.

    Parameters
    ----------
    model
        A loaded model, or several whose predictions are averaged. Their options select strand,
        device, precision, batch size and threads.
    dataset
        A dataset, or the path of its file, with the window, bin and tracks of the model.
    split
        ``"train"``, ``"valid"`` or ``"test"``.
    baseline
        Also fit ridge regression on k-mer counts (of 5-mers for peaks, of 3- to 6-mers for amounts)
        to the training split, select its penalty on
        the validation split, and report its metrics next to the model's.
    paper
        Report the metrics that DeepSEA's and DanQ's authors published next to the model's. With
        the path of the authors' table (`danq.evaluation.published_metrics.read_paper`), metrics are
        compared per track.
    compare_fp32
        If the precision resolves to bf16, also evaluate in fp32 and report the difference: mean
        AUPR and AUROC in both, and the largest difference of a track. All other metrics are
        those of bf16.
    bootstrap
        Replicates of the block bootstrap (neighbouring windows form a block) for 95 % confidence
        intervals; 0 computes none.
    seed
        Random seed of the bootstrap.

    Raises
    ------
    InputError
        When a model is not loaded, models disagree, the dataset's window, bin or tracks differ from
        the model's, the split does not
        exist or is empty, ``bootstrap`` is 1 or negative, the model predicts NaN, a file cannot
        be read, or the authors' table has other tracks.
    """
    _check_choices(split, bootstrap)
    published = None if isinstance(paper, bool) else read_paper(paper)
    ensemble = Ensemble.of(model)
    models, options = ensemble.models, ensemble.options
    dataset = open_for(models, dataset)
    for one, name in zip(models, ensemble.names, strict=True):
        warn_of_other_dataset(one, name if ensemble.spread else "the model", dataset, split)
    indices = dataset.indices(split)
    if not len(indices):
        raise InputError(
            f"the {split} split is empty", file=dataset.path, remedy="Choose another split"
        )
    precision = options.resolved_precision
    labels, peaks = dataset.labels(indices), dataset.peaks.size
    if not peaks and (paper or compare_fp32):
        raise InputError(
            f"{'published metrics are' if paper else 'the cost of bf16 is'} of peaks, and every "
            "track is of amounts",
            remedy="Leave this setting out",
        )
    members = None
    if ensemble.spread and peaks:
        members = MemberMetrics(labels, dataset.tracks[:peaks])
    each = None if members is None else members.add
    predicted = mean_predictions(models, dataset, indices, options, each)
    scores = predicted[:, :peaks]
    provenance = _provenance(ensemble, dataset, split, indices)
    blocks = _blocks(dataset, indices) if bootstrap else None
    provenance |= {
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
    fitted, base = fit_baseline(dataset, indices, labels) if baseline else (None, None)
    replicates = None
    if blocks is not None:
        names = dataset.tracks[:peaks]
        replicates = resample(scores, labels, blocks, replicates=bootstrap, seed=seed, names=names)
    report = replace(
        _report(dataset, indices, scores, labels, replicates, (fitted, base), provenance),
        amounts=amounts,
    )
    if members is not None:
        report = replace(
            report,
            table=members.with_spread(report.table),
            members=members.table(models, ensemble.names),
        )
    if paper:
        if peaks != TRACKS or split != "test":
            log.warning("The published metrics are for DeepSEA's test split and its 919 tracks.")
        report = replace(report, paper=compare(report.table, report.groups, published))
    if compare_fp32 and precision == "fp32":
        log.warning("The model ran in fp32, so the cost of bf16 is not measured.")
    elif compare_fp32:
        exact = mean_predictions(models, dataset, indices, replace(options, precision="fp32"))
        exact, names = exact[:, :peaks], dataset.tracks[:peaks]
        cost = PrecisionCost.between(rank(exact, labels, names), rank(scores, labels, names), names)
        report = replace(report, precision_cost=cost)
    return report


def _provenance(
    ensemble: Ensemble, dataset: Dataset, split: str, indices: IntRow
) -> dict[str, Any]:
    models, options = ensemble.models, ensemble.options
    return {
        "created_by": f"danq {__version__}",
        "model": _each([None if one.path is None else str(one.path) for one in models]),
        "model_sha256": _each([one.sha256 for one in models]),
        "preset": _each([one.spec.preset for one in models]),
        "dataset": None if dataset.path is None else str(dataset.path),
        "dataset_sha256": dataset.sha256,
        "split": split,
        "windows": len(indices),
        "leaked_windows": int(np.count_nonzero(dataset.leaked[indices])),
        "strand": options.strand,
        "device": str(options.torch_device),
        "precision": options.resolved_precision,
        "batch_size": options.windows_per_batch,
    }


def _each(values: list[str | None]) -> str | list[str | None] | None:
    """The value of one model, or the list of those of several."""
    return values[0] if len(values) == 1 else values


def _check_choices(split: str, bootstrap: int) -> None:
    if split not in SPLITS:
        raise InputError(f"there is no split '{split}'", remedy=f"Choose {', '.join(SPLITS)}")
    if bootstrap < 0 or bootstrap == 1:
        raise InputError(
            f"bootstrap is {bootstrap}, the minimum is 2", remedy="Use 2 or more, or 0 for none"
        )


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
    baseline: tuple[KmerBaseline | None, Ranking | None],
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
