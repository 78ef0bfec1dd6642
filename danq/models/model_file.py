"""The model file: safetensors with the architecture, tracks and provenance in its header."""

from __future__ import annotations

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from danq.core import CnnRnn
from danq.errors import InputError, describe_validation_error
from danq.files.pipes import local_path
from danq.models.architecture import Architecture, build_module
from danq.models.run_options import RunOptions
from danq.output import os_errors, replacing
from danq.provenance import sha256_of
from danq.typing import Location

M = TypeVar("M", bound=nn.Module)
S = TypeVar("S", bound=BaseModel)

FORMAT_VERSION = 2
HEADER_KEY = "danq"
RUN_MODEL = "model.safetensors"


class ModelSpec(BaseModel):
    """Header of a model file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    created_by: str = ""
    preset: str
    architecture: Architecture
    tracks: tuple[str, ...] = Field(min_length=1)
    groups: tuple[str, ...]
    """Group of each track."""
    window: int = Field(gt=0)
    """Input length L in bases."""
    bin: int = Field(gt=0)
    """Bases in the middle of the window that the labels describe."""
    data_sha256: str = ""
    """SHA-256 checksum of the training dataset."""
    training: dict[str, Any] = {}
    """Recipe and results of training."""


@dataclass(frozen=True)
class Model:
    """A module with its header and the options of its use.

    Attributes
    ----------
    module
        Codes ``(B, window)`` to logits ``(B, K)``, in evaluation mode on the CPU.
    spec
        Tracks, window geometry and provenance.
    path
        The file that the model was loaded from, or None.
    sha256
        SHA-256 checksum of that file, or "".
    options
        How the model runs.
    """

    module: CnnRnn
    spec: ModelSpec
    path: Path | None = None
    sha256: str = ""
    options: RunOptions = field(default_factory=RunOptions)
    tracks: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tracks", self.spec.tracks)

    @property
    def window(self) -> int:
        """Input length in bases."""
        return self.spec.window

    def with_options(self, **changes: Any) -> Model:
        """The same model with other settings of `RunOptions`.

        Weights are shared with this model.

        Raises
        ------
        InputError
            When a setting does not exist or a value is not allowed.

        Examples
        --------
        >>> forward = model.with_options(strand="forward", batch_size=64)  # doctest: +SKIP
        """
        return replace(self, options=replace(self.options, **_checked(changes)))


def check_loaded(model: object, expected: str, *, remedy: str) -> None:
    """Check that an argument is a loaded model; ``expected`` names what the function takes.

    Raises
    ------
    InputError
        When it is a path or another object.
    """
    if isinstance(model, str | Path):
        raise InputError(
            f"the model is a path ('{model}') and is not loaded",
            remedy=f"Use danq.load('{model}')",
        )
    if not hasattr(model, "module") or not hasattr(model, "spec"):
        raise InputError(
            f"the model is a {type(model).__qualname__}, not {expected} of danq.load",
            remedy=remedy,
        )


def save_model(path: Location, module: nn.Module, spec: BaseModel) -> None:
    """Write a model file. A failed write leaves no partial file.

    Parameters
    ----------
    path
        The output file; an existing one is replaced.
    module
        The model.
    spec
        Header: a `ModelSpec`, or that of another kind of model.

    Raises
    ------
    InputError
        When the file cannot be written.
    """
    weights = {
        name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()
    }
    header = {HEADER_KEY: spec.model_dump_json()}
    with (
        replacing(path, overwrite=True) as temporary,
        os_errors(safetensors.SafetensorError),
    ):
        # save_file would create a file that only its owner can read.
        temporary.write_bytes(safetensors.torch.save(weights, metadata=header))


def read_spec(path: Location) -> ModelSpec:
    """Read the header of a model file, or of the best model of a run directory.

    Raises
    ------
    InputError
        As `load_model`.
    """
    fields, file = read_header(path)
    if "task" in fields:
        raise InputError(
            f"a model of the vision task '{fields['task']}', not a sequence model",
            file=file,
            remedy="Use the functions of danq.vision",
        )
    return parse_spec(ModelSpec, fields, file)


def is_vision_model(path: Location) -> bool:
    """Whether a model file or run directory holds the model of a vision task.

    Raises
    ------
    InputError
        As `read_header`.
    """
    return "task" in read_header(path)[0]


def read_header(path: Location) -> tuple[dict[str, Any], Path]:
    """Read the header of any model file of danq.

    Parameters
    ----------
    path
        A model file, or a run directory for its best model.

    Returns
    -------
    The fields of the header, and the path of the file.

    Raises
    ------
    InputError
        When there is no such file, it is not a danq model, or its format version is not supported.
    """
    file = _model_file(Path(path))
    try:
        with safetensors.safe_open(local_path(file), framework="pt") as opened:  # type: ignore[attr-defined]
            header = (opened.metadata() or {}).get(HEADER_KEY)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(
            "is not a model file of danq (safetensors)",
            file=file,
            remedy="Give a run directory or model file. If this is one, it may be truncated: copy "
            "it again",
        ) from error
    if header is None:
        raise InputError(
            "a safetensors file without the header of danq",
            file=file,
            remedy="Give a model file of danq",
        )
    try:
        fields = json.loads(header)
        version = fields.get("format_version")
    except (json.JSONDecodeError, AttributeError) as error:
        raise _damaged(str(error), file) from error
    if version != FORMAT_VERSION:
        raise InputError(
            f"model format version {version}, but this danq reads version {FORMAT_VERSION}",
            file=file,
            remedy="Use the version of danq that wrote it, or train the model again",
        )
    return fields, file


def load_model(path: Location, **options: Any) -> Model:
    """Load a model file, or the best model of a run directory.

    Parameters
    ----------
    path
        Model file or run directory.
    options
        How the model runs: ``device``, ``precision``, ``batch_size``, ``threads``, ``strand``,
        ``tolerance``; see `RunOptions`.

    Raises
    ------
    InputError
        When there is no such file, it is not a danq model, its format version is not supported, or
        its weights do not fit its architecture.
    """
    settings = RunOptions(**_checked(options))
    file = _model_file(Path(path))
    spec = read_spec(file)
    # Without memory: to initialise the weights of DanQ takes longer than to read the file.
    with torch.device("meta"):
        module = build_module(spec.architecture, len(spec.tracks), spec.window)
    with ThreadPoolExecutor(1) as beside:
        sha256 = beside.submit(sha256_of, file)
        weights = load_weights(module, file)
    return Model(weights, spec, file, sha256.result(), settings)


def load_weights(module: M, file: Path) -> M:
    """Load weights into a module, which may be on the meta device, and set evaluation mode.

    Raises
    ------
    InputError
        When they do not fit.
    """
    try:
        # Copied, because the memory of a file is not aligned as torch aligns tensors.
        stored = safetensors.torch.load_file(local_path(file))
        state = {name: value.clone() for name, value in stored.items()}
        module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InputError(f"weights do not fit the architecture: {error}", file=file) from error
    return module.eval()


def parse_spec(kind: type[S], fields: dict[str, Any], file: Path) -> S:
    """Validate the fields of a header.

    Raises
    ------
    InputError
        When they are not the fields of this kind of model.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise _damaged(describe_validation_error(error), file) from error


