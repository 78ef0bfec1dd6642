"""Use a few modules of danq on a machine that lacks most of the libraries danq asks for.

A machine with a card often has torch and little else. What `speed.gpu` needs of danq computes
with torch, numba and h5py alone, but the packages it lies in import more when they are entered,
and shapes in signatures are jaxtyping's. Importing this module first makes room for that; where
everything is installed it changes nothing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGES = ("danq.datasets", "danq.training")


class _Shape:
    """Stands for a jaxtyping annotation: ``Float[Tensor, "B T"]`` is ``Tensor``."""

    def __class_getitem__(cls, parts: tuple[Any, str]) -> Any:
        return parts[0]


def _shapes() -> ModuleType:
    def find(name: str) -> type[_Shape]:
        if name.startswith("_"):  # such as __file__, which inspect asks every module for
            raise AttributeError(name)
        return _Shape

    module = ModuleType("jaxtyping")
    module.__spec__ = ModuleSpec("jaxtyping", None)
    module.__getattr__ = find  # type: ignore[method-assign]
    return module


def _without_front(name: str) -> ModuleType:
    """A package whose modules can be imported, its own ``__init__`` left out."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = ModuleType(name)
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    return package


def make_room() -> list[str]:
    """Put stand-ins where imports fail for want of a library; names of what was replaced."""
    replaced = []
    try:
        importlib.import_module("jaxtyping")
    except ModuleNotFoundError:
        sys.modules["jaxtyping"] = _shapes()
        replaced.append("jaxtyping")
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("danq"):
                raise
            sys.modules[name] = _without_front(name)
            replaced.append(name)
    return replaced


REPLACED = make_room()
