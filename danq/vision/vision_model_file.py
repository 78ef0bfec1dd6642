"""The model file of a vision task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from torch import nn

from danq.errors import InputError
from danq.models.architecture import MAX_PARAMETERS
from danq.models.stored_model import (
    FORMAT_VERSION,
    StoredModel,
    load_weights,
    parse_spec,
    read_stored,
    sized_for,
)
from danq.notebook_display import Display, display_html, display_text
from danq.vision.task_registry import is_registered, load_task

MAX_NUMBER = 1 << 24
"""Largest hyperparameter, size or code in the header of a model."""

MAX_TENSORS = 20_000
"""Parameters of the parts that a model is made of."""

_BUILD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


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
    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        spec = self.spec
        parameters = sum(one.numel() for one in self.module.parameters())
        facts = {
            "File": self.path,
            "Parameters": parameters,
            **spec.hyperparameters,
            "Trained on": spec.data_sha256,
            "Written by": spec.created_by,
        }
        return Display(f"{spec.model} for {spec.task}, {parameters:,} parameters", facts=facts)


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
    return vision_model_from(read_stored(path))


def vision_model_from(stored: StoredModel) -> VisionModel:
    """Build the vision model of a file that was read.

    Raises
    ------
    InputError
        As `load_vision_model`.
    """
    file = stored.file
    if not stored.is_vision:
        raise InputError(
            "a sequence model, not a vision model", file=file, remedy="Load it with danq.load"
        )
    spec = parse_spec(VisionSpec, stored)
    if not is_registered(spec.task):
        raise InputError(
            f"a model of the task '{spec.task}', which is not registered here",
            file=file,
            remedy="Import the module that registers it (@danq.vision.register) and predict from "
            "Python: the command line has only the tasks of danq",
        )
    _check_values([spec.hyperparameters, spec.metadata, spec.inputs], file)
    try:
        with sized_for(stored, tensors=MAX_TENSORS, values=MAX_PARAMETERS):
            module = build(spec)
    except _BUILD_ERRORS as error:
        for one in (error, error.__cause__):
            if isinstance(one, InputError) and one.file == str(file):
                raise one from None
        problem = error.problem if isinstance(error, InputError) else str(error)
        raise InputError(
            f"its model cannot be built: {problem}",
            file=file,
            remedy="Copy the model again, or train it",
        ) from error
    return VisionModel(load_weights(module, stored), spec, file)


def _check_values(value: object, file: Path) -> None:
    """Refuse sizes that no model has, which would take all memory, and unprintable names."""
    if isinstance(value, dict | list | tuple):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_values(one, file)
    elif isinstance(value, str) and not value.isprintable():
        raise InputError(
            f"its header has the text {value[:40]!a}, which cannot be printed",
            file=file,
            remedy="Copy the model again, or train it",
        )
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise InputError(
            f"its header has the number {value:,}; at most {MAX_NUMBER:,} is allowed",
            file=file,
            remedy="Copy the model again, or train it",
        )
