"""Temperature scaling of the best model of a run on the validation split."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from danq.evaluation.confidence_intervals import window_blocks
from danq.evaluation.temperature import LEAST_BLOCKS, Temperature, fit_temperature
from danq.inference.engine.forward import dataset_outputs
from danq.models.model_file import load_model, save_model
from danq.models.stored_model import RUN_MODEL
from danq.training.saved_model import UNSCALED

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset
    from danq.training.session import Session

MOST_LOGITS = 1 << 27
"""Logits per strand that are fitted, 0.5 GB; more windows are thinned evenly."""

log = logging.getLogger("danq")


def scale_by_temperature(session: Session, dataset: Dataset) -> None:
    """Add a temperature to the header of the best model of peaks, unless it has one.

    The stored weights do not change: `danq.models.load_model` divides the logits. To be called in
    the main process when the training is finished.

    Raises
    ------
    InputError
        When the model cannot be written.
    """
    device = str(session.fabric.device)
    model = load_model(session.directory, device=device, precision=session.precision)
    if model.spec.temperature is not None or model.spec.has_amounts:
        return
    windows = dataset.indices("valid")
    thinning = -(-len(windows) * len(dataset.tracks) // MOST_LOGITS)
    windows = windows[:: max(1, thinning)]
    logits = dataset_outputs(model.module, dataset, windows, model.options)
    blocks = window_blocks(dataset.contig[windows], dataset.start[windows])
    found = fit_temperature(logits, dataset.labels(windows), blocks)
    log.info(_describe(found))
    error = None if np.isnan(found.standard_error) else found.standard_error
    results = {
        "fitted_temperature": found.fitted,
        "standard_error_of_log_temperature": error,
        "scaled_valid_loss": found.scaled_loss,
        UNSCALED: model.sha256,
    }
    spec = model.spec.model_copy(
        update={"temperature": found.value, "training": model.spec.training | results}
    )
    save_model(session.directory / RUN_MODEL, model.module, spec)


def _describe(found: Temperature) -> str:
    if np.isnan(found.standard_error):
        return (
            f"temperature 1: fewer than {LEAST_BLOCKS} validation windows show no other with "
            "certainty"
        )
    text = f"temperature {found.value:.4g} (fitted {found.fitted:.4g}, standard error of its "
    text += f"logarithm {found.standard_error:.2g}); validation loss {found.loss:.4f}"
    return text if found.value == 1 else f"{text}, scaled {found.scaled_loss:.4f}"
