"""Names of a package that are imported from where they live when they are first touched."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(
    package: str, home: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562).

    A name must not be that of a module of the package: whoever imports the module would get it
    in place of the name.

    Parameters
    ----------
    package
        The package's ``__name__``.
    home
        Name, and where it lives, as ``danq.genome.bed:read_bed``.

    Returns
    -------
    getattr
        Raises AttributeError for a name that is not in ``home``.
    dir
        Lists what is loaded and what can be.
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        module, _, attribute = home[name].partition(":")
        value = getattr(importlib.import_module(module), attribute)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return load, names
