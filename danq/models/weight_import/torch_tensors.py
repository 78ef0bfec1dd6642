"""Tensors of torch and safetensors files, read without executing code of the file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from danq.errors import InputError

_REMEDY = "Save only the tensors: torch.save(model.state_dict(), FILE), or a safetensors file"


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
        one under ``state_dict``. Torch's restricted loader reads it and builds only tensors and
        plain containers. Prefixes of all names that wrappers add (``module.``, ``model.``) are
        removed.

    Raises
    ------
    InputError
        When the file is of another kind or damaged, holds other objects, or has no named tensors.
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
            f"holds objects other than tensors, which are not loaded ({_short(error)})",
            file=path,
            remedy=_REMEDY,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"not a readable torch file ({_short(error)})",
            file=path,
            remedy="It may be truncated: copy it again",
        ) from error
    state = found.get("state_dict", found) if isinstance(found, Mapping) else None
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise InputError("has no named tensors", file=path, remedy=_REMEDY)
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
