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
from danq.vision.registry import is_registered, load_task


class VisionSpec(BaseModel):
    """What a vision model's file says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    created_by: str = ""
    task: str
    system: str
    hyperparameters: dict[str, Any]
    """Hyperparameters of the system, which determine the shape of the module."""
    facts: dict[str, Any]
    """Shapes, classes and vocabularies of the data it was trained on."""
    inputs: dict[str, tuple[str, tuple[int, ...]]] = {}
    """Type and shape of each field of one of its examples."""
    data_sha256: str = ""
    training: dict[str, Any] = {}
    """Recipe and result of the training."""


@dataclass(frozen=True)
class VisionModel:
    """A module in evaluation mode on the CPU, and what is needed to use it."""

    module: nn.Module
    spec: VisionSpec
    path: Path


def build(spec: VisionSpec) -> nn.Module:
    """The untrained module that a spec describes.

    Raises
    ------
    InputError
        When the task or the system is not known, or cannot take the numbers.
    """
    # As a file gives it back, so that no builder comes to lean on tuples.
    numbers, facts = json.loads(json.dumps([spec.hyperparameters, spec.facts]))
    system = load_task(spec.task).system(spec.system)
    try:
        return system.build(facts, **numbers)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(
            f"system '{system.name}' cannot take {numbers} on data with {sorted(facts)}: {error}"
        ) from error


def load_vision_model(path: str | Path) -> VisionModel:
    """Load a vision model's file, or the best model of its run folder.

    Raises
    ------
    InputError
        When there is no such file, it holds no vision model, its task is not registered, or its
        weights do not fit.
    """
    fields, file = read_header(path)
    if "task" not in fields:
        raise InputError(
            "a sequence model, not one of a vision task", file=file, remedy="Use 'danq predict'"
        )
    spec = parse_spec(VisionSpec, fields, file)
    if not is_registered(spec.task):
        raise InputError(
            f"a model of the task '{spec.task}', which is not registered here",
            file=file,
            remedy="Import the module that registers it (@danq.vision.register) and predict from "
            "Python: the command line knows the tasks of 'danq vision list' alone",
        )
    return VisionModel(load_weights(build(spec), file), spec, file)
