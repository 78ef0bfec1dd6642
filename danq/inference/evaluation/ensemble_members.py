"""Mean predictions of an ensemble, and the metrics of each of its members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from danq.evaluation.amount_metrics import METRICS as AMOUNT_METRICS
from danq.evaluation.amount_metrics import Amounts, amount_metrics
from danq.evaluation.calibration_slope import log_loss
from danq.evaluation.metrics import rank
from danq.inference.engine.forward import predict_dataset
from danq.inference.writers.layout import SPREAD
from danq.models import Model, RunOptions
from danq.typing import IntRow, LabelBatch, PerTrack, Scores

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

METRICS = ("auroc", "aupr", "log_loss")


def mean_predictions(
    models: Sequence[Model],
    dataset: Dataset,
    indices: IntRow,
    options: RunOptions,
    each: Callable[[Scores], None] | None = None,
) -> Scores:
    """Probabilities and amounts of windows, averaged over models.

    Parameters
    ----------
    models
        One model or several.
    dataset
        A dataset that matches them.
    indices
        Windows of the dataset.
    options
        How the models run.
    each
        Called with the predictions of each of several models.
    """
    if len(models) == 1:
        return predict_dataset(models[0].module, dataset, indices, options, models[0].spec.targets)
    total = np.zeros((len(indices), len(dataset.tracks)))
    for model in models:
        scores = predict_dataset(model.module, dataset, indices, options, model.spec.targets)
        if each is not None:
            each(scores)
        total += scores
    return (total / len(models)).astype(np.float32)


@dataclass
class MemberMetrics:
    """Metrics of each member of an ensemble on the same windows.

    Attributes
    ----------
    labels
        ``(N, K)``, 0 or 1.
    tracks
        Names of the K tracks.
    values
        For each of `METRICS`, ``(K,)`` values of each member so far; NaN where undefined.
    """

    labels: LabelBatch
    tracks: Sequence[str]
    values: dict[str, list[PerTrack]] = field(default_factory=lambda: {m: [] for m in METRICS})

    def add(self, scores: Scores) -> None:
        """Add the predictions of the next member, of which the tracks of peaks come first."""
        scores = scores[:, : len(self.tracks)]
        ranking = rank(scores, self.labels, self.tracks)
        loss = log_loss(scores, self.labels, self.tracks).mean(0, dtype=np.float64)
        for name, value in zip(METRICS, (ranking.auroc, ranking.aupr, loss), strict=True):
            self.values[name].append(value)

    def table(self, models: Sequence[Model], names: Sequence[str]) -> pl.DataFrame:
        """One row per member: ``model``, ``sha256``, and the mean of each metric over tracks.

        Tracks without a positive window do not count in the means of AUROC and AUPR.
        """
        known = self.labels.any(axis=0)
        columns: dict[str, Any] = {"model": list(names), "sha256": [one.sha256 for one in models]}
        for metric, values in self.values.items():
            chosen = values if metric == "log_loss" else [value[known] for value in values]
            columns[f"{metric}_mean"] = [_mean(value) for value in chosen]
        return pl.DataFrame(columns, schema_overrides={f"{m}_mean": pl.Float64 for m in METRICS})

    def with_spread(self, table: pl.DataFrame) -> pl.DataFrame:
        """Add the sample standard deviation over members of each metric to a table of tracks."""
        return table.with_columns(
            pl.Series(f"{metric}{SPREAD}", np.std(values, axis=0, ddof=1)).fill_nan(None)
            for metric, values in self.values.items()
        )


@dataclass
class AmountMemberMetrics:
    """Metrics of amounts of each member of an ensemble on the same windows.

    Attributes
    ----------
    measured
        ``(N, A)`` amounts; NaN where not measured.
    tracks
        Names of the A tracks of amounts, which follow those of peaks.
    values
        For each metric of `danq.evaluation.amount_metrics`, ``(A,)`` values of each member so far;
        NaN where undefined.
    """

    measured: Amounts
    tracks: Sequence[str]
    values: dict[str, list[PerTrack]] = field(
        default_factory=lambda: {m: [] for m in AMOUNT_METRICS}
    )

    def add(self, predicted: Scores) -> None:
        """Add the predictions of the next member."""
        own = predicted[:, predicted.shape[1] - len(self.tracks) :]
        metrics = amount_metrics(own, self.measured, self.tracks)
        for name, values in self.values.items():
            values.append(getattr(metrics, name))


def describe_members(members: pl.DataFrame) -> str:
    """Range over members of the mean metrics, as a line of text."""
    parts = []
    for metric, title in (("aupr", "AUPR"), ("auroc", "AUROC")):
        values = members[f"{metric}_mean"]
        if values.null_count() == 0:
            parts.append(f"{title} {values.min():.4f} to {values.max():.4f}")
    text = f"mean of {members.height} models"
    return f"{text}; each alone: {', '.join(parts)}" if parts else text


def _mean(values: PerTrack) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else None
