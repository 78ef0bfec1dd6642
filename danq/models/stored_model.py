"""What the files of all models share: a header, weights, and the check that the two fit."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from danq.errors import InputError, describe_validation_error
from danq.files.sealed_safetensors import NotSealed, read_sealed, write_sealed
from danq.files.urls import refuse_url
from danq.output import replacing
from danq.typing import Location

M = TypeVar("M", bound=nn.Module)
S = TypeVar("S", bound=BaseModel)

FORMAT_VERSION = 5
HEADER_KEY = "danq"
RUN_MODEL = "model.safetensors"
ENSEMBLE = "ensemble.json"
FOLDS = "folds.json"

_SPARE = 4
"""Multiple of a file's weights that a module may register while it is built."""


class StoredModel(NamedTuple):
    """Content of a model file whose checksum is right.

    Attributes
    ----------
    fields
        Fields of the header.
    arrays
        Weights by name.
    file
        The file.
    sha256
        SHA-256 checksum of the file.
    """

    fields: dict[str, Any]
    arrays: dict[str, np.ndarray]
    file: Path
    sha256: str

    @property
    def is_vision(self) -> bool:
        """Whether it is the model of a vision task."""
        return "task" in self.fields


def write_stored(path: Location, module: nn.Module, spec: BaseModel) -> str:
    """Write a model file, and return its SHA-256 checksum. A failed write leaves no partial file.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    return _write(Path(path), to_arrays(module.state_dict()), spec)


def write_header(stored: StoredModel, spec: BaseModel) -> str:
    """Replace the header of a model file, and return the new SHA-256 checksum.

    Raises
    ------
    InputError
        As `write_stored`.
    """
    return _write(stored.file, stored.arrays, spec)


def _write(path: Path, arrays: Mapping[str, np.ndarray], spec: BaseModel) -> str:
    with replacing(path, overwrite=True) as temporary:
        return write_sealed(temporary, arrays, {HEADER_KEY: spec.model_dump_json()})


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Tensors as arrays in the memory of the CPU.

    Raises
    ------
    InputError
        When a tensor has a type that numpy lacks, such as bfloat16.
    """
    arrays = {}
    for name, value in tensors.items():
        try:
            arrays[name] = value.detach().cpu().contiguous().numpy()
        except TypeError as error:
            raise InputError(
                f"holds {value.dtype}, which cannot be stored", record=name, remedy="Use float32"
            ) from error
    return arrays


def read_stored(path: Location) -> StoredModel:
    """Read and verify a model file, or the best model of a run directory.

    Raises
    ------
    InputError
        When there is no such file, it is not a danq model, it is damaged, or its format version is
        not supported.
    """
    file = _model_file(Path(path))
    try:
        metadata, arrays, sha256 = read_sealed(
            file, expected="a model file of danq", remedy="Copy the model again, or train it"
        )
    except NotSealed as error:
        _refuse(error.metadata, file, error)
    if HEADER_KEY not in metadata:
        raise _foreign(file, metadata)
    fields = _fields(metadata[HEADER_KEY], file)
    if fields.get("format_version") != FORMAT_VERSION:
        raise _other_version(fields.get("format_version"), file)
    return StoredModel(fields, arrays, file, sha256)


def parse_spec(kind: type[S], stored: StoredModel) -> S:
    """Validate the fields of a header.

    Raises
    ------
    InputError
        When they are not the fields of this kind of model.
    """
    try:
        return kind.model_validate(stored.fields)
    except ValidationError as error:
        raise _damaged(describe_validation_error(error), stored.file) from error


