"""Evaluate a model on one split of a dataset."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from danq._version import __version__
from danq.errors import InputError
from danq.evaluation.metrics import rank
from danq.evaluation.published_metrics import TRACKS, compare, read_paper
from danq.inference.ensemble import Ensemble, Models
from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.ensemble_members import MemberMetrics, mean_predictions
from danq.inference.evaluation.matching import open_for, warn_of_other_dataset
from danq.inference.evaluation.peak_report import EvaluationReport, report_predictions
from danq.inference.evaluation.precision_cost import PrecisionCost
from danq.typing import IntRow

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

SPLITS = ("train", "valid", "test")
REPLICATES = 1000

log = logging.getLogger("danq")


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
        to the training split, select its penalty on the validation split, and report its metrics
        next to the model's.
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
        the model's, the split does not exist or is empty, ``bootstrap`` is 1 or negative, the model
        predicts NaN, ``paper`` or ``compare_fp32`` is set and no track is of peaks, a file cannot
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
    report = report_predictions(
        dataset,
        indices,
        predicted,
        _provenance(ensemble, dataset, split, indices),
        baseline=baseline,
        bootstrap=bootstrap,
        seed=seed,
    )
    if isinstance(report, AmountReport):
        return report
    scores = predicted[:, :peaks]
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
