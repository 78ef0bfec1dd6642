"""Tensors from files of torch, without running what those files may hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from danq.errors import InputError

_REMEDY = (
    "Save the tensors alone where the model was made, with torch.save(model.state_dict(), FILE) "
    "or as safetensors"
)


class _Ignored:
    """Stands for a numpy type, of which nothing is needed."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


def _number(*_: object) -> None:
    """Stands for a numpy number, such as the loss that Selene keeps beside the weights."""


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
        A file of ``torch.save`` (a state dict, or a checkpoint with one under ``state_dict``), read
        by torch's restricted loader, which builds tensors and plain containers and nothing else;
        or a safetensors file. Prefixes that wrappers add to every name (``module.``, ``model.``)
        are taken off.

    Raises
    ------
    InputError
        When the file is neither, is damaged, holds other objects, or holds no tensors by name.
    """
    if path.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise InputError(f"not a readable safetensors file ({error})", file=path) from error
    try:
        with torch.serialization.safe_globals(_HARMLESS):  # type: ignore[arg-type]
            found = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise InputError(
            f"holds objects besides tensors, which are not loaded ({_short(error)})",
            file=path,
            remedy=_REMEDY,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"not a readable file of torch ({_short(error)})",
            file=path,
            remedy="If it should be one, it may be truncated: copy it again",
        ) from error
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise InputError("holds no tensors by name", file=path, remedy=_REMEDY)
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    return _without_prefixes(tensors)


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in ("module.", "model.") * 2:
        if all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _short(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsupported = [line for line in lines if "Unsupported global" in line or "GLOBAL" in line]
    text = (unsupported or lines or [type(error).__name__])[0]
    return text.rstrip(".")[:200]