@contextmanager
def sized_for(stored: StoredModel, *, tensors: int = 0, values: int = 0) -> Iterator[None]:
    """Stop to build a module, in this thread, once it has far more weights than its file.

    A header may ask for any number of layers.

    Parameters
    ----------
    stored
        The file.
    tensors, values
        Number of parameters, and of values in them, that is always allowed: a model may consist of
        parts of larger ones.

    Raises
    ------
    InputError
        When that happens.
    """
    thread, count, total = threading.get_ident(), 0, 0
    most = max(tensors, _SPARE * len(stored.arrays))
    most_values = max(values, _SPARE * sum(array.size for array in stored.arrays.values()))

    def check(_: nn.Module, __: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, total
        if parameter is None or threading.get_ident() != thread:
            return
        count, total = count + 1, total + parameter.numel()
        if count > most or total > most_values:
            raise _misfit("the architecture has more weights than the file", stored.file)

    hook = register_module_parameter_registration_hook(check)
    try:
        yield
    finally:
        hook.remove()


def load_weights(module: M, stored: StoredModel) -> M:
    """Give weights to a module, which may be on the meta device, and set evaluation mode.

    The module shares the memory of the arrays.

    Raises
    ------
    InputError
        When names, types or shapes do not fit, or a weight is NaN or infinite.
    """
    problem = misfit(module.state_dict(), stored.arrays)
    if problem is not None:
        raise _misfit(problem, stored.file)
    state = {name: torch.from_numpy(array) for name, array in stored.arrays.items()}
    module.load_state_dict(state, assign=True)
    return module.eval()


def misfit(expected: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray]) -> str | None:
    """What differs between the expected and the stored tensors, or which is not finite; or None."""
    for name in expected:
        if name not in arrays:
            return f"'{name}' is missing"
    for name, array in arrays.items():
        if name not in expected:
            return f"'{name}' has no place in it"
        kind, shape = str(expected[name].dtype).removeprefix("torch."), expected[name].shape
        if array.dtype.name != kind:
            return f"'{name}' is {array.dtype.name}, not {kind}"
        if array.shape != tuple(shape):
            return f"'{name}' has the shape {array.shape}, not {tuple(shape)}"
        if not is_finite(array):
            return f"'{name}' contains NaN or an infinite number"
    return None


def is_finite(array: np.ndarray) -> bool:
    """Whether no value is NaN or infinite."""
    # The sum of finite values may overflow, but that of others is never finite.
    total = torch.from_numpy(array).sum()
    return bool(total.isfinite()) or bool(np.isfinite(array).all())


def _fields(text: str, file: Path) -> dict[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"it contains {constant}")

    try:
        fields = json.loads(text, parse_constant=refuse)
        json.dumps(fields, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _damaged("it contains characters that are not Unicode", file) from error
    except RecursionError as error:
        raise _damaged("it has too many nested values", file) from error
    except ValueError as error:
        raise _damaged(str(error), file) from error
    if not isinstance(fields, dict):
        raise _damaged("it is not a JSON object", file)
    return fields


def _refuse(metadata: dict[str, Any] | None, file: Path, error: InputError) -> NoReturn:
    """Raise the error for a file without a seal, by what else it is."""
    if metadata is None:
        raise InputError(
            "is not a model file of danq (safetensors)",
            file=file,
            remedy="Give a run directory or model file. If this is one, it may be truncated or "
            "damaged: copy it again",
        ) from error
    header = metadata.get(HEADER_KEY)
    if not isinstance(header, str):
        raise _foreign(file, metadata) from error
    version = _fields(header, file).get("format_version")
    if version == FORMAT_VERSION:
        raise _damaged("it has no checksum where one belongs", file) from error
    raise _other_version(version, file) from error


def _foreign(file: Path, metadata: Mapping[str, Any]) -> InputError:
    if "moments" in metadata and "progress" in metadata:
        return InputError(
            "is a checkpoint of a training, not a model",
            file=file,
            remedy=f"Give the run directory, or the file {RUN_MODEL} in it",
        )
    return InputError(
        "a safetensors file without the header of danq",
        file=file,
        remedy="Give a model file of danq",
    )


def _other_version(version: object, file: Path) -> InputError:
    return InputError(
        f"model format version {version}, but this danq reads version {FORMAT_VERSION}",
        file=file,
        remedy="Use the version of danq that wrote it, or train the model again",
    )


def _misfit(problem: str, file: Path) -> InputError:
    return InputError(
        f"weights do not fit the architecture: {problem}",
        file=file,
        remedy="Copy the model again, or train it",
    )


def _damaged(problem: str, file: Path) -> InputError:
    return InputError(
        f"damaged model header: {problem}", file=file, remedy="Copy the model again, or train it"
    )


def _model_file(path: Path) -> Path:
    file = path / RUN_MODEL if path.is_dir() else path
    if file.exists() and not file.is_dir():
        return file
    if path.is_dir():
        if (path / ENSEMBLE).is_file():
            raise InputError(
                "is an ensemble of several models, where one model is needed",
                file=path,
                remedy="Give one of its models, such as its folder fold1; danq.load_ensemble loads "
                "all of them",
            )
        if (path / FOLDS).is_file():
            raise InputError(
                "is a training in folds that is not finished, so the ensemble is not complete",
                file=path,
                remedy="Resume the training, or give one of its models, such as its folder fold1",
            )
        raise InputError(
            f"no {RUN_MODEL} in this folder",
            file=path,
            remedy="Give a run directory or a model file",
        )
    refuse_url(path)
    raise InputError("no such model file or run directory", file=path, remedy="Check the path")
