"""The model file of a vision task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from torch import nn

from danq.errors import InputError
from danq.models.model_file import FORMAT_VERSION, load_weights, parse_spec, read_header
from danq.vision.task_registry import is_registered, load_task


class VisionSpec(BaseModel):
    """The header of a vision model's file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    created_by: str = ""
    task: str
    model: str
    """Name of the model among those of the task."""
    hyperparameters: dict[str, Any]
    """All values that determine the module's shape."""
    metadata: dict[str, Any]
    """Shapes, classes and vocabularies of the training data."""
    inputs: dict[str, tuple[str, tuple[int, ...]]] = {}
    """Type and shape of each field of one training example."""
    data_sha256: str = ""
    """sha256 of the training data."""
    training: dict[str, Any] = {}
    """Recipe and result of the training."""


@dataclass(frozen=True)
class VisionModel:
    """A module in evaluation mode on the CPU, the header of its file, and the file."""

    module: nn.Module
    spec: VisionSpec
    path: Path


def build(spec: VisionSpec) -> nn.Module:
    """Build the untrained module that a header describes.

    Raises
    ------
    InputError
        When the task or the model does not exist, or does not accept the hyperparameters.
    """
    # A new module receives the values as a file stores them: lists, no tuples.
    hyperparameters, metadata = json.loads(json.dumps([spec.hyperparameters, spec.metadata]))
    model = load_task(spec.task).model(spec.model)
    try:
        return model.build(metadata, **hyperparameters)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"model '{model.name}' does not accept the hyperparameters {hyperparameters} for data "
            f"with {sorted(metadata)}: {error}"
        ) from error


def load_vision_model(path: str | Path) -> VisionModel:
    """Load a vision model's file, or the best model of a run directory.

    Raises
    ------
    InputError
        When the file does not exist or has no vision model, its task is not registered, or its
        weights do not fit.
    """
    fields, file = read_header(path)
    if "task" not in fields:
        raise InputError(
            "a sequence model, not a vision model", file=file, remedy="Load it with danq.load"
        )
    spec = parse_spec(VisionSpec, fields, file)
    if not is_registered(spec.task):
        raise InputError(
            f"a model of the task '{spec.task}', which is not registered here",
            file=file,
            remedy="Import the module that registers it (@danq.vision.register) and predict from "
            "Python: the command line has only the tasks of danq",
        )
    return VisionModel(load_weights(build(spec), file), spec, file)
