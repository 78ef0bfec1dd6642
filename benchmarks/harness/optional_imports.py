"""Import some modules of danq where most of its dependencies are missing.

A machine with a GPU often has torch and few other libraries. The modules of danq that
`benchmarks.speed.gpu` imports compute with torch, numba and h5py only, but the ``__init__`` of
their packages imports more, and their signatures use jaxtyping. Importing this module first
replaces both where the import fails.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGES = ("danq.genome.variants", "danq.datasets", "danq.inference", "danq.training")


class _Shape:
    """Replaces a jaxtyping annotation: ``Float[Tensor, "B T"]`` becomes ``Tensor``."""

    def __class_getitem__(cls, parts: tuple[Any, str]) -> Any:
        return parts[0]


def _jaxtyping() -> ModuleType:
    def find(name: str) -> type[_Shape]:
        if name.startswith("_"):  # inspect requests __file__ of every module
            raise AttributeError(name)
        return _Shape

    module = ModuleType("jaxtyping")
    module.__spec__ = ModuleSpec("jaxtyping", None)
    module.__getattr__ = find  # type: ignore[method-assign]
    return module


def _without_init(name: str) -> ModuleType:
    """A package whose modules can be imported but whose ``__init__`` does not run."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = ModuleType(name)
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    return package


def replace_missing() -> list[str]:
    """Replace modules whose import fails because a library is missing, and return their names."""
    replaced = []
    try:
        importlib.import_module("jaxtyping")
    except ModuleNotFoundError:
        sys.modules["jaxtyping"] = _jaxtyping()
        replaced.append("jaxtyping")
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("danq"):
                raise
            sys.modules[name] = _without_init(name)
            replaced.append(name)
    return replaced


REPLACED = replace_missing()
