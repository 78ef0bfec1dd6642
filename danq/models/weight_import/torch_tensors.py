"""Tensors of torch and safetensors files, read without executing code of the file."""

from __future__ import annotations

import logging
import struct
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from pickle import UnpicklingError

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from danq.errors import InputError
from danq.files.binary_input import format_of
from danq.files.open_input import open_raw
from danq.files.pipes import local_path

log = logging.getLogger("danq")

PREFIXES = ("module.", "model.", "_forward_module.")
"""Prefixes that wrappers put before all names: DataParallel and averaged models of torch, Lightning
modules, and Fabric."""

INSIDE = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""Parts that torch.compile, FSDP and activation checkpointing put into names, at any level."""

STATES = ("state_dict", "model_state_dict", "model_state", "model", "module")
"""Entries of a checkpoint that hold the state dict of the model."""

_COPY = "It may be truncated: copy it again"
_REMEDY = "Save only the tensors: torch.save(model.state_dict(), FILE), or a safetensors file"


_DEPTH = 10
"""Largest number of dictionaries within each other in which a state dict is searched for."""

_READ_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What damaged files raise in torch's restricted loader."""


class _Ignored:
    """Replaces a numpy type, which is not needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _number(*_: object) -> None:
    """Replaces a numpy number, such as the loss in a checkpoint of Selene."""


_HARMLESS = [
    (_Ignored, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a state dict by name.

    Parameters
    ----------
    path
        A safetensors file, or a file of ``torch.save`` with a state dict or a checkpoint that has
        one under one of `STATES`. Torch's restricted loader reads it and builds only tensors and
        plain containers. What wrappers add to the names (`PREFIXES` of all names, `INSIDE`) is
        removed with a notice.

    Raises
    ------
    InputError
        When the file is of another kind or damaged, holds other objects, or has no named tensors.
    """
    if _is_safetensors(path):
        try:
            return _without_wrappers(safetensors.torch.load_file(local_path(path)), path)
        except (safetensors.SafetensorError, *_READ_ERRORS) as error:
            raise InputError(
                f"not a readable safetensors file ({error})", file=path, remedy=_COPY
            ) from error
    _check_archive(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):  # type: ignore[arg-type]
            # torch warns of files that it then refuses.
            warnings.simplefilter("ignore", UserWarning)
            found = torch.load(local_path(path), map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"holds objects other than tensors, which are not loaded ({_short(error)})",
            file=path,
            remedy=_REMEDY,
        ) from error
    except _READ_ERRORS as error:
        raise InputError(
            f"is {format_of(path)}, not a readable torch file ({_short(error)})",
            file=path,
            remedy=_COPY,
        ) from error
    tensors = _find_state(found)
    if not tensors:
        raise InputError("has no named tensors", file=path, remedy=_REMEDY)
    for name, value in tensors.items():
        _check_storage(name, value, path)
    return _without_wrappers(tensors, path)


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins with the length of a JSON header, or has the extension."""
    with open_raw(path) as file:
        head = file.read(9)
    return path.suffix == ".safetensors" or head[8:] == b"{"


def _check_archive(path: Path) -> None:
    """Refuse an archive whose members are larger than the file: torch does not compress them."""
    try:
        if not zipfile.is_zipfile(local_path(path)):
            return
        with zipfile.ZipFile(local_path(path)) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, zipfile.LargeZipFile, *_READ_ERRORS) as error:
        raise InputError(
            f"is a damaged archive ({_short(error)})", file=path, remedy=_COPY
        ) from error
    if size > local_path(path).stat().st_size:
        raise InputError(
            f"is an archive that would unpack to {size:,} bytes, more than torch stores in it",
            file=path,
            remedy=_REMEDY,
        )


def _check_storage(name: str, value: Tensor, path: Path) -> None:
    """Refuse a tensor that does not store each of its values."""
    problem = None
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        problem = f"is a sparse, quantised or empty tensor ({value.dtype}, {value.layout})"
    elif value.numel() * value.element_size() > value.untyped_storage().nbytes():
        problem = f"has the shape {tuple(value.shape)}, but fewer values are stored"
    if problem is not None:
        raise InputError(problem, file=path, record=name, remedy=_REMEDY)


def _find_state(found: object) -> dict[str, Tensor]:
    """The state dict in a file of ``torch.save``: the file itself, or an entry of a checkpoint."""
    for _ in range(_DEPTH):
        if not isinstance(found, Mapping):
            return {}
        inner = next((found[key] for key in STATES if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}  # type: ignore[attr-defined]


def plain_name(name: str) -> str:
    """The name without what wrappers put before it and into it."""
    for part in INSIDE:
        name = name.replace(part, "")
    while prefix := next((one for one in PREFIXES if name.startswith(one)), ""):
        name = name.removeprefix(prefix)
    return name


def _without_wrappers(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Remove from all names what wrappers put there, with a notice.

    The buffer ``n_averaged`` of torch's averaged models, which has no prefix, is left out.
    """
    named = {name: value for name, value in tensors.items() if name != "n_averaged"}
    removed = {part for part in INSIDE for name in named if part in name}
    for part in INSIDE:
        named = {name.replace(part, ""): value for name, value in named.items()}
    while prefix := _common_prefix(named):
        removed.add(prefix)
        named = {name.removeprefix(prefix): value for name, value in named.items()}
    if not removed:
        return tensors
    log.info(
        "%s: removed %s from the names of arrays, which a wrapper of the model added",
        path,
        ", ".join(f"'{part}'" for part in sorted(removed)),
    )
    return named


def _common_prefix(names: Collection[str]) -> str:
    for prefix in PREFIXES:
        if names and all(name.startswith(prefix) and name != prefix for name in names):
            return prefix
    return ""


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsupported = [line for line in lines if "Unsupported global" in line or "GLOBAL" in line]
    text = (unsupported or lines or [type(error).__name__])[0]
    return text.rstrip(".")[:200]
