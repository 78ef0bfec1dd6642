"""Whether the model file of a run is the one that its checkpoint refers to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from danq.errors import InputError
from danq.models.model_card import CARD
from danq.models.stored_model import RUN_MODEL, read_stored
from danq.provenance import sha256_of
from danq.training.progress import TrainingProgress

UNSCALED = "unscaled_sha256"
"""Result of training in a model file with a temperature, or with a card that has test metrics:
checksum of the file without them."""

SavedModel = Literal["as saved", "lost", "newer"]
"""The model file is as the run saved it; is lost, and its weights are in the checkpoint; or is of
an epoch that ended after the checkpoint, and will end again."""


def find_saved_model(directory: Path, progress: TrainingProgress, spec: BaseModel) -> SavedModel:
    """Compare the model file of a run with its checkpoint.

    Parameters
    ----------
    directory
        Run directory.
    progress
        Progress in the checkpoint.
    spec
        Header of the model file, without the result of training.

    Raises
    ------
    InputError
        When the model file is missing or another one, and the checkpoint does not have its weights.
    """
    file = directory / RUN_MODEL
    if progress.best_epoch == 0:
        return "as saved"
    exists = file.is_file()
    saved = progress.model_sha256
    if exists and (sha256_of(file) == saved or _unscaled_sha256(file) == saved):
        return "as saved"
    if progress.best_epoch == progress.epoch and progress.batch == 0:
        return "lost"
    if exists and not progress.finished and _epoch_of(file, spec) == progress.epoch + 1:
        return "newer"
    raise InputError(
        f"is not the model of epoch {progress.best_epoch}, the best one, that this run saved"
        if exists
        else f"is missing: it had the weights of epoch {progress.best_epoch}, the best one",
        file=file,
        remedy="Copy it back, or train the model again: overwrite this run",
    )


def _unscaled_sha256(file: Path) -> object:
    """Checksum of a model file before a temperature or test metrics were added, or None."""
    try:
        training = read_stored(file).fields.get("training")
    except InputError:
        return None
    return training.get(UNSCALED) if isinstance(training, dict) else None


def _epoch_of(file: Path, spec: BaseModel) -> int | None:
    """Epoch of a model file of the same run, or None."""
    try:
        found = read_stored(file).fields
    except InputError:
        return None
    expected: dict[str, Any] = json.loads(spec.model_dump_json())
    training = found.get("training")
    if not isinstance(training, dict):
        return None
    for name, value in expected.pop("training").items():
        if name != CARD and training.get(name) != value:
            return None
    same = all(found.get(name) == value for name, value in expected.items())
    epoch = training.get("epoch")
    return epoch if same and type(epoch) is int else None
