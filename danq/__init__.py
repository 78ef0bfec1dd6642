"""Learn what DNA does from its sequence.

The names below are imported from where they live when they are first touched, so that
``import danq`` costs next to nothing and loads no tensor library.

Examples
--------
>>> import danq
>>> model = danq.load("run/model.safetensors")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from danq.datasets import Dataset as Dataset
    from danq.errors import DanqError as DanqError
    from danq.errors import InputError as InputError
    from danq.genome import Genome as Genome

__version__ = "0.1.0"

_HOME = {
    "DanqError": "danq.errors:DanqError",
    "Dataset": "danq.datasets:Dataset",
    "Genome": "danq.genome:Genome",
    "InputError": "danq.errors:InputError",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'danq' has no attribute '{name}'")
    module, _, attribute = _HOME[name].partition(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
