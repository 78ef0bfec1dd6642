"""Evaluation of the best model of a run on the test split."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.evaluate import evaluate
from danq.inference.evaluation.evaluation_folder import is_complete, write_evaluation
from danq.inference.evaluation.peak_report import EvaluationReport
from danq.models.model_file import load_model
from danq.output import recover_folder
from danq.training.run_card import add_test_metrics

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.training.session import Session

EVALUATION = "evaluation"

log = logging.getLogger("danq")


def evaluate_test_split(session: Session, dataset: Dataset) -> None:
    """Evaluate the best model on the test split, into the run directory.

    A model with a card gets the main metrics. To be called in the main process when the training is
    finished.

    Raises
    ------
    InputError
        When the model or the evaluation cannot be written.
    """
    out = session.directory / EVALUATION
    device = str(session.fabric.device)
    model = load_model(session.directory, device=device, precision=session.precision)
    recover_folder(out)
    if is_complete(out, model.sha256, dataset.sha256):
        return
    if out.is_dir():
        log.info("%s is not that of this model, or not as it was written; it is made again", out)
    report = evaluate(model, dataset)
    metrics = _means(report)
    if session.run.card is not None:
        sha256 = add_test_metrics(session.directory, metrics)
        about: dict[str, Any] = {"provenance": report.provenance | {"model_sha256": sha256}}
        if isinstance(report, EvaluationReport) and report.amounts is not None:
            about["amounts"] = replace(report.amounts, **about)
        report = replace(report, **about)
    write_evaluation(report, out, overwrite=True)
    found = ", ".join(f"mean {name} {value:.4f}" for name, value in metrics.items())
    log.info("test split: %s; metrics of each track in %s", found, out)


def _means(report: EvaluationReport | AmountReport) -> dict[str, float]:
    """Main metrics, as means over the tracks."""
    if isinstance(report, AmountReport):
        return {"Pearson correlation": report.macro_pearson}
    metrics = {"AUPR": report.macro_aupr, "AUROC": report.macro_auroc}
    return metrics if report.amounts is None else metrics | _means(report.amounts)
