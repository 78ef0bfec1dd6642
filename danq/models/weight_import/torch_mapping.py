"""Torch weights of any model that fits an architecture of danq, by a table of array names."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from danq.errors import InputError, describe_validation_error
from danq.files.toml_file import read_toml
from danq.models.architecture import Architecture, build_module
from danq.models.presets import architecture
from danq.models.weight_import.torch_tensors import plain_name, read_tensors
from danq.models.weight_import.weight_file import Array, ImportedWeights, WeightFile, to_arrays
from danq.typing import Location

ZEROS = "zeros"
"""Value in the table of an array that the file lacks and that is filled with zeros."""

log = logging.getLogger("danq")
_OUTPUT = "head.output.weight"
_FIRST_DENSE = "head.body.0.weight"


class Mapping(BaseModel):
    """Contents of a mapping file (TOML)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "danq"
    """Preset with the default hyperparameters."""
    window: int = Field(gt=0)
    bin: int = Field(default=200, gt=0)
    bases: str = "ACGT"
    """The four bases in the order of the input channels."""
    flatten: Literal["steps", "features"] = "steps"
    """The slowest-varying dimension of the first dense layer's inputs."""
    architecture: dict[str, object] = {}
    """Hyperparameters that differ from the preset's, named as in `danq.models.Architecture`."""
    weights: dict[str, str] = {}
    """Maps danq's name of an array to the file's; equal names can be omitted."""

    @property
    def full_architecture(self) -> Architecture:
        """The preset with the changed hyperparameters.

        Raises
        ------
        InputError
            When the preset or a hyperparameter does not exist.
        """
        return architecture(self.preset, **self.architecture)


def read_mapping(path: Location) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    InputError
        When it is missing, is not valid TOML, or has an unknown field.
    """
    fields = read_toml(path)
    try:
        return Mapping.model_validate(fields)
    except ValidationError as error:
        raise InputError(
            describe_validation_error(error), file=path, remedy="See docs/formats.md, Mappings"
        ) from error


def read_mapped(source: WeightFile, mapping: Mapping) -> ImportedWeights:
    """Read a torch or safetensors file with a mapping.

    Parameters
    ----------
    source
        The file.
    mapping
        Architecture and names of the arrays.

    Raises
    ------
    InputError
        As `danq.models.weight_import.torch_tensors.read_tensors`; when an array of the mapping is
        missing in danq's module or in the file, an array of the module is missing in the mapping,
        or a type or shape does not fit.
    """
    tensors = to_arrays(read_tensors(source.path))
    plan = mapping.full_architecture
    # A mapping may have the names with what wrappers add to them.
    named = {
        ours: theirs if theirs in tensors else plain_name(theirs)
        for ours, theirs in mapping.weights.items()
    }
    output = tensors.get(named.get(_OUTPUT, _OUTPUT))
    if output is None or output.ndim != 2:
        raise source.error(
            f"'{_OUTPUT}' (K, features) is not mapped to an array of the file",
            f"The file has {', '.join(sorted(tensors))}",
        )
    with torch.device("meta"):  # without memory
        module = build_module(plan, len(output), source.window)
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    unknown = sorted(set(mapping.weights) - set(expected))
    if unknown:
        raise source.error(
            f"the mapping names '{unknown[0]}', which this architecture does not have",
            f"It has {', '.join(expected)}",
        )
    found, weights = set(), {}
    for name, shape in expected.items():
        foreign = named.get(name, name)
        if foreign == ZEROS:
            weights[name] = np.zeros(shape)
            continue
        if foreign not in tensors:
            raise source.error(
                f"array '{foreign}', mapped to '{name}', is missing",
                f"The file has {', '.join(sorted(tensors))}",
            )
        weights[name] = source.check(foreign, tensors[foreign], shape)
        found.add(foreign)
    unused = sorted(set(tensors) - found)
    if unused:
        log.warning("the mapping does not use these arrays of the file: %s", ", ".join(unused))
    first = "encoder.first.weight" if plan.stages else "encoder.weight"
    weights[first] = weights[first][:, source.channels]
    if mapping.flatten == "features":
        weights[_FIRST_DENSE] = _by_steps(source, plan, weights.get(_FIRST_DENSE), module)
    return ImportedWeights(mapping.preset, plan, len(output), weights, source.window)


def _by_steps(source: WeightFile, plan: Architecture, weight: Array | None, module) -> Array:
    """Reorder the weights of a dense layer from features-major to steps-major inputs."""
    if plan.pooling != "flatten" or weight is None:
        raise source.error("'flatten' is set, but the architecture does not flatten steps", None)
    steps = module.pooling.steps
    return weight.reshape(len(weight), -1, steps).transpose(0, 2, 1).reshape(len(weight), -1)
