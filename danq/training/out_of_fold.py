"""Out-of-fold predictions: each window is predicted by the model that never saw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from danq._version import __version__
from danq.amounts import describe_units
from danq.datasets.dataset import Dataset
from danq.datasets.fold_groups import FoldGroups
from danq.inference.ensemble import Ensemble
from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.ensemble_members import mean_predictions
from danq.inference.evaluation.evaluate import REPLICATES
from danq.inference.evaluation.peak_report import EvaluationReport, report_predictions
from danq.inference.sources.tiling import Rows
from danq.inference.writers.layout import PredictionLayout
from danq.inference.writers.open_output import find_output
from danq.models import Model
from danq.typing import IntRow, Scores

ROWS = 1 << 15
"""Rows that are written together."""

Report = EvaluationReport | AmountReport


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Predictions of all windows.

    Attributes
    ----------
    groups
        Groups of the windows.
    models
        The model of each fold.
    names
        File of each model, relative to the directory of the folds.
    predicted
        ``(W, K)`` probabilities and amounts. Windows of group ``i`` are predicted by model ``i``,
        held-out windows by the mean of all models.
    """

    groups: FoldGroups
    models: Sequence[Model]
    names: Sequence[str]
    predicted: Scores

    @classmethod
    def of(cls, groups: FoldGroups, models: Sequence[Model], names: Sequence[str]) -> OutOfFold:
        """Predict all windows."""
        dataset, options = groups.dataset, models[0].options
        predicted = np.full((len(dataset), len(dataset.tracks)), np.nan, np.float32)
        for group, model in enumerate(models):
            rows = groups.rows(group)
            predicted[rows] = mean_predictions([model], dataset, rows, options)
        if groups.held.size:
            predicted[groups.held] = mean_predictions(models, dataset, groups.held, options)
        return cls(groups, models, names, predicted)

    def write(self, path: Path) -> None:
        """Write the predictions in a format of `danq predict`; an existing file is replaced.

        Raises
        ------
        InputError
            When the file cannot be written.
        """
        output = find_output(path, PredictionLayout)
        layout = prediction_layout(self.groups.dataset)
        layout = replace(layout, provenance=self._header(), total=len(self.predicted))
        with output.open(layout, overwrite=True) as writer:
            for low in range(0, len(self.predicted), ROWS):
                part = np.arange(low, min(low + ROWS, len(self.predicted)))
                writer.write(_rows(self.groups.dataset, part), self.predicted[part])

    def report(self, leaked: np.ndarray) -> Report:
        """Metrics of the windows of all groups together.

        Parameters
        ----------
        leaked
            ``(W,)`` uint8 as `danq.datasets.shared_sequence.find_leaked`: whether a window is
            leaked in the fold in which it is tested.
        """
        rows = np.flatnonzero((self.groups.group >= 0) & self.groups.separate)
        dataset = _tested(self.groups.dataset, rows)
        dataset.__dict__["leaked"] = leaked
        return self._report(dataset, rows, "out-of-fold")

    def report_held_out(self) -> Report | None:
        """Metrics of the mean of all models for the held-out windows; None if there are none."""
        rows = np.flatnonzero((self.groups.group < 0) & self.groups.separate)
        if not rows.size:
            return None
        return self._report(_tested(self.groups.dataset, rows), rows, "held-out")

    def _report(self, dataset: Dataset, rows: IntRow, split: str) -> Report:
        options, stored = self.models[0].options, self.groups.dataset
        provenance: dict[str, Any] = {
            "created_by": f"danq {__version__}",
            "model": list(self.names),
            "model_sha256": [model.sha256 for model in self.models],
            "preset": [model.spec.preset for model in self.models],
            "dataset": None if stored.path is None else stored.path.name,
            "dataset_sha256": stored.sha256,
            "split": split,
            "windows": len(rows),
            "leaked_windows": int(np.count_nonzero(dataset.leaked[rows])),
            "strand": options.strand,
            "device": str(options.torch_device),
            "precision": options.resolved_precision,
            "batch_size": options.windows_per_batch,
        }
        predicted = self.predicted[rows]
        return report_predictions(dataset, rows, predicted, provenance, bootstrap=REPLICATES)

    def _header(self) -> dict[str, str]:
        groups, ensemble = self.groups, Ensemble.of(list(self.models))
        dataset = groups.dataset
        name = "" if dataset.path is None else f"{dataset.path.name} "
        header = {"danq": __version__}
        for number, (file, model) in enumerate(zip(self.names, self.models, strict=True), 1):
            header[f"model {number}"] = f"{file} sha256:{model.sha256}"
        header |= {
            "dataset": f"{name}sha256:{dataset.sha256}",
            "folds": f"{groups.number}; model i predicts the windows of group i, which were "
            "neither in its training nor in its validation",
        }
        if groups.hold_out:
            header["held out"] = (
                f"{', '.join(groups.hold_out)}: in no fold; mean of the predictions of all models"
            )
        kinds = set(ensemble.kinds)
        header |= {
            "window": f"{dataset.window} bases, centred on the middle of each row",
            **ensemble.running(),
            **ensemble.batches(),
            "coordinates": "0-based, half-open",
            "values": "probabilities"
            if kinds == {"peaks"}
            else "amounts"
            if kinds == {"amounts"}
            else "probabilities of peaks and amounts",
        }
        if "amounts" in kinds:
            header["units"] = describe_units(ensemble.tracks, ensemble.units)
        return header


def prediction_layout(dataset: Dataset) -> PredictionLayout:
    """Columns of the predictions of a dataset.

    Raises
    ------
    InputError
        When a track has the name of another column.
    """
    genome = dataset.genome
    contigs = dict(zip(genome.names, genome.lengths.tolist(), strict=True))
    return PredictionLayout(
        key="name" if dataset.standalone else "chrom",
        tracks=dataset.tracks,
        groups=dataset.groups,
        contigs=None if dataset.standalone else contigs,
    )


def _rows(dataset: Dataset, rows: IntRow) -> Rows:
    """Bins of windows; standalone sequences are named by their number from 1."""
    if dataset.standalone:
        ends = dataset.lengths(rows).astype(np.int64)
        return Rows([str(row + 1) for row in rows.tolist()], np.zeros(rows.size, np.int64), ends)
    names = dataset.genome.names
    start = dataset.start[rows]
    return Rows([names[one] for one in dataset.contig[rows].tolist()], start, start + dataset.bin)


def _tested(dataset: Dataset, rows: IntRow) -> Dataset:
    """The dataset with some windows in the test split and all others in the training split."""
    split = np.zeros(len(dataset), np.uint8)
    split[rows] = 2
    return replace(dataset, split=split)