def _damaged(problem: str, file: Path) -> InputError:
    return InputError(
        f"damaged model header: {problem}", file=file, remedy="Copy the model again, or train it"
    )


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    known = [one.name for one in dataclasses.fields(RunOptions)]
    for name in options:
        if name not in known:
            raise InputError(
                f"a model has no option '{name}'", remedy=f"Choose from {', '.join(known)}"
            )
    return options


def _model_file(path: Path) -> Path:
    file = path / RUN_MODEL if path.is_dir() else path
    if file.exists() and not file.is_dir():
        return file
    if path.is_dir():
        raise InputError(
            f"no {RUN_MODEL} in this folder",
            file=path,
            remedy="Give a run directory or a model file",
        )
    raise InputError("no such model file or run directory", file=path, remedy="Check the path")


def untrained(
    preset: str, architecture: Architecture, tracks: tuple[str, ...], window: int, bin: int
) -> Model:
    """A model with initial weights, for tests and for counting its parameters."""
    from danq.models.initialisation import initialise_danq

    spec = ModelSpec(
        preset=preset,
        architecture=architecture,
        tracks=tracks,
        groups=("",) * len(tracks),
        window=window,
        bin=bin,
    )
    module = build_module(architecture, len(tracks), window)
    with torch.no_grad():
        initialise_danq(module)
    return Model(module.eval(), spec)
