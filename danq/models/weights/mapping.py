"""Any torch state that fits an architecture of danq's, by a table of names."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from danq.errors import InputError, describe_validation_error
from danq.models.architecture import Architecture, build_module
from danq.models.presets import architecture
from danq.models.weights.checkpoint import read_tensors
from danq.models.weights.foreign import Array, Foreign, Source, arrays

ZEROS = "zeros"
"""In place of a foreign name: the file has no such array, zeros stand for it."""

log = logging.getLogger("danq")
_OUTPUT = "head.output.weight"
_FIRST_DENSE = "head.body.0.weight"


class Mapping(BaseModel):
    """A mapping file (TOML)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "danq"
    """Preset that the numbers start from."""
    window: int = Field(gt=0)
    bin: int = Field(default=200, gt=0)
    bases: str = "ACGT"
    """The bases in the order of the input channels."""
    flatten: Literal["steps", "features"] = "steps"
    """What changes slowest among the inputs of the first dense layer."""
    architecture: dict[str, object] = {}
    """Numbers that differ from the preset's, as `danq.models.Architecture` names them."""
    weights: dict[str, str] = {}
    """danq's name of an array, and the file's; names that are the same may be left out."""

    @property
    def numbers(self) -> Architecture:
        """The architecture.

        Raises
        ------
        InputError
            When there is no such preset or number.
        """
        return architecture(self.preset, **self.architecture)


def read_mapping(path: str | Path) -> Mapping:
    """Read a mapping file.

    Raises
    ------
    InputError
        When it is missing, no TOML, or holds something that a mapping does not know.
    """
    try:
        fields = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", file=path) from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", file=path) from error
    try:
        return Mapping.model_validate(fields)
    except ValidationError as error:
        raise InputError(
            describe_validation_error(error), file=path, remedy="See docs/formats.md, Mappings"
        ) from error


def read_mapped(source: Source, mapping: Mapping) -> Foreign:
    """Read a torch or safetensors file by a mapping.

    Parameters
    ----------
    source
        The file.
    mapping
        Architecture, and which array is which.

    Raises
    ------
    InputError
        As `danq.models.weights.checkpoint.read_tensors`; when the mapping names an array that
        danq's module or the file lacks, leaves one out, or a type or shape does not fit.
    """
    tensors = arrays(read_tensors(source.path))
    plan = mapping.numbers
    output = tensors.get(mapping.weights.get(_OUTPUT, _OUTPUT))
    if output is None or output.ndim != 2:
        raise source.wrong(
            f"'{_OUTPUT}' (K, features) is not mapped to an array of the file",
            f"The file has {', '.join(sorted(tensors))}",
        )
    module = build_module(plan, len(output), source.window)
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    strange = sorted(set(mapping.weights) - set(wanted))
    if strange:
        raise source.wrong(
            f"the mapping names '{strange[0]}', which this architecture does not have",
            f"It has {', '.join(wanted)}",
        )
    found, weights = set(), {}
    for name, shape in wanted.items():
        foreign = mapping.weights.get(name, name)
        if foreign == ZEROS:
            weights[name] = np.zeros(shape)
            continue
        if foreign not in tensors:
            raise source.wrong(
                f"'{name}' is to come from '{foreign}', which the file lacks",
                f"It has {', '.join(sorted(tensors))}",
            )
        weights[name] = source.check(foreign, tensors[foreign], shape)
        found.add(foreign)
    unused = sorted(set(tensors) - found)
    if unused:
        log.warning("arrays of the file that no name maps to: %s", ", ".join(unused))
    first = "encoder.first.weight" if plan.stages else "encoder.weight"
    weights[first] = weights[first][:, source.channels]
    if mapping.flatten == "features":
        weights[_FIRST_DENSE] = _by_steps(source, plan, weights.get(_FIRST_DENSE), module)
    return Foreign(mapping.preset, plan, len(output), weights, source.window)


def _by_steps(source: Source, plan: Architecture, weight: Array | None, module) -> Array:
    """A dense layer over features-major inputs as one over steps-major ones."""
    if plan.pooling != "flatten" or weight is None:
        raise source.wrong("'flatten' is given, but the architecture flattens no steps", None)
    steps = module.pooling.steps
    return weight.reshape(len(weight), -1, steps).transpose(0, 2, 1).reshape(len(weight), -1)
